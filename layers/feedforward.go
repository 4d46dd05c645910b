// SPDX-License-Identifier: Apache-2.0

package layers

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// FeedForward is the second sub-layer of a [Block], a map of each position's state by itself: the place for experts, for a map
// of low rank, for one that layers share.
type FeedForward interface {
	// Weights lists the weights over states of a width, each by its place in the scope of the layer.
	Weights(width int) []Weight
	// Apply maps x, [B, S, H], to [B, S, H] of its dtype, which can be narrower than that of the weights: [Dense] takes care of
	// that. The scope is the layer's, where attention and normalisations are too. key drives dropout inside the map and is
	// nil when evaluating; what it returns has the block's dropout afterwards.
	Apply(scope *model.Scope, x, key *Node) *Node
}

// DenseFeedForward is the original Transformer's, W₂·act(W₁·x + b₁) + b₂, in the scopes ffn_in and ffn_out.
type DenseFeedForward struct {
	Inner      int               // width between the two maps
	Activation func(*Node) *Node // there
	Init       Initializer       // of W₁
	InitOutput Initializer       // of W₂; nil = Init

	// Recompute has the gradient compute the activation again where states are narrower than float32, so that of the inner states,
	// the widest of a layer, one copy is kept and not two.
	Recompute bool
}

// Weights implements [FeedForward].
func (f DenseFeedForward) Weights(width int) []Weight {
	return append(Within("ffn_in", DenseWeights(width, f.Inner, f.Init)...),
		Within("ffn_out", DenseWeights(f.Inner, width, orElse(f.InitOutput, f.Init))...)...)
}

// Apply implements [FeedForward].
func (f DenseFeedForward) Apply(scope *model.Scope, x, _ *Node) *Node {
	return f.apply(scope, scope, x)
}

// apply takes the matrices from one scope and the biases from another.
func (f DenseFeedForward) apply(matrices, biases *model.Scope, x *Node) *Node {
	var keep, end func(*Node) *Node
	if f.Recompute && isNarrow(x) {
		keep, end = (*Node).Checkpoint, (*Node).StopCheckpoint
	}
	dense := func(part string, x *Node, width int, init Initializer, mark func(*Node) *Node) *Node {
		w := DenseWeights(x.Shape().Dim(-1), width, init)
		return rowsTimes(matrices, x, w[0].Node(matrices.At("%s", part), x), w[1].Node(biases.In("%s", part), x), mark)
	}
	inner := widened(dense("ffn_in", x, f.Inner, f.Init, keep), f.Activation)
	return dense("ffn_out", inner, x.Shape().Dim(-1), orElse(f.InitOutput, f.Init), end)
}
