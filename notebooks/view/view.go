// SPDX-License-Identifier: Apache-2.0

package view

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro/runs"
	"metrolab/viz"
	"metrolab/viz/table"
)

// Root is the folder of the runs: $METROLAB_RUNS, or the folder runs of the checkout that the kernel belongs to, or of the
// working directory.
func Root() string {
	if root := os.Getenv("METROLAB_RUNS"); root != "" {
		return root
	}
	return filepath.Join(os.Getenv("METROLAB_ROOT"), "runs")
}

// Run is a run on disk, finished or not.
type Run struct {
	*runs.Run
	Name    string // as it was given when the run was made; of older runs the ID without the hash
	Rows    []runs.Row
	Metrics runs.Values // the last evaluation, of a finished run
	Seconds float64     // of wall time, of a finished run
}

// Open finds a run by its ID, or by the beginning of it if no other run's begins so: "first" for first-0123456789.
func Open(id string) *Run { return Must(open(id)) }

func open(id string) (*Run, error) {
	store := runs.Store{Root: Root()}
	list, err := store.List()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, run := range list {
		if run.ID == id {
			found = []string{id}
			break
		}
		if strings.HasPrefix(run.ID, id) {
			found = append(found, run.ID)
		}
	}
	if len(found) != 1 {
		return nil, unclear(id, found, list)
	}
	run, err := store.Open(found[0])
	if err != nil {
		return nil, err
	}
	return load(run)
}

// unclear is the error for a name that means no run, or several.
func unclear(id string, found []string, all []runs.Summary) error {
	if len(found) > 1 {
		return usererr.New("%q could be any of %s; write more of the ID", id, strings.Join(found, ", "))
	}
	var ids []string
	for _, run := range all {
		ids = append(ids, run.ID)
	}
	if len(ids) == 0 {
		return usererr.New("there is no run %q: %s holds none yet; train one first", id, Root())
	}
	const shown = 8
	more := ""
	if len(ids) > shown {
		more = fmt.Sprintf(" and %d more (view.List shows all)", len(ids)-shown)
	}
	return usererr.New("there is no run %q in %s; there are %s%s", id, Root(), strings.Join(ids[:min(shown, len(ids))], ", "), more)
}

// load reads what a run has measured.
func load(run *runs.Run) (*Run, error) {
	r := &Run{Run: run, Name: run.Summary().Name}
	var given struct {
		Name string `json:"name"`
	}
	if runs.ReadJSON(run.Path(runs.ConfigFile), &given) == nil && given.Name != "" {
		r.Name = given.Name
	}
	var result struct {
		Metrics runs.Values `json:"metrics"`
		Seconds float64     `json:"seconds"`
	}
	if err := runs.ReadSealed(run.Path(runs.ResultFile), &result); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	r.Metrics, r.Seconds = result.Metrics, result.Seconds
	var err error
	if r.Rows, err = run.ReadMetrics(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return r, nil
}

// Load reads the run in a store's directory: for a run that this program has trained.
func Load(run *runs.Run) *Run { return Must(load(run)) }

// Config decodes the config that the run was trained with, and whatever else decides its numbers, into v: a
// training.RunIdentity, or a struct with the fields one wants.
func (r *Run) Config(v any) {
	var document json.RawMessage
	Check(runs.ReadJSON(r.Path(runs.ConfigFile), &document))
	Check(json.Unmarshal(document, v))
}

// Line is a metric over steps. A metric that the run has not recorded ends the cell with a line that lists those it has.
func (r *Run) Line(metric string) viz.Line { return Must(r.line(metric)) }

func (r *Run) line(metric string) (viz.Line, error) {
	x, y := runs.Curve(r.Rows, metric)
	line := viz.Line{X: x, Y: y}
	if len(x) > 0 {
		return line, nil
	}
	return line, usererr.New("run %s has no metric %q; it has %s", r.ID, metric, strings.Join(runs.Recorded(r.Rows), ", "))
}

// List is a table of all runs.
func List() table.Table {
	t := table.Table{Columns: []table.Column{
		{Name: "run"}, {Name: "state"}, {Name: "step", Align: table.Right}, {Name: "of", Align: table.Right}, {Name: "last change"},
	}}
	for _, run := range Must(runs.Store{Root: Root()}.List()) {
		t.Rows = append(t.Rows, []any{run.ID, string(run.State), run.Step, run.Total, run.Modified.Format("2006-01-02 15:04")})
	}
	return t
}
