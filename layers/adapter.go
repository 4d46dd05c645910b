// SPDX-License-Identifier: Apache-2.0

package layers

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// Adapter is what a layer of an [Encoder] has beside weights of its own. What is nil changes nothing.
type Adapter struct {
	// Reads turns states [B, S, H] and attention bias into what the layer reads in their place: with slots beside the tokens, say.
	Reads func(x, bias *Node) (*Node, *Node)
	// Adds is what is added to one of attention's maps to width of x, [B, S, …]: "query", "key", "value" or "output". It may be nil.
	Adds func(name string, x *Node, width int) *Node
}

// reads is Reads where there is one.
func (a Adapter) reads(x, bias *Node) (*Node, *Node) {
	if a.Reads == nil {
		return x, bias
	}
	return a.Reads(x, bias)
}

// added is y, the map of that name of x, with what the adapter adds to it.
func (a Adapter) added(name string, x, y *Node) *Node {
	if a.Adds == nil {
		return y
	}
	if more := a.Adds(name, x, y.Shape().Dim(-1)); more != nil {
		return Add(y, more)
	}
	return y
}

// Slots puts values, [B, K, H], in front of states x, [B, S, H]: positions that hold no token. See [SlotsBias].
func Slots(values, x *Node) *Node {
	return Concatenate([]*Node{ConvertDType(values, x.DType()), x}, 1)
}

// SlotsBias is an attention bias, [·, ·, S or 1, S], of positions with k slots in front of them, [·, ·, K+S or 1, K+S]: slots are
// seen by all and see all, whatever the distance. It is bias itself where k is 0.
func SlotsBias(bias *Node, k int) *Node {
	if k == 0 || bias == nil {
		return bias
	}
	for _, axis := range []int{2, 3} {
		dims := append([]int{}, bias.Shape().Dimensions...)
		if axis == 2 && dims[axis] == 1 {
			continue
		}
		dims[axis] = k
		zeros := BroadcastToDims(ScalarZero(bias.Graph(), bias.DType()), dims...)
		bias = Concatenate([]*Node{zeros, bias}, axis)
	}
	return bias
}

// AttentionPart is the scope of one of attention's maps in that of its layer: "attention/query".
func AttentionPart(name string) string { return "attention/" + name }
