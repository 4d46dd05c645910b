// SPDX-License-Identifier: Apache-2.0

package training

import (
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/metro"
)

// momentScope holds AdamW's two moments of each variable, at momentScope + "m" or "v" + the variable's path.
const momentScope = "/adamw/"

// adamWRates are the inputs of an AdamW step: the learning rate and the bias corrections 1/(1−β₁ᵗ), 1/(1−β₂ᵗ).
type adamWRates struct{ learningRate, correction1, correction2 *Node }

// adamW adds one step of AdamW (Loshchilov & Hutter, 2019) to the graph of loss, on variables, and returns the global
// norm of the gradients before clipping:
//
//	g = ∇loss · min(1, clip/(‖∇loss‖+1e-6));  m = β₁m+(1−β₁)g;  v = β₂v+(1−β₂)g²
//	w = w − lr·( m·c₁/(√(v·c₂)+ε) + decay·w )
//
// Decay spares biases, gains and offsets. All arithmetic is in the variables' own dtype.
func adamW(store *model.Store, loss *Node, variables []*model.Variable, o metro.Optimizer, r adamWRates) *Node {
	g := loss.Graph()
	values := make([]*Node, len(variables))
	for i, v := range variables {
		values[i] = v.NodeValue(g)
	}
	gradients := Gradient(loss, values...)
	norm := globalNorm(gradients)
	scale := OnesLike(norm)
	if o.ClipNorm > 0 {
		scale = MinScalar(Div(Scalar(g, norm.DType(), o.ClipNorm), AddScalar(norm, 1e-6)), 1)
	}
	for i, v := range variables {
		m, s := moment(store, v, "m"), moment(store, v, "v")
		grad := Mul(gradients[i], scale)
		first := Add(MulScalar(m.NodeValue(g), o.Beta1), MulScalar(grad, 1-o.Beta1))
		second := Add(MulScalar(s.NodeValue(g), o.Beta2), MulScalar(Square(grad), 1-o.Beta2))
		m.SetNodeValue(first)
		s.SetNodeValue(second)
		update := Div(Mul(first, r.correction1), AddScalar(Sqrt(Mul(second, r.correction2)), o.Epsilon))
		if o.WeightDecay > 0 && decays(v) {
			update = Add(update, MulScalar(values[i], o.WeightDecay))
		}
		v.SetNodeValue(Sub(values[i], Mul(update, r.learningRate)))
	}
	return norm
}

func globalNorm(gradients []*Node) *Node {
	var sum *Node
	for _, x := range gradients {
		square := ReduceAllSum(Square(x))
		if sum == nil {
			sum = square
		} else {
			sum = Add(sum, square)
		}
	}
	return Sqrt(sum)
}

// decays reports whether weight decay applies to v: to weights and tables, not to biases, gains and offsets.
func decays(v *model.Variable) bool {
	switch name := v.Name(); {
	case name == "bias" || name == "gain" || name == "offset":
		return false
	default:
		return !strings.HasSuffix(name, "_bias")
	}
}

// moment returns the variable that holds one of v's moments, made of zeros on first use.
func moment(store *model.Store, v *model.Variable, which string) *model.Variable {
	path := momentScope + which + v.Path()
	if m := store.GetVariable(path); m != nil {
		return m
	}
	m, err := store.CreateVariable(path, tensors.FromShape(v.Shape()))
	if err != nil {
		panic(err)
	}
	return m.SetTrainable(false)
}
