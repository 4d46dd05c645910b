// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"metrolab/metro/runs"
	"metrolab/viz/report"
)

// provenance merges that of all attempts at all runs that have started: one line a fact, with every value that occurred.
// Problems are what cannot be read.
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
		attempts, err := dir.Attempts()
		for _, p := range attempts {
			note("revision", p.Source.Commit)
			note("uncommitted changes", map[bool]string{true: "yes", false: "no"}[p.Source.Dirty])
			note("command", strings.Join(p.Command, " "))
			note("go", strings.TrimSpace(p.Go+" "+p.Experiments))
			note("system", p.OS+"/"+p.Architecture)
			note("processor", fmt.Sprintf("%s, %d cores", p.CPU, p.Cores))
			note("accelerators", strings.Join(p.Accelerators, ", "))
			note("backend", p.Backend.Name+" "+p.Backend.Platform)
			note("plugin", strings.TrimSpace(p.Backend.Plugin+" "+p.Backend.Version))
			note("date", p.Started.UTC().Format(time.DateOnly))
			for _, module := range []string{"github.com/gomlx/gomlx", "github.com/gomlx/compute", "github.com/gomlx/go-xla"} {
				note(module, p.Modules[module])
			}
			for _, variable := range slices.Sorted(maps.Keys(p.Environment)) {
				note("environment", variable+"="+p.Environment[variable])
			}
		}
		return err
	})
	unlike, unread := r.unlikePairs()
	note("unlike machines", unlike)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		list = append(list, report.Field{Name: name, Value: strings.Join(values[name], "; ")})
	}
	return list, append(problems, unread...)
}

// unlikePairs says which runs were made in ways that may give other numbers to the same run, one after the other in a run, or
// one in a run and another in its baseline; empty if none was. See [runs.Provenance.Numerics]. Problems are what cannot be read.
func (r Results) unlikePairs() (unlike string, problems []string) {
	type key struct{ id, tuned string }
	made := map[key]ways{}
	problems = r.eachStarted(func(run Run, dir *runs.Run) error {
		attempts, err := dir.Attempts()
		if run.Tuned != "" && err == nil {
			var tuned *runs.Run
			if tuned, err = r.Store.Open(run.Tuned); err == nil {
				var more []runs.Provenance
				more, err = tuned.Attempts()
				attempts = append(attempts, more...)
			}
		}
		made[key{run.ID, run.Tuned}] = waysOf(attempts)
		return err
	})
	baselines := map[int64]ways{}
	for _, run := range r.Runs {
		if run.Arm == BaselineName {
			baselines[run.Seed] = made[key{run.ID, run.Tuned}]
		}
	}
	var phrases []string
	for _, run := range r.Runs {
		own, baseline := made[key{run.ID, run.Tuned}], baselines[run.Seed]
		names := maps.Clone(own)
		if own != nil {
			maps.Copy(names, baseline)
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			if len(own[name]) > 1 {
				phrases = append(phrases, fmt.Sprintf("%s, seed %d: %s was %s", run.Arm, run.Seed, name, own.of(name)))
			} else if a, b := baseline.of(name), own.of(name); baseline != nil && a != b {
				phrases = append(phrases, fmt.Sprintf("%s, seed %d: %s is %s and the baseline's %s", run.Arm, run.Seed, name, b, a))
			}
		}
	}
	return strings.Join(phrases, "; "), problems
}

// ways are the values that the attempts at a run had of each thing that may change numbers, each once, in their order.
type ways map[string][]string

func waysOf(attempts []runs.Provenance) ways {
	w := ways{}
	for _, p := range attempts {
		for name := range p.Numerics() {
			w[name] = nil
		}
	}
	for _, p := range attempts {
		numerics := p.Numerics()
		for name := range w {
			if !slices.Contains(w[name], numerics[name]) {
				w[name] = append(w[name], numerics[name])
			}
		}
	}
	return w
}

// of says the values of a thing in words.
func (w ways) of(name string) string {
	values := slices.Clone(w[name])
	if len(values) == 1 {
		return values[0]
	}
	for i, value := range values {
		values[i] = cmp.Or(value, "unset")
	}
	return strings.Join(values, " and then ")
}
