// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"metrolab/internal/atomicfile"
	"metrolab/internal/machine"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
)

// Report is what a suite has measured, and where: the contents of its JSON file.
type Report struct {
	Schema      int             `json:"schema"`
	Suite       string          `json:"suite"` // "step", "components", "scale"
	Provenance  runs.Provenance `json:"provenance"`
	Load        []float64       `json:"load"` // of the machine over a minute, at the beginning, after each case, and at the end
	Interrupted bool            `json:"interrupted,omitempty"`
	Cases       []Case          `json:"cases"`
}

// reportSchema is the version of the JSON file.
const reportSchema = 1

// Case is one thing that was measured, several times over.
type Case struct {
	Name   string `json:"name"`             // "electra-small@128", "attention", "width ×4"
	Series string `json:"series,omitempty"` // what was varied, in the suite "scale"
	Factor int    `json:"factor,omitempty"` // by how much

	Rows   int          `json:"rows,omitempty"`   // of a step
	Length int          `json:"length,omitempty"` // tokens of a row
	Vocab  int          `json:"vocab,omitempty"`
	Text   string       `json:"text,omitempty"`  // "synthetic", or the corpus
	Steps  int          `json:"steps,omitempty"` // of a repetition
	FLOPs  *metro.FLOPs `json:"flops,omitempty"` // of a step

	Weights int `json:"weights,omitempty"` // of both models and all heads, those that do not learn too
	Active  int `json:"active,omitempty"`  // of these, those that one token meets: fewer only where it chooses among experts

	Samples map[string][]float64 `json:"samples"` // by the key of a [Metric], a value a repetition, in their order

	call func() error // what is timed, in the suite "components"
}

// add appends a repetition's value.
func (c *Case) add(key string, value float64) {
	if c.Samples == nil {
		c.Samples = map[string][]float64{}
	}
	c.Samples[key] = append(c.Samples[key], value)
}

// noteLoad writes down the load of this moment.
func (r *Report) noteLoad() {
	if load, known := machine.Load(); known {
		r.Load = append(r.Load, load)
	}
}

// Case returns the case of a name.
func (r Report) Case(name string) (Case, bool) {
	if i := slices.IndexFunc(r.Cases, func(c Case) bool { return c.Name == name }); i >= 0 {
		return r.Cases[i], true
	}
	return Case{}, false
}

// Where says in a line what the numbers are of: machine, backend, commit and load.
func (r Report) Where() string {
	p := r.Provenance
	processor := p.CPU
	if processor == "" {
		processor = p.Architecture
	}
	parts := []string{fmt.Sprintf("%d cores %s", p.Cores, processor), p.Backend.Name}
	if commit := p.Source.Commit; commit != "" {
		commit = "commit " + commit[:min(12, len(commit))]
		if p.Source.Dirty {
			commit += " with changes"
		}
		parts = append(parts, commit)
	}
	if len(r.Load) > 0 {
		parts = append(parts, fmt.Sprintf("load %.1f to %.1f", slices.Min(r.Load), slices.Max(r.Load)))
	}
	return strings.Join(append(parts, p.Started.Format("2006-01-02")), ", ")
}

// Write writes the report to a new file. A file that is there already is not touched: that is the user's error.
func (r Report) Write(path string) error {
	if err := CheckNew(path); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return atomicfile.WriteFile(path, append(text, '\n'))
}

// CheckNew returns the user's error if there is something at path.
func CheckNew(path string) error {
	switch _, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return usererr.New("%s cannot be written: %w; choose another name", path, err)
	default:
		return usererr.New("%s is there already, and nothing is written over; choose another name, or remove it", path)
	}
}

// ReadReport reads what [Report.Write] has written. A file that is none is the user's error.
func ReadReport(path string) (r Report, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return r, usererr.New("read a report: %w", err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, usererr.New("%s is no report of metro bench: %w", path, err)
	}
	if r.Schema != reportSchema {
		return r, usererr.New("%s is no report that this program reads: its schema is %d, not %d", path, r.Schema, reportSchema)
	}
	return r, nil
}
