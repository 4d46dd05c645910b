// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"maps"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// TermsOf builds what another objective trains on p, from the parts of a first pass that p has built already: for tests that
// want all objectives in one graph.
func (p *Pass) TermsOf(objective Objective) []Term {
	p.Model.Config.Objective = objective
	for _, path := range p.Model.Config.InputOptions() {
		p.Scalars.Options[path] = Scalar(p.Loss.Graph(), p.Loss.DType(), p.Model.Config.Option(path).(float64))
	}
	maps.DeleteFunc(p.built, func(name string, _ *Node) bool { return slices.Contains(partsOfSecond, name) })
	return objectives.get(objective.Name).Build(p)
}

// partsOfSecond are the parts of a pass that options of one objective decide.
var partsOfSecond = []string{"pseudoTargets", "secondInput", "secondReplaced", "mixedRows", "secondStates", "secondRTDLogits", "secondCLMLogits"}

// Replace puts x in the place of a part that p has built.
func (p *Pass) Replace(name string, x *Node) { p.built[name] = x }

// FromOtherRows is what [Pass] shuffles the targets of a second pass by.
var FromOtherRows = fromOtherRows

// Invert is the step that [SampleReplacements] takes twice.
var Invert = invert

// ForkPrefixes are the beginnings of paths that the rules of forks are about.
func ForkPrefixes() (prefixes []string) {
	for _, rule := range forkRules {
		prefixes = append(prefixes, rule.prefix)
	}
	return prefixes
}
