// SPDX-License-Identifier: Apache-2.0

package metro

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/layers"
)

// RTDLogits scores every position of states, [B, S, H]: one logit each, [B, S], positive where the token seems
// replaced. The output weights start at 0, so that the loss starts at ln 2 whatever the encoder does (METRO-T0). head
// is RTDHeadLinear or RTDHeadProjected.
func RTDLogits(scope *model.Scope, c Encoder, states *Node, head string) *Node {
	x := states
	if head == RTDHeadProjected {
		x = layers.Activations[c.Activation](layers.Dense(scope.In("transform"), x, c.Width, c.initializer()))
	}
	return Squeeze(layers.Dense(scope.In("output"), x, 1, layers.InitZeros), -1)
}

// RTDLoss is the mean binary cross-entropy of logits, [B, S], over the real tokens: label 1 = replaced, [B, S] bool;
// nonPad [B, S] bool, [CLS] and [SEP] included as in every published recipe.
func RTDLoss(logits, replaced, nonPad *Node) *Node {
	y := ConvertDType(replaced, logits.DType())
	// max(z,0) − z·y + log(1+exp(−|z|)): no overflow for any z.
	perToken := Add(Sub(MaxScalar(logits, 0), Mul(logits, y)), Log1p(Exp(Neg(Abs(logits)))))
	return weightedMean(perToken, ConvertDType(nonPad, logits.DType()))
}
