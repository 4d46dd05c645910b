// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"slices"

	"metrolab/metro"
	"metrolab/viz/table"
)

// cost is something that a run takes.
type cost struct {
	key   string // of its column in the table of runs
	name  string // of its column in the table of costs
	scale float64
	of    func(r Run, c metro.Config) float64 // 0 where it is not known
}

// costs are what a score cost. The first two follow from the config, whatever the machine; the others are of the machine.
var costs = []cost{
	{"tokens", "Mtokens", 1e-6, func(r Run, c metro.Config) float64 { return spent(r, c, MatchTokens) }},
	{"flops", "TFLOP", 1e-12, func(r Run, c metro.Config) float64 { return spent(r, c, MatchFLOPs) }},
	{"seconds", "minutes", 1. / 60, func(r Run, _ metro.Config) float64 { return r.Result.Seconds }},
	{"processor_seconds", "processor minutes", 1. / 60, func(r Run, _ metro.Config) float64 { return r.Result.ProcessorSeconds }},
	{"memory", "memory, MB", 1e-6, func(r Run, _ metro.Config) float64 { return float64(r.Result.Memory) }},
}

// spent is what a run's steps cost of a resource that follows from its config; 0 where it cannot be counted.
func spent(r Run, c metro.Config, resource string) float64 {
	if c.Data.SeqLen == 0 {
		return 0 // its arm is not known
	}
	step, err := costOf(c, resource)
	if err != nil {
		return 0
	}
	return step * float64(r.Result.Steps)
}

// known are the costs that are known of any run that has ended.
func (r Results) known() []cost {
	return slices.DeleteFunc(slices.Clone(costs), func(c cost) bool {
		return !slices.ContainsFunc(r.Runs, func(run Run) bool { return run.Ended && c.of(run, r.config(run.Arm)) > 0 })
	})
}

// CostTable is one row an arm: the mean of its outcome, and what a run took, as the mean over those that have ended: steps,
// tokens of the rows, floating-point operations of the matrix products (see [metro.FLOPs]), wall time, time of all cores
// together, and the most memory that the process held.
func (r Results) CostTable() table.Table {
	known := r.known()
	t := table.Table{Columns: []table.Column{
		{Name: "arm"}, {Name: r.Study.Outcome.Label, Align: table.Right, Format: "%.3f"}, {Name: "runs", Align: table.Right}, {Name: "steps", Align: table.Right, Format: "%.0f"},
	}}
	for _, c := range known {
		t.Columns = append(t.Columns, table.Column{Name: c.name, Align: table.Right, Format: "%.3g"})
	}
	for _, arm := range r.Arms {
		ended := slices.DeleteFunc(slices.Clone(r.Runs), func(run Run) bool { return run.Arm != arm.Name || !run.Ended })
		row := []any{arm.Name, meanOf(r.outcomes(arm.Name, nil)), len(ended), mean(ended, func(run Run) float64 { return float64(run.Result.Steps) })}
		for _, c := range known {
			row = append(row, c.scale*mean(ended, func(run Run) float64 { return c.of(run, arm.Config) }))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// mean is that of a number over runs; NaN for none.
func mean(list []Run, of func(Run) float64) float64 {
	sum := 0.0
	for _, run := range list {
		sum += of(run)
	}
	return sum / float64(len(list))
}

// meanOf is the mean of the outcomes that are numbers; NaN where there is none.
func meanOf(o Outcomes) float64 {
	sum, n := 0.0, 0
	for _, v := range o.BySeed {
		if finite(v) {
			sum, n = sum+v, n+1
		}
	}
	return sum / float64(n)
}
