// SPDX-License-Identifier: Apache-2.0

package metro

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// allTokenLM predicts the original of every real token, with a copy probability that learns from this loss alone:
// "All-Tokens MLM", an ablation in ELECTRA's and COCO-LM's papers.
func allTokenLM(p *Pass) []Term {
	logits := p.LMLogits(p.States()) // [B, S, V]
	p.built["LMLogits"] = p.AtPositions(logits)
	unchanged := Not(p.Replaced())
	loss := p.Mean(copyMixture(logits, p.Batch.Tokens, p.RTDLogits(), unchanged), p.NonPad)
	return append(p.GeneratorTerms(), Term{"lm", loss, p.Scalars.CLMWeight})
}
