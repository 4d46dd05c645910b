// SPDX-License-Identifier: Apache-2.0

package metro

// replaceMLM is masked language modelling on rows whose masked positions hold the generator's samples in place of
// [MASK]: "Replace MLM", an ablation in ELECTRA's paper.
func replaceMLM(p *Pass) []Term {
	return append(p.GeneratorTerms(), p.lmTerm(p.AtPositions(p.States())))
}
