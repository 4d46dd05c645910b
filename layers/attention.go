// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
)

// SelfAttention is a layer in which every position reads every other.
type SelfAttention struct {
	Heads      int         // N; divides the width
	Dropout    float64     // of the attention weights
	Init       Initializer // of the dense weights
	InitOutput Initializer // of the output map's; nil = Init
	Adapter    Adapter     // of its maps
}

// Apply computes softmax(QKᵀ/√(H/N) + bias)·V from x, [B, S, H], head by head, then a dense map back to H.
//
//   - bias, if not nil, broadcasts to [B, N, S, S]: a relative position bias [1, N, S, S], a padding mask
//     [B, 1, 1, S] or [B, 1, S, S] (see [PaddingBias]), or their sum; float32 where x is narrower.
//   - key drives dropout (see [Dropout]) and is nil when evaluating.
//
// It is built from plain operations, never from a backend's fused attention: the fused CUDA kernel gives a learned
// bias no gradient and says nothing. It panics if Heads does not divide H.
func (a SelfAttention) Apply(scope *model.Scope, x, bias, key *Node) *Node {
	b, s, h := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	if h%a.Heads != 0 {
		exceptions.Panicf("layers: %d heads do not divide width %d", a.Heads, h)
	}
	q, k, v := a.project(scope, x)
	scaled := func(x *Node) *Node { return MulScalar(x, 1/math.Sqrt(float64(h/a.Heads))) }
	var logits *Node
	if isNarrow(x) { // the gradient of the logits is that of the product, and of the bias: the largest tensor of a step is stored once
		logits = Product(scope, "bqnd,bknd->bnqk", widened(q, scaled), k)
	} else {
		logits = scaled(Product(scope, "bqnd,bknd->bnqk", q, k))
	}
	if bias != nil {
		logits = widened(logits, func(logits *Node) *Node { return Add(logits, bias) })
	}
	weights := Dropout(scope.In("weights"), widened(logits, softmax), key, a.Dropout)
	mixed := Product(scope, "bnqk,bknd->bqnd", weights, v)
	mixed = Reshape(mixed, b, s, h)
	return a.Adapter.added("output", mixed, Dense(scope.In("output"), mixed, h, orElse(a.InitOutput, a.Init)))
}

// project maps x to queries, keys and values, [B, S, N, H/N] each, by one product.
func (a SelfAttention) project(scope *model.Scope, x *Node) (q, k, v *Node) {
	b, s, h := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	var maps, biases []*Node
	for _, name := range []string{"query", "key", "value"} {
		weights, in := DenseWeights(h, h, a.Init), scope.In("%s", name)
		maps, biases = append(maps, weights[0].Node(in, x)), append(biases, weights[1].Node(in, x))
	}
	all := rowsTimes(scope, x, Concatenate(maps, 1), Concatenate(biases, 0), nil) // [B, S, 3H]
	part := func(i int, name string) *Node {
		mapped := a.Adapter.added(name, x, Slice(all, AxisRange(), AxisRange(), AxisRange(i*h, (i+1)*h)))
		return Reshape(mapped, b, s, a.Heads, h/a.Heads)
	}
	return part(0, "query"), part(1, "key"), part(2, "value")
}

// Weights lists the weights of a over states of a width.
func (a SelfAttention) Weights(width int) []Weight {
	var weights []Weight
	for _, name := range []string{"query", "key", "value"} {
		weights = append(weights, Within(name, DenseWeights(width, width, a.Init)...)...)
	}
	return append(weights, Within("output", DenseWeights(width, width, orElse(a.InitOutput, a.Init))...)...)
}

// PaddingBias turns mask, [B, S], true at real tokens, into the attention bias [B, 1, 1, S] that hides the others: 0 and −1e9.
// A mask [B, S, S], true at what the position of its second axis reads, becomes [B, 1, S, S]. It has the dtype of like.
func PaddingBias(mask, like *Node) *Node {
	hidden := MulScalar(OneMinus(ConvertDType(mask, like.DType())), -1e9)
	if mask.Rank() == 3 {
		return InsertAxes(hidden, 1)
	}
	return InsertAxes(hidden, 1, 1)
}

// softmax over the last axis, from plain operations on every backend.
func softmax(x *Node) *Node {
	e := Exp(Sub(x, StopGradient(ReduceAndKeep(x, ReduceMax, -1))))
	return Mul(e, Reciprocal(ReduceAndKeep(e, ReduceSum, -1)))
}
