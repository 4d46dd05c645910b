// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"slices"

	"metrolab/metro"
	"metrolab/viz/table"
)

// cost is something that a run takes by itself: of a fork, what the steps take that it does not share, so that a trunk counts once.
type cost struct {
	key   string // of its column in the table of runs
	name  string // of its column in the table of costs
	scale float64
	of    func(r Results, run Run, c metro.Config) float64 // 0 where it is not known
}

// costs are what a score cost. The first four follow from the config, whatever the machine; the others are of the machine. What the
// model that a run begins with has cost is left out in some, and charged in others, which stand where an arm begins with one.
var costs = []cost{
	{"tokens", "Mtokens", 1e-6, func(r Results, run Run, c metro.Config) float64 { return r.Study.spentAlone(run, c, MatchTokens) }},
	{"flops", "TFLOP", 1e-12, func(r Results, run Run, c metro.Config) float64 { return r.Study.spentAlone(run, c, MatchFLOPs) }},
	{"tokens_with_source", "Mtokens with source", 1e-6, func(r Results, run Run, c metro.Config) float64 { return r.withSource(run, c, MatchTokens) }},
	{"flops_with_source", "TFLOP with source", 1e-12, func(r Results, run Run, c metro.Config) float64 { return r.withSource(run, c, MatchFLOPs) }},
	{"seconds", "minutes", 1. / 60, func(_ Results, run Run, _ metro.Config) float64 { return run.Result.Seconds - run.Result.Before }},
	{"processor_seconds", "processor minutes", 1. / 60, func(_ Results, run Run, _ metro.Config) float64 {
		return run.Result.ProcessorSeconds - run.Result.ProcessorBefore
	}},
	{"memory", "memory, MB", 1e-6, func(_ Results, run Run, _ metro.Config) float64 { return float64(run.Result.Memory) }},
}

// stepsAlone are the steps of a run that are no other's.
func (s Study) stepsAlone(r Run, c metro.Config) int {
	return max(0, r.Result.Steps-s.shared(r.Arm, c))
}

// spentAlone is what these steps cost of a resource that follows from the config; 0 where it cannot be counted.
func (s Study) spentAlone(r Run, c metro.Config, resource string) float64 {
	if c.Data.SeqLen == 0 {
		return 0 // its arm is not known
	}
	c.Seed = r.Seed
	spent, err := costBetween(c, resource, r.Result.Steps-s.stepsAlone(r, c), r.Result.Steps)
	if err != nil {
		return 0
	}
	return spent
}

// spent is what a run of an arm, c with the run's seed, has cost of a resource after so many steps: those that it shares with the
// baseline cost what they cost there.
func (s Study) spent(resource, arm string, c metro.Config, steps float64) (float64, error) {
	if resource == MatchSteps {
		return steps, nil
	}
	if !s.branches(arm) {
		return costBetween(c, resource, 0, int(steps))
	}
	trunk, shared := s.Baseline, min(int(steps), s.Fork.Step)
	trunk.Seed = c.Seed
	before, err := costBetween(trunk, resource, 0, shared)
	if err != nil {
		return 0, err
	}
	own, err := costBetween(c, resource, shared, int(steps))
	return before + own, err
}

// costBetween is what the steps of c from the one after begin on, up to end, cost of a resource: their tokens, or their operations over
// as many tokens of the vocabulary as the config asks for.
func costBetween(c metro.Config, resource string, begin, end int) (float64, error) {
	if resource == MatchTokens {
		return float64(c.Training.BatchSize*c.Data.SeqLen) * float64(end-begin), nil
	}
	before, err := c.RunFLOPs(c.Data.VocabSize, begin)
	if err != nil {
		return 0, err
	}
	all, err := c.RunFLOPs(c.Data.VocabSize, end)
	return all - before, err
}

// known are the costs that are known of any run that has ended.
func (r Results) known() []cost {
	return slices.DeleteFunc(slices.Clone(costs), func(c cost) bool {
		return !slices.ContainsFunc(r.Runs, func(run Run) bool { return run.Ended && c.of(r, run, r.config(run.Arm)) > 0 })
	})
}

// CostTable is one row an arm: the mean of its outcome, and what a run took, as the mean over those that have ended: steps,
// tokens of the rows, floating-point operations of the matrix products (see [metro.FLOPs]), wall time, time of all cores
// together, and the most memory that the process held. Of a fork that is what it took from its first own step on: the steps
// before are the trunk's. Where an arm begins with a trained model, tokens and operations stand twice: without what that model
// had cost, and with all of it for every run.
func (r Results) CostTable() table.Table {
	known := r.known()
	t := table.Table{Columns: []table.Column{
		{Name: "arm"}, {Name: r.Study.Outcome.Label, Align: table.Right, Format: "%" + r.Study.Outcome.digits()}, {Name: "runs", Align: table.Right}, {Name: "steps", Align: table.Right, Format: "%.0f"},
	}}
	for _, c := range known {
		t.Columns = append(t.Columns, table.Column{Name: c.name, Align: table.Right, Format: "%.3g"})
	}
	for _, arm := range r.Arms {
		ended := slices.DeleteFunc(slices.Clone(r.Runs), func(run Run) bool { return run.Arm != arm.Name || !run.Ended })
		row := []any{arm.Name, meanOf(r.outcomes(arm.Name, nil)), len(ended), mean(ended, func(run Run) float64 { return float64(r.Study.stepsAlone(run, arm.Config)) })}
		for _, c := range known {
			row = append(row, c.scale*mean(ended, func(run Run) float64 { return c.of(r, run, arm.Config) }))
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
	for _, seed := range sortedSeeds(o) { // in an order of their own, sums would differ in their last digit
		if v := o.BySeed[seed]; finite(v) {
			sum, n = sum+v, n+1
		}
	}
	return sum / float64(n)
}
