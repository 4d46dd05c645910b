// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"metrolab/metro/runs"
	"metrolab/viz"
	"metrolab/viz/report"
	"metrolab/viz/table"
)

// The files of a study's folder.
const (
	PlanFile    = "study.json"
	ReportFile  = "report.html"
	ResultsFile = "results.csv"
)

// Extra is what a program adds to a report beside the study itself.
type Extra struct {
	Summary string       `json:"summary"` // a paragraph for the head of the page: data, size, machine
	Figures []viz.Figure `json:"figures"` // after the study's own
	Notes   []string     `json:"notes"`   // what the study cannot show
}

// Files are the paths that Write has written.
type Files struct {
	Report, Results string
	Figures         []string
}

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

// baseline returns the mean outcome of the baseline's ended runs and their number.
func (r Results) baseline() (mean float64, n int) {
	for _, v := range r.outcomes(BaselineName).BySeed {
		if finite(v) {
			mean += v
			n++
		}
	}
	return mean / float64(n), n // NaN where there is none
}

// RunTable is one row a run: the outcome first, then the other metrics of the last evaluation, then what the run is.
func (r Results) RunTable() table.Table {
	metrics := r.metricNames()
	t := table.Table{}
	for _, name := range metrics {
		t.Columns = append(t.Columns, table.Column{Name: name, Align: table.Right, Format: "%.4f"})
	}
	for _, name := range []string{"arm", "seed", "steps", "seconds", "state", "run"} {
		t.Columns = append(t.Columns, table.Column{Name: name, Format: "%.1f"})
	}
	for _, run := range r.Runs {
		var row []any
		for _, name := range metrics {
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

// Write puts the study's report, its results as CSV (one row a run), its pictures and its plan into dir, each replaced
// as a whole. The curves are read from the runs in store.
func (r Results) Write(dir string, store runs.Store, extra Extra) (Files, error) {
	var files Files
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return files, fmt.Errorf("write the report: %w", err)
	}
	plan := r.Plan()
	plan.Extra = extra
	if err := runs.WriteJSON(filepath.Join(dir, PlanFile), plan); err != nil {
		return files, err
	}
	text, err := r.RunTable().CSV()
	if err != nil {
		return files, err
	}
	files.Results = filepath.Join(dir, ResultsFile)
	if err := os.WriteFile(files.Results, []byte(text), 0o644); err != nil {
		return files, fmt.Errorf("write the results: %w", err)
	}
	page, err := r.report(store, extra)
	if err != nil {
		return files, err
	}
	for _, figure := range page.Figures {
		path, err := figure.Save(dir)
		if err != nil {
			return files, err
		}
		files.Figures = append(files.Figures, path)
	}
	files.Report = filepath.Join(dir, ReportFile)
	return files, page.Save(files.Report)
}

func (r Results) report(store runs.Store, extra Extra) (report.Report, error) {
	mean, n := r.baseline()
	page := report.Report{
		Title: "Study " + r.Study.Name, Summary: strings.TrimSpace(r.Study.Question + " " + extra.Summary),
		Outcome: r.Study.Outcome.Label, LowerIsBetter: r.Study.Outcome.Better == LowerIsBetter,
		Baseline: report.Baseline{Name: BaselineName, Mean: mean, Runs: n},
		Effects:  r.effects(), Runs: r.RunTable(), Failed: map[int]string{}, Notes: extra.Notes,
	}
	for i, run := range r.Runs {
		if run.Result.Diverged != "" {
			page.Failed[i] = run.Result.Diverged
		} else if !run.Ended {
			page.Failed[i] = "not finished"
		}
	}
	for _, arm := range r.Arms {
		page.Configs = append(page.Configs, report.Config{Name: arm.Name, Fields: fields(arm.Config)})
	}
	figures, err := r.figures(store)
	if err != nil {
		return page, err
	}
	page.Figures = append(figures, extra.Figures...)
	page.Provenance, err = r.provenance(store)
	return page, err
}

func (r Results) effects() []viz.Effect {
	var effects []viz.Effect
	for _, c := range r.Compare() {
		effects = append(effects, viz.Effect{
			Name: c.Name, Pairs: c.Pairs, Mean: c.Mean, Diff: c.Diff, Low: c.Low, High: c.High,
			P: c.P, HolmP: c.HolmP, Verdict: viz.Verdict(c.Verdict), Note: c.Note,
		})
	}
	return effects
}

// fields lists the values of v, a struct, by their dotted JSON paths.
func fields(v any) []report.Field {
	flat, err := runs.Flatten(v)
	if err != nil {
		return nil
	}
	var list []report.Field
	for _, path := range slices.Sorted(maps.Keys(flat)) {
		list = append(list, report.Field{Name: path, Value: fmt.Sprint(flat[path])})
	}
	return list
}

// provenance merges that of all runs that have started: one line a fact, with every value that occurred.
func (r Results) provenance(store runs.Store) ([]report.Field, error) {
	values := map[string][]string{}
	note := func(name string, value any) {
		if text := fmt.Sprint(value); text != "" && !slices.Contains(values[name], text) {
			values[name] = append(values[name], text)
		}
	}
	err := r.eachStarted(store, func(_ Run, dir *runs.Run) error {
		var p runs.Provenance
		if err := runs.ReadJSON(dir.Path(runs.ProvenanceFile), &p); err != nil {
			return err
		}
		note("revision", p.Source.Commit)
		note("uncommitted changes", map[bool]string{true: "yes", false: "no"}[p.Source.Dirty])
		note("command", strings.Join(p.Command, " "))
		note("go", strings.TrimSpace(p.Go+" "+p.Experiments))
		note("system", p.OS+"/"+p.Architecture)
		note("processor", fmt.Sprintf("%s, %d cores", p.CPU, p.Cores))
		note("backend", p.Backend.Name+" "+p.Backend.Platform)
		note("plugin", strings.TrimSpace(p.Backend.Plugin+" "+p.Backend.Version))
		note("date", p.Started.UTC().Format(time.DateOnly))
		for _, module := range []string{"github.com/gomlx/gomlx", "github.com/gomlx/compute", "github.com/gomlx/go-xla"} {
			note(module, p.Modules[module])
		}
		return nil
	})
	var list []report.Field
	for _, name := range slices.Sorted(maps.Keys(values)) {
		list = append(list, report.Field{Name: name, Value: strings.Join(values[name], "; ")})
	}
	return list, err
}
