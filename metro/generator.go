// SPDX-License-Identifier: Apache-2.0

package metro

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/layers"
)

// GeneratorLogits is the masked language model's head on states, [B, P, H], taken at the masked positions alone, so
// that the product with the vocabulary is never made elsewhere:
//
//	LN(act(W·h + b))·Eᵀ + b_V   [B, P, V]
//
// with E, [V, E], the token table that the models read with (tied). Source: ELECTRA, COCO-LM and METRO-T0, published
// code. head is GeneratorHeadNorm, or GeneratorHeadPlain to leave LN out.
func GeneratorLogits(scope *model.Scope, c Encoder, states, tokenTable *Node, head string) *Node {
	x := layers.Dense(scope.In("transform"), states, tokenTable.Shape().Dim(-1), c.initializer())
	x = layers.Activations[c.Activation](x)
	if head == GeneratorHeadNorm {
		x = layers.LayerNorm(scope.In("norm"), x, c.Epsilon)
	}
	return tiedLogits(scope, x, tokenTable)
}

// generatorHeadWeights lists the weights of [GeneratorLogits] over tables of width e.
func generatorHeadWeights(c Encoder, e, vocab int, head string) []layers.Weight {
	weights := layers.Within("transform", layers.DenseWeights(c.Width, e, c.initializer())...)
	if head == GeneratorHeadNorm {
		weights = append(weights, layers.Within("norm", layers.LayerNormWeights(e)...)...)
	}
	return append(weights, outputBias(vocab))
}

// tiedLogits is x·Eᵀ + b for x [B, P, E], with an output bias that starts at 0.
func tiedLogits(scope *model.Scope, x, tokenTable *Node) *Node {
	bias := outputBias(tokenTable.Shape().Dim(0)).Node(scope, x)
	return Add(layers.Product(scope, "bpe,ve->bpv", x, tokenTable), ExpandLeftToRank(bias, 3))
}

// outputBias is the weight of [tiedLogits].
func outputBias(vocab int) layers.Weight {
	return layers.Weight{Part: "output_bias", Shape: []int{vocab}, Init: layers.InitZeros, Role: layers.RoleBias}
}

// CrossEntropy is the weighted mean of −log softmax(logits)[targets]: logits [B, P, V], targets [B, P] int32, weights
// [B, P], 0 at slots that hold nothing. It is the generator's loss and, on the main model's logits, the simplified
// CLM of METRO. With all weights 0 it is 0.
func CrossEntropy(logits, targets, weights *Node) *Node {
	return weightedMean(NegativeLogLikelihood(logits, targets), weights)
}

// NegativeLogLikelihood is −log softmax(logits)[targets]: logits [B, X, V], targets and result [B, X].
func NegativeLogLikelihood(logits, targets *Node) *Node {
	onTarget := OneHot(targets, logits.Shape().Dim(-1), logits.DType())
	return Neg(ReduceSum(Mul(onTarget, LogSoftmax(logits)), -1))
}

// weightedMean is Σ w·x / Σ w, and 0 where all weights are 0.
func weightedMean(x, weights *Node) *Node {
	return Div(ReduceAllSum(Mul(x, weights)), MaxScalar(ReduceAllSum(weights), 1e-9))
}
