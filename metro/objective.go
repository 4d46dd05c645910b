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

var objectives = registry[ObjectiveFunc]{kind: "objective", entries: map[string]registered[ObjectiveFunc]{
	"mlm":          {1, mlm},
	"replace_mlm":  {1, replaceMLM},
	"rtd_masked":   {1, rtdMasked},
	"rtd":          {1, rtd},
	"all_token_lm": {1, allTokenLM},
	"rtd_clm":      {1, rtdCLM},
	"rtd_clm_scl":  {1, rtdCLMSCL},
}}

// RegisterObjective makes an objective of one's own available as objective.name, in configs, in studies and on the
// command line of a program that links it. Raise version when build changes what it computes: both enter a run's
// identity. It panics if the name is taken. Call it from an init function, or at the head of a notebook cell.
func RegisterObjective(name string, version int, build ObjectiveFunc) {
	objectives.add(name, version, build)
}
