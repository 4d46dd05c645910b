// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"metrolab/metro/metrics"
	"metrolab/viz/table"
)

// Table is one row an arm: the mean of the outcome and, for changes, the paired difference to the baseline with its
// 95 % interval, p after Holm, pairs and verdict.
func (r Results) Table() table.Table {
	t := table.Table{Columns: []table.Column{
		{Name: "arm"}, {Name: r.Study.Outcome.Label, Align: table.Right, Format: "%.3f"},
		{Name: "difference", Align: table.Right}, {Name: "95 % CI", Align: table.Right},
		{Name: "p (Holm)", Align: table.Right, Format: "%.4f"}, {Name: "pairs", Align: table.Right}, {Name: "verdict"},
	}}
	mean, n := r.baseline()
	t.Rows = append(t.Rows, []any{BaselineName, mean, nil, nil, nil, n, nil})
	for _, c := range r.Compare() {
		row := []any{c.Name, c.Mean, nil, nil, c.HolmP, c.Pairs, nil}
		if c.Pairs > 0 {
			row[2], row[6] = fmt.Sprintf("%+.3f", c.Diff), string(c.Verdict)
		}
		if finite(c.Low) {
			row[3] = fmt.Sprintf("[%+.3f, %+.3f]", c.Low, c.High)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// RunTable is one row a run: the outcome first, then the other metrics of the last evaluation, then what the run is.
func (r Results) RunTable() table.Table {
	names := r.metricNames()
	t := table.Table{}
	for _, name := range names {
		t.Columns = append(t.Columns, table.Column{Name: name, Align: table.Right, Format: metrics.Of(name).Format})
	}
	for _, name := range []string{"arm", "seed", "steps", "seconds", "state", "run"} {
		t.Columns = append(t.Columns, table.Column{Name: name, Format: "%.1f"})
	}
	for _, run := range r.Runs {
		var row []any
		for _, name := range names {
			if run.Ended {
				row = append(row, run.metric(name))
			} else {
				row = append(row, nil)
			}
		}
		t.Rows = append(t.Rows, append(row, run.Arm, run.Seed, run.Result.Steps, run.Result.Seconds, run.state(), run.ID))
	}
	return t
}

func (r Run) state() string {
	switch {
	case r.Result.Diverged != "":
		return "diverged"
	case r.Ended:
		return "finished"
	default:
		return "not finished"
	}
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
