// SPDX-License-Identifier: Apache-2.0

package metro

import . "github.com/gomlx/gomlx/core/graph"

// mlm is masked language modelling by the main model, without a generator: BERT.
func mlm(p *Pass) []Term {
	return []Term{p.lmTerm(p.AtPositions(p.MaskedStates()))}
}

// lmTerm is the cross-entropy of the full language modelling head on states, [B, P, H], of the masked positions.
func (p *Pass) lmTerm(states *Node) Term {
	p.built["LMLogits"] = p.LMLogits(states)
	return Term{"lm", p.Mean(NegativeLogLikelihood(p.built["LMLogits"], p.Originals()), p.Batch.Weights), p.Scalars.CLMWeight}
}
