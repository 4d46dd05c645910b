// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"

	"metrolab/viz"
	"metrolab/viz/internal/files"
	"metrolab/viz/table"
)

// Report is everything a reader needs to believe, doubt or repeat a study. It becomes one HTML file that loads nothing:
// no script, no network; it follows the reader's light or dark setting, fits a phone and prints.
type Report struct {
	Title         string
	Summary       string // one paragraph: what was compared, on which data, at which size
	Outcome       string // the outcome that was fixed beforehand
	LowerIsBetter bool
	Baseline      Baseline
	Effects       viz.Effects // one an arm
	Remark        string      // a sentence below the effects, such as what rounding alone gives; may be empty
	Missing       []string    // what should stand here and cannot be read, one line each
	Figures       []viz.Figure
	Costs         table.Table    // one row an arm: its outcome and what it cost; none to leave it out
	Runs          table.Table    // one row a run: RunLabels columns that say which, then the outcome, then the rest
	RunLabels     int            // these stay in view while the others are scrolled
	Failed        map[int]string // rows of Runs, from 0, that have no outcome, and why
	Configs       []Config       // the first is the baseline's, with which the others are compared
	Provenance    []Field        // where the numbers come from: revision, versions, machine
	Notes         []string       // what the study cannot show
}

// Baseline is what every arm is compared with.
type Baseline struct {
	Name string
	Mean float64 // of the outcome over its seeds
	Runs int     // number of seeds with an outcome
}

// Config is the full configuration of one arm.
type Config struct {
	Name   string
	Fields []Field
}

// Field is a name, such as a dotted path, with its value.
type Field struct {
	Name, Value string
}

var (
	//go:embed report.css
	reportCSS string
	//go:embed report.html.tmpl
	reportHTML string

	reportTemplate = template.Must(template.New("report").Parse(reportHTML))
)

// HTML returns the file. It fails on input that a reader would be misled by: no title, outcome or arm, a verdict or an
// interval that makes no sense, a figure without a picture, rows that do not match their columns.
func (r Report) HTML() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("viz: report %q: %w", r.Title, err)
	}
	var b bytes.Buffer
	if err := reportTemplate.Execute(&b, r.view()); err != nil {
		return nil, fmt.Errorf("viz: report %q: %w", r.Title, err)
	}
	return b.Bytes(), nil
}

// Save writes the file to path, making its folder where it does not exist. An older file stays whole if anything fails.
func (r Report) Save(path string) error {
	page, err := r.HTML()
	if err != nil {
		return err
	}
	return files.Write(path, page)
}

func (r Report) check() error {
	if r.Title == "" || r.Outcome == "" || r.Baseline.Name == "" {
		return fmt.Errorf("it needs a title, an outcome and a baseline name; got %q, %q and %q", r.Title, r.Outcome, r.Baseline.Name)
	}
	if err := r.Effects.Check(); err != nil {
		return err
	}
	for i, f := range r.Figures {
		if len(f.PNG) == 0 || f.Alt == "" {
			return fmt.Errorf("figure %d (%q) has no picture or no caption", i+1, f.Name)
		}
	}
	if len(r.Costs.Rows) > 0 {
		if err := r.Costs.Check(); err != nil {
			return err
		}
	}
	for row := range r.Failed {
		if row < 0 || row >= len(r.Runs.Rows) {
			return fmt.Errorf("failed run %d is not among the %d runs", row, len(r.Runs.Rows))
		}
	}
	if len(r.Runs.Columns) == 0 && len(r.Runs.Rows) == 0 {
		return nil
	}
	if r.RunLabels < 0 || r.RunLabels >= len(r.Runs.Columns) {
		return fmt.Errorf("%d columns say which run it is, of %d columns, and none is left for the outcome", r.RunLabels, len(r.Runs.Columns))
	}
	return r.Runs.Check()
}
