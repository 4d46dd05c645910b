// SPDX-License-Identifier: Apache-2.0

package moe

import (
	"math/rand/v2"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"metrolab/layers"
)

// FeedForward is a mixture of experts, each of them a [layers.DenseFeedForward]: it sends each token to the experts that its gate
// chooses and adds what they answer, by the weights of [Route]. It implements [layers.FeedForward].
//
// The gate's weights [H, E] lie in the scope gate; those of all experts in ffn_in ([E, H, F], [E, F]) and ffn_out ([E, F, H],
// [E, H]), where the dense map has its own with one axis less. So a weight of a dense model and its experts in a sparse one have
// one name, and a mixture of one expert begins with the values of the dense map.
type FeedForward struct {
	Router     Router
	Inner      int                // F
	Activation func(*Node) *Node  // between the two maps of an expert
	Init       layers.Initializer // of the first map of each expert
	InitOutput layers.Initializer // of the second; nil = Init

	Mask *Node // [B, S] bool, true at real tokens, of the graph that is being built; nil: all are
	// Routed, if not nil, is given the routing of every layer that is built, with the layer's scope: the losses are for the caller
	// to add to its own.
	Routed func(scope *model.Scope, routing Routing)
}

// Weights implements [layers.FeedForward].
func (f FeedForward) Weights(width int) []layers.Weight {
	initOutput := f.InitOutput
	if initOutput == nil {
		initOutput = f.Init
	}
	weights := layers.Within("gate", f.Router.weights(width)...)
	weights = append(weights, layers.Within("ffn_in", f.each(layers.DenseWeights(width, f.Inner, f.Init))...)...)
	return append(weights, layers.Within("ffn_out", f.each(layers.DenseWeights(f.Inner, width, initOutput))...)...)
}

// each stacks a weight for each expert, drawn one after another, so that an initializer sees the shape of one.
func (f FeedForward) each(weights []layers.Weight) []layers.Weight {
	for i, one := range weights {
		weights[i].Shape = append([]int{f.Router.Experts}, one.Shape...)
		weights[i].Init = func(rng *rand.Rand, values []float64, dims []int) {
			size := len(values) / dims[0]
			for e := range dims[0] {
				one.Init(rng, values[e*size:(e+1)*size], dims[1:])
			}
		}
	}
	return weights
}

// Apply implements [layers.FeedForward]. A key means training: the capacity of training, jitter and random selection. Tokens
// compete for slots with those of their group, or of whatever is computed at once: only with groups is a batch in several parts
// routed as a whole one. It panics if the router can not be, or if x is not [B, S, H].
func (f FeedForward) Apply(scope *model.Scope, x, key *Node) *Node {
	f.Router.check()
	if x.Rank() != 3 {
		exceptions.Panicf("moe: expected states [rows, positions, width], got %s", x.Shape())
	}
	width := x.Shape().Dim(-1)
	weights := f.Weights(width)
	node := func(i int) *Node { return weights[i].Node(scope, x) }
	gate := scope.In("gate")
	routing := f.Router.route(gate, x, f.Router.logits(gate, x, node(0), key), f.Mask, key)
	routing.Divergence = divergence(node(1), node(3))
	if f.Routed != nil {
		f.Routed(scope, routing)
	}
	shape := routing.Dispatch.Shape()
	groups, tokens, e, c := shape.Dim(0), shape.Dim(1), shape.Dim(2), shape.Dim(3)
	rows := Reshape(x, groups, tokens, width)
	states := layers.Product(scope, "gtec,gth->egch", ConvertDType(routing.Dispatch, x.DType()), rows)
	states = Reshape(states, e, groups*c, width) // what an expert is sent by all groups
	inner := ConvertDType(f.Activation(widened(experts(scope, states, node(1), node(2)))), x.DType())
	answers := experts(scope, inner, node(3), node(4))
	// Sums of a token's one or two answers are taken without rounding the weights, which products in narrow numbers would do.
	answers = Reshape(ConvertDType(answers, routing.Combine.DType()), e, groups, c, width)
	mixed := Einsum("gtec,egch->gth", routing.Combine, answers)
	return Reshape(ConvertDType(mixed, x.DType()), x.Shape().Dimensions...)
}

// experts is x·w + b side by side, for x [E, G·C, in], w [E, in, out], b [E, out]. Slots without a token give b, which nobody
// reads.
func experts(scope *model.Scope, x, w, b *Node) *Node {
	y := layers.Product(scope, "ech,ehf->ecf", x, w)
	return ConvertDType(Add(ConvertDType(y, b.DType()), ExpandAxes(b, 1)), x.DType())
}

// divergence is [Routing.Divergence] of experts' matrices, [E, …] each:
//
//	Σ_{a<b} ‖W_a − W_b‖² = E·Σ ‖W_a − W̄‖²
//
// where W̄ is the mean, which is taken off first, so that copies are 0 and no difference of large numbers.
func divergence(matrices ...*Node) *Node {
	var apart, all *Node
	add := func(sum, x *Node) *Node {
		if x = ReduceAllSum(Square(x)); sum == nil {
			return x
		}
		return Add(sum, x)
	}
	e := matrices[0].Shape().Dim(0)
	for _, w := range matrices {
		w = StopGradient(widened(w))
		apart, all = add(apart, Sub(w, ReduceAndKeep(w, ReduceMean, 0))), add(all, w)
	}
	overPairs := MulScalar(apart, 2/float64(max(1, e-1))) // E of what the sum is, by E·(E−1)/2 pairs
	overExperts := MulScalar(all, 1/float64(e))
	return Sqrt(Div(overPairs, AddScalar(overExperts, 1e-30))) // zeros are copies
}

// widened is x in float32 where it is narrower.
func widened(x *Node) *Node {
	if x.DType().Size() < dtypes.Float32.Size() {
		return ConvertDType(x, dtypes.Float32)
	}
	return x
}
