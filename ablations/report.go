// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"metrolab/internal/atomicfile"
	"metrolab/metro/runs"
	"metrolab/viz/report"
)

// The files of a study's folder beside its plan, [PlanFile], and its pictures.
const (
	ReportFile  = "report.html"
	ResultsFile = "results.csv"
)

// Files are the paths that Write has written, and what is missing there because it cannot be read.
type Files struct {
	Report, Results string
	Figures         []string
	Missing         []string
}

// Write puts the study's report, its results as CSV (one row a run), its pictures and its plan into dir, each replaced
// as a whole. What is written is what lies in the run store at that moment, and again if other processes have ended runs
// meanwhile, so that of several on one study the last leaves the whole of it. A folder that holds another study is the user's
// error.
func (r Results) Write(dir string) (Files, error) {
	for {
		before, found, err := planIn(dir)
		if err != nil {
			return Files{}, err
		}
		if found {
			if err := r.fits(dir); err != nil {
				return Files{}, err
			}
			r.Runs = slices.Clone(r.Runs)
			r.adopt(before)
		}
		r = r.Reload()
		files, err := r.write(dir)
		if err != nil || r.Reload().Ended() == r.Ended() {
			return files, err
		}
	}
}

func (r Results) write(dir string) (files Files, err error) {
	if err := atomicfile.MkdirAll(dir); err != nil {
		return files, fmt.Errorf("write the report: %w", err)
	}
	if err := runs.WriteJSON(filepath.Join(dir, PlanFile), r.Plan()); err != nil {
		return files, err
	}
	text, err := r.RunTable().CSV()
	if err != nil {
		return files, err
	}
	files.Results = filepath.Join(dir, ResultsFile)
	if err := atomicfile.WriteFile(files.Results, []byte(text)); err != nil {
		return files, fmt.Errorf("write the results: %w", err)
	}
	page, err := r.Report()
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
	files.Missing = page.Missing
	files.Report = filepath.Join(dir, ReportFile)
	return files, page.Save(files.Report)
}

// Report is the page of the study, with the curves of the runs that have started. What cannot be read is missing and named.
func (r Results) Report() (report.Report, error) {
	mean, n := r.baseline()
	page := report.Report{
		Title: "Study " + r.Study.Name, Summary: strings.TrimSpace(r.Study.Question + " " + r.Extra.Summary),
		Outcome: r.Study.Outcome.Label, LowerIsBetter: r.Study.Outcome.Better == LowerIsBetter,
		Baseline: report.Baseline{Name: BaselineName, Mean: mean, Runs: n},
		Effects:  r.effects(), Remark: r.FloorNote(),
		Costs: r.CostTable(), Runs: r.RunTable(), RunLabels: runLabels, Failed: map[int]string{}, Notes: slices.Concat(r.Extra.Notes, r.referenceNote()),
	}
	for i, run := range r.listed() {
		if why := r.without(run); why != "" {
			page.Failed[i] = why
		}
	}
	for _, arm := range r.Arms {
		page.Configs = append(page.Configs, report.Config{Name: arm.Name, Fields: fields(arm.Config)})
	}
	figures, unread, err := r.figures()
	if err != nil {
		return page, err
	}
	page.Figures = append(figures, r.Extra.Figures...)
	var unmade []string
	page.Provenance, unmade = r.provenance()
	for _, problem := range slices.Concat(r.Problems, unread, unmade) {
		if !slices.Contains(page.Missing, problem) {
			page.Missing = append(page.Missing, problem)
		}
	}
	return page, nil
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
