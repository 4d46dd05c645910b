// SPDX-License-Identifier: Apache-2.0

package metro

// TermsOf builds what another objective and form trains on p, from the parts that p has built already: for tests that
// want all objectives in one graph.
func (p *Pass) TermsOf(objective, form string) []Term {
	p.Model.Config.Objective.CLM = form
	return objectives.get(objective).Build(p)
}

// Invert is the step that [SampleReplacements] takes twice.
var Invert = invert

// ForkPrefixes are the beginnings of paths that the rules of forks are about.
func ForkPrefixes() (prefixes []string) {
	for _, rule := range forkRules {
		prefixes = append(prefixes, rule.prefix)
	}
	return prefixes
}
