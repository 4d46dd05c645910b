// SPDX-License-Identifier: Apache-2.0

package metro

// rtdMasked is replaced token detection at the masked positions alone: "ELECTRA 15 %", an ablation in ELECTRA's paper.
func rtdMasked(p *Pass) []Term {
	replaced := p.AtPositions(p.Replaced())
	loss := p.Mean(RTDLosses(p.AtPositions(p.RTDLogits()), replaced), p.slotsInUse())
	return append(p.GeneratorTerms(), Term{"rtd", loss, p.Scalars.RTDWeight})
}
