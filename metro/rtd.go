// SPDX-License-Identifier: Apache-2.0

package metro

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/layers"
)

// rtd is replaced token detection over all real tokens: ELECTRA.
func rtd(p *Pass) []Term { return append(p.GeneratorTerms(), p.rtdTerm()) }

func (p *Pass) rtdTerm() Term {
	return Term{"rtd", p.Mean(RTDLosses(p.RTDLogits(), p.Replaced()), p.NonPad), p.Scalars.RTDWeight}
}

// RTDLogits scores every position of states, [B, S, H]: one logit each, [B, S], positive where the token seems
// replaced. With zeroInit the output weights start at 0, so that the loss starts at ln 2 whatever the encoder does
// (METRO-T0). head is RTDHeadLinear or RTDHeadProjected.
func RTDLogits(scope *model.Scope, c Encoder, states *Node, head string, zeroInit bool) *Node {
	x := states
	if head == RTDHeadProjected {
		x = layers.Activations[c.Activation](layers.Dense(scope.In("transform"), x, c.Width, c.initializer()))
	}
	return Squeeze(layers.Dense(scope.In("output"), x, 1, rtdInitializer(c, zeroInit)), -1)
}

// rtdHeadWeights lists the weights of [RTDLogits].
func rtdHeadWeights(c Encoder, head string, zeroInit bool) (weights []layers.Weight) {
	if head == RTDHeadProjected {
		weights = layers.Within("transform", layers.DenseWeights(c.Width, c.Width, c.initializer())...)
	}
	return append(weights, layers.Within("output", layers.DenseWeights(c.Width, 1, rtdInitializer(c, zeroInit))...)...)
}

// rtdInitializer is of the output weights.
func rtdInitializer(c Encoder, zeroInit bool) layers.Initializer {
	if zeroInit {
		return layers.InitZeros
	}
	return c.initializer()
}

// RTDLoss is the mean binary cross-entropy of logits, [B, S], over the tokens where counted, [B, S] bool, is true: label
// 1 = replaced, [B, S] bool. Every published recipe counts all real tokens, [CLS] and [SEP] included.
func RTDLoss(logits, replaced, counted *Node) *Node {
	return weightedMean(RTDLosses(logits, replaced), StopGradient(ConvertDType(counted, logits.DType())))
}

// RTDLosses is the binary cross-entropy of each logit: logits and replaced, bool, have the same shape, and so has the result.
func RTDLosses(logits, replaced *Node) *Node {
	// Labels have no gradient, and XLA cannot even compile one of booleans that were gathered.
	y := StopGradient(ConvertDType(replaced, logits.DType()))
	// max(z,0) − z·y + log(1+exp(−|z|)): no overflow for any z.
	return Add(Sub(MaxScalar(logits, 0), Mul(logits, y)), Log1p(Exp(Neg(Abs(logits)))))
}
