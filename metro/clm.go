// SPDX-License-Identifier: Apache-2.0

package metro

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"metrolab/layers"
)

// rtdCLM is replaced token detection over all real tokens and corrective language modelling at the masked positions:
// METRO with the simplified form, COCO-LM without sequence contrast with others.
func rtdCLM(p *Pass) []Term {
	form := p.Model.Config.Objective.CLM
	terms := p.GeneratorTerms()
	var rtdLogits *Node
	if form != CLMWithoutCopy {
		terms = append(terms, p.rtdTerm())
		rtdLogits = p.AtPositions(p.RTDLogits())
	}
	losses := correctiveLosses(form, p.CLMLogits(), p.Originals(), p.AtPositions(p.Corrupted()), rtdLogits)
	return append(terms, Term{"clm", p.Mean(losses, p.Batch.Weights), p.Scalars.CLMWeight})
}

// CorrectiveLogits is the corrective language model's head on states of the main model, [B, P, H]: h·Eᵀ + b, [B, P, V],
// with E, [V, E], the token table, no dense map between (COCO-LM) unless E is not H wide.
func CorrectiveLogits(scope *model.Scope, c Encoder, states, tokenTable *Node) *Node {
	if e := tokenTable.Shape().Dim(-1); e != c.Width {
		states = layers.Dense(scope.In("projection"), states, e, c.initializer())
	}
	return tiedLogits(scope, states, tokenTable)
}

// correctiveWeights lists the weights of [CorrectiveLogits] over tables of width e.
func correctiveWeights(c Encoder, e, vocab int) (weights []layers.Weight) {
	if e != c.Width {
		weights = layers.Within("projection", layers.DenseWeights(c.Width, e, c.initializer())...)
	}
	return append(weights, outputBias(vocab))
}

// CorrectiveLoss is corrective language modelling at the masked positions, the weighted mean over slots of
//
//	CLMSimplified, CLMWithoutCopy  −log q
//	CLMWeighted                    −(1−p)·log q
//	CLMMixture, CLMMixtureFlow     −log( 1[x = x̃]·p + (1−p)·q )
//
// where q = softmax(logits)[x], logits [B, P, V], is the probability of the original token x (targets, [B, P] int32),
// x̃ the token that the main model reads there (inputs, [B, P] int32), and p = 1 − σ(z) the probability of copying, z the
// RTD logit there (rtdLogits, [B, P]; not read by the first two forms). No gradient flows through p, but in
// CLMMixtureFlow. weights, [B, P], are 0 at slots that hold nothing. It panics on an unknown form. Sources: COCO-LM's
// paper (mixture), its authors' criterion and METRO-T0's code (weighted), METRO-T0's larger configs (simplified).
func CorrectiveLoss(form string, logits, targets, inputs, rtdLogits, weights *Node) *Node {
	return weightedMean(correctiveLosses(form, logits, targets, inputs, rtdLogits), weights)
}

// correctiveLosses is that of each slot, [B, P].
func correctiveLosses(form string, logits, targets, inputs, rtdLogits *Node) *Node {
	switch form {
	case CLMSimplified, CLMWithoutCopy:
		return NegativeLogLikelihood(logits, targets)
	case CLMWeighted:
		return Mul(Sigmoid(StopGradient(rtdLogits)), NegativeLogLikelihood(logits, targets))
	case CLMMixture:
		return copyMixture(logits, targets, StopGradient(rtdLogits), Equal(targets, inputs))
	case CLMMixtureFlow:
		return copyMixture(logits, targets, rtdLogits, Equal(targets, inputs))
	}
	exceptions.Panicf("metro: there is no form of corrective language modelling %q", form)
	return nil
}

// copyMixture is −log(1[unchanged]·p + (1−p)·q) with p = 1−σ(z), per element: logits [B, X, V], the others [B, X]. It is
// computed from log p and log(1−p), so that no z overflows.
func copyMixture(logits, targets, z, unchanged *Node) *Node {
	predicted := Sub(logSigmoid(z), NegativeLogLikelihood(logits, targets)) // log((1−p)·q)
	both := logAddExp(logSigmoid(Neg(z)), predicted)
	return Neg(Where(unchanged, both, predicted))
}

// logSigmoid is log σ(x) = min(x, 0) − log(1+exp(−|x|)).
func logSigmoid(x *Node) *Node { return Sub(MinScalar(x, 0), Log1p(Exp(Neg(Abs(x))))) }

// logAddExp is log(exp a + exp b).
func logAddExp(a, b *Node) *Node {
	return Add(Max(a, b), Log1p(Exp(Neg(Abs(Sub(a, b))))))
}
