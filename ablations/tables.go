// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"metrolab/viz/table"
)

// Table is one row an arm: the mean of the outcome and, for changes, the paired difference to the baseline with its
// 95 % interval, p after Holm, pairs and verdict. Where an arm has fewer pairs than the baseline has seeds, a column says what
// the baseline's mean over the same pairs is.
func (r Results) Table() table.Table {
	baseline := r.outcomes(BaselineName, nil)
	baseline.Name = BaselineName
	return comparisonTable(r.Study.Outcome.Label, r.Study.Outcome.digits(), baseline, r.Compare(), r.References())
}

// digits is how many of an outcome a table shows, as the end of a format: three decimals, or four digits of what is counted.
func (o Outcome) digits() string {
	if how, _ := readingOf(o.Metric); how.resource != "" {
		return ".4g"
	}
	return ".3f"
}

func comparisonTable(label, digits string, baseline Outcomes, comparisons []Comparison, references []Reference) table.Table {
	t := table.Table{Columns: []table.Column{
		{Name: "arm"}, {Name: label, Align: table.Right, Format: "%" + digits},
		{Name: "difference", Align: table.Right}, {Name: "95 % CI", Align: table.Right},
		{Name: "p (Holm)", Align: table.Right, Format: "%.4f"}, {Name: "pairs", Align: table.Right}, {Name: "verdict"},
	}}
	mean, n := meanOf(baseline), len(baseline.BySeed)-len(failedSeeds(baseline))
	t.Rows = append(t.Rows, []any{baseline.Name, mean, nil, nil, nil, n, nil})
	partial := []any{nil}
	for _, c := range comparisons {
		row := []any{c.Name, c.Mean, nil, nil, c.HolmP, c.Pairs, nil}
		if c.Pairs > 0 {
			row[2] = fmt.Sprintf("%+"+digits, c.Diff)
		}
		if c.Pairs > 0 || c.Verdict == None {
			row[6] = c.Says()
		}
		if finite(c.Low) {
			row[3] = fmt.Sprintf("[%+"+digits+", %+"+digits+"]", c.Low, c.High)
		}
		t.Rows, partial = append(t.Rows, row), append(partial, c.BaselineMean)
	}
	for _, reference := range references {
		t.Rows, partial = append(t.Rows, []any{"(" + reference.Label + ")", reference.Value, nil, nil, nil, nil, nil}), append(partial, nil)
	}
	if slices.ContainsFunc(comparisons, func(c Comparison) bool { return c.Pairs > 0 && c.Pairs < n }) {
		t.Columns = slices.Insert(t.Columns, 2, table.Column{Name: "baseline", Align: table.Right, Format: "%" + digits})
		for i := range t.Rows {
			t.Rows[i] = slices.Insert(t.Rows[i], 2, partial[i])
		}
	}
	return t
}

// runLabels are the columns of [Results.RunTable] that say which run a row is.
const runLabels = 2

// RunTable is one row a run: its arm and seed, the outcome, then the other metrics of the last evaluation, then what else
// the run is and what it cost. Where arms are forks, a column says how many of its steps are another run's, which its costs leave
// out; where the outcome is the cost of a target, one says which runs never reached it.
func (r Results) RunTable() table.Table {
	names := r.metricNames()
	t := table.Table{Columns: []table.Column{{Name: "arm"}, {Name: "seed", Align: table.Right}}}
	for _, name := range names {
		t.Columns = append(t.Columns, table.Column{Name: name, Align: table.Right, Format: describe(name).Format})
	}
	t.Columns = append(t.Columns, table.Column{Name: "steps"})
	forks := slices.ContainsFunc(r.Arms, func(a Arm) bool { return r.Study.shared(a.Name, a.Config) > 0 })
	if forks {
		t.Columns = append(t.Columns, table.Column{Name: "shared_steps"})
	}
	t.Columns = append(t.Columns, table.Column{Name: "seconds", Format: "%.1f"})
	more := slices.DeleteFunc(r.known(), func(c cost) bool { return c.key == "seconds" })
	for _, c := range more {
		t.Columns = append(t.Columns, table.Column{Name: c.key, Align: table.Right, Format: "%.4g"})
	}
	how, _ := readingOf(r.Study.Outcome.Metric)
	if how.resource != "" {
		t.Columns = append(t.Columns, table.Column{Name: "censored"})
	}
	t.Columns = append(t.Columns, table.Column{Name: "state"}, table.Column{Name: "run"})
	for _, run := range r.listed() {
		row := []any{run.Arm, run.Seed}
		for _, name := range names {
			if v, measured := run.metric(name); run.Ended && measured {
				row = append(row, v)
			} else {
				row = append(row, nil)
			}
		}
		config := r.config(run.Arm)
		row = append(row, run.Result.Steps)
		if forks {
			row = append(row, r.Study.shared(run.Arm, config))
		}
		row = append(row, run.Result.Seconds-run.Result.Before)
		for _, c := range more {
			if v := c.of(r, run, config); run.Ended && v > 0 {
				row = append(row, v)
			} else {
				row = append(row, nil)
			}
		}
		if how.resource != "" {
			row = append(row, map[bool]any{true: run.read.censored, false: nil}[run.Ended && run.Result.Diverged == ""])
		}
		t.Rows = append(t.Rows, append(row, run.state(), run.ID))
	}
	return t
}

func (r Run) state() string {
	switch {
	case r.problem != "":
		return "damaged"
	case r.Result.Diverged != "":
		return "diverged"
	case r.Ended:
		return "finished"
	default:
		return "not finished"
	}
}

// without says why a run has no outcome; empty if it has one.
func (r Results) without(run Run) string {
	if run.problem != "" {
		return run.problem
	}
	if !run.Ended {
		return "not finished"
	}
	if _, measured := run.metric(r.Study.Outcome.Metric); !measured {
		return "has not measured " + r.Study.Outcome.Metric
	}
	return run.Result.Diverged
}

// metricNames lists the metrics of all runs, the study's outcome first, then the other frozen sets', then by name.
func (r Results) metricNames() []string {
	found := map[string]bool{r.Study.Outcome.Metric: true}
	for _, run := range r.Runs {
		for name := range run.Result.Metrics {
			found[name] = true
		}
	}
	rank := func(name string) string {
		switch {
		case name == r.Study.Outcome.Metric:
			return "0"
		case strings.HasPrefix(name, "frozen_"):
			return "1" + name
		default:
			return "2" + name
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b string) int { return strings.Compare(rank(a), rank(b)) })
}

// VerdictTable is one row a change, as data: the numbers of its [Comparison], in full. What is not known is empty.
func (r Results) VerdictTable() table.Table {
	t := table.Table{Columns: []table.Column{
		{Name: "arm"}, {Name: "outcome"}, {Name: "verdict"}, {Name: "pairs", Align: table.Right},
	}}
	for _, name := range []string{"mean", "baseline_mean", "difference", "sd", "low", "high", "p", "p_holm"} {
		t.Columns = append(t.Columns, table.Column{Name: name, Align: table.Right, Format: "%.4g"})
	}
	t.Columns = append(t.Columns, table.Column{Name: "note"})
	for _, c := range r.Compare() {
		row := []any{c.Name, r.Study.Outcome.Metric, c.Says(), c.Pairs}
		for _, v := range []float64{c.Mean, c.BaselineMean, c.Diff, c.SD, c.Low, c.High, c.P, c.HolmP} {
			if finite(v) {
				row = append(row, v)
			} else {
				row = append(row, nil)
			}
		}
		t.Rows = append(t.Rows, append(row, c.Note))
	}
	return t
}
