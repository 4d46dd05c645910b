// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"metrolab/metro/runs"
	"metrolab/viz/report"
)

// provenance merges that of all runs that have started: one line a fact, with every value that occurred. Problems are what
// cannot be read.
func (r Results) provenance() (list []report.Field, problems []string) {
	values := map[string][]string{}
	note := func(name string, value any) {
		if text := fmt.Sprint(value); text != "" && !slices.Contains(values[name], text) {
			values[name] = append(values[name], text)
		}
	}
	if p := r.Planned; p != nil && p.Hash != "" {
		note("plan", fmt.Sprintf("%s, written down %s before the first run, sha256 %.12s", seedList(p.Seeds), p.Date.Format(time.DateTime), p.Hash))
	}
	problems = r.eachStarted(func(_ Run, dir *runs.Run) error {
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
	unlike, unread := r.unlikePairs()
	note("unlike machines", unlike)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		list = append(list, report.Field{Name: name, Value: strings.Join(values[name], "; ")})
	}
	return list, append(problems, unread...)
}

// unlikePairs says which pairs stand on runs that were made in ways that may give other numbers to the same run; empty if
// none does. See [runs.Provenance.Numerics]. Problems are what cannot be read.
func (r Results) unlikePairs() (unlike string, problems []string) {
	made := map[string]map[string]string{} // by run: what may change numbers
	problems = r.eachStarted(func(run Run, dir *runs.Run) error {
		attempts, err := dir.Attempts()
		if err != nil {
			return err
		}
		made[run.ID] = map[string]string{}
		for _, p := range attempts {
			for name, value := range p.Numerics() {
				if before, ok := made[run.ID][name]; ok && before != value {
					value = before + " and " + value
				}
				made[run.ID][name] = value
			}
		}
		return nil
	})
	baselines := map[int64]map[string]string{}
	for _, run := range r.Runs {
		if run.Arm == BaselineName {
			baselines[run.Seed] = made[run.ID]
		}
	}
	var pairs []string
	for _, run := range r.Runs {
		baseline := baselines[run.Seed]
		if run.Arm == BaselineName || made[run.ID] == nil || baseline == nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(made[run.ID])) {
			if a, b := baseline[name], made[run.ID][name]; a != b {
				pairs = append(pairs, fmt.Sprintf("%s, seed %d: %s is %s and the baseline's %s", run.Arm, run.Seed, name, b, a))
			}
		}
	}
	return strings.Join(pairs, "; "), problems
}
