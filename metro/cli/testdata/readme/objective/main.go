// SPDX-License-Identifier: Apache-2.0

package main

import (
	. "github.com/gomlx/gomlx/core/graph"

	"metrolab/metro"
	"metrolab/metro/cli"
)

func main() {
	metro.RegisterObjective("rtd_flooded", 1, func(p *metro.Pass) []metro.Term {
		loss := metro.RTDLoss(p.RTDLogits(), p.Replaced(), p.NonPad)
		loss = AddScalar(Abs(AddScalar(loss, -0.1)), 0.1) // flooding, arXiv:2002.08709: the loss stays above 0.1
		return append(p.GeneratorTerms(), metro.Term{Name: "rtd_flooded", Loss: loss, Weight: p.Scalars.RTDWeight})
	})
	cli.Main()
}
