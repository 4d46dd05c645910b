// SPDX-License-Identifier: Apache-2.0

package metro

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// ObjectiveFunc builds what is trained on one batch: its terms, from the parts that p builds on request.
type ObjectiveFunc func(p *Pass) []Term

// Term is one summand of the loss.
type Term struct {
	Name   string // of the metric: "rtd" is recorded as rtd_loss
	Loss   *Node  // scalar
	Weight *Node  // scalar; nil is 1
}

// ObjectiveEntry is a registered objective: what config field objective.name can name.
type ObjectiveEntry struct {
	Part
	Build ObjectiveFunc

	// Samples says that it asks for replaced tokens ([Pass.Samples] and what follows from them), so that the source of
	// replacements, the generator and their settings are in use.
	Samples bool
	// Heads says which of this package's heads on the main model it trains under a config: of "rtd", "clm", "lm" and "scl".
	// Each has its weight and its settings in the config. nil stands for not known: whatever the graph turns out to have.
	Heads func(c Config) []string
	// InParts says that its terms are [Pass.Mean]s, or made of what [Pass.Gather] returns, or means over rows, so that a step
	// in parts (training.accumulate) has the same loss and gradient. Of others, one part is all of a step.
	InParts bool
}

// train is a [ObjectiveEntry.Heads] that does not depend on the config.
func train(heads ...string) func(Config) []string { return func(Config) []string { return heads } }

// corrective adds the heads of corrective language modelling to others: CLMWithoutCopy trains no RTD.
func corrective(others ...string) func(Config) []string {
	return func(c Config) []string {
		heads := append([]string{HeadCLM}, others...)
		if c.Objective.CLM != CLMWithoutCopy {
			heads = append(heads, HeadRTD)
		}
		return heads
	}
}

var objectives = newRegistry("objective",
	ObjectiveEntry{Part{Name: "mlm", Version: 1}, mlm, false, train(HeadLM), true},
	ObjectiveEntry{Part{Name: "replace_mlm", Version: 1}, replaceMLM, true, train(HeadLM), true},
	ObjectiveEntry{Part{Name: "rtd_masked", Version: 1}, rtdMasked, true, train(HeadRTD), true},
	ObjectiveEntry{Part{Name: "rtd", Version: 1}, rtd, true, train(HeadRTD), true},
	ObjectiveEntry{Part{Name: "all_token_lm", Version: 1}, allTokenLM, true, train(HeadRTD, HeadLM), true},
	ObjectiveEntry{Part{Name: "rtd_clm", Version: 1}, rtdCLM, true, corrective(), true},
	ObjectiveEntry{Part{Name: "rtd_clm_scl", Version: 1}, rtdCLMSCL, true, corrective(HeadSCL), true},
	ObjectiveEntry{mistPart, rtdCLMMIST, true, corrective(), true},
	ObjectiveEntry{exitsPart, rtdCLMExits, true, exitsTrained, true},
)

// RegisterObjective makes an objective of one's own available as objective.name, in configs, in studies and on the
// command line of a program that links it, with its options as objective.options.NAME. Raise version when build changes
// what it computes: both enter a run's identity. It panics if the name is taken. Call it from an init function, or at the
// head of a notebook cell.
//
// Nothing is known of what it asks for, so that all of a config counts as in use, nor of its terms, so that a step is one
// part; [AddObjective] can say more.
func RegisterObjective(name string, version int, build ObjectiveFunc, options ...Option) {
	AddObjective(ObjectiveEntry{Part: Part{Name: name, Version: version, Options: options}, Build: build, Samples: true})
}

// AddObjective registers an objective with what it asks for; see [RegisterObjective].
func AddObjective(o ObjectiveEntry) { objectives.add(o) }

// objective is the entry of the config's objective, the zero entry if there is none.
func (c *Config) objective() ObjectiveEntry {
	entry, _ := objectives.find(c.Objective.Name)
	return entry
}
