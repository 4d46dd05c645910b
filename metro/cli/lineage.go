// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"path/filepath"
	"slices"

	"metrolab/ablations"
	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// ancestor is a run that another needs, and what for.
type ancestor struct {
	id   string // the name of its folder
	what string // "forks tiny-0123456789@400"
}

// ancestorsOf are the runs that a run goes on with or begins with, by its config.
func ancestorsOf(run *runs.Run) (list []ancestor) {
	var identity training.RunIdentity
	if runs.ReadJSON(run.Path(runs.ConfigFile), &identity) != nil {
		return nil // a config that cannot be read names nothing
	}
	t := identity.Config.Training
	if name, step, err := metro.ParseFork(t.Fork); err == nil {
		list = append(list, ancestor{filepath.Base(name), fmt.Sprintf("forks %s@%d", filepath.Base(name), step)})
	}
	if t.InitFrom != "" {
		list = append(list, ancestor{runIn(t.InitFrom), "begins with the weights of " + filepath.Base(t.InitFrom)})
	}
	if from := identity.Config.Replacements.Checkpoint; from != "" {
		list = append(list, ancestor{runIn(from), "has its samples from " + filepath.Base(from)})
	}
	return list
}

// runIn is the name of the run's folder that a model is in, RUN or RUN@STEP.
func runIn(model string) string {
	if run, _, err := metro.ParseFork(model); err == nil {
		model = run
	}
	return filepath.Base(model)
}

// descendants are what the runs of a store say of those that they need, by those.
func descendants(store runs.Store) (map[string][]string, error) {
	list, err := store.List()
	if err != nil {
		return nil, err
	}
	needed := map[string][]string{}
	for _, s := range list {
		run, err := store.Open(s.ID)
		if err != nil {
			return nil, err
		}
		for _, o := range ancestorsOf(run) {
			needed[o.id] = append(needed[o.id], s.ID+" "+o.what)
		}
	}
	return needed, nil
}

// lineage are the runs that a run goes on with, those that these go on with, and so on, a line each.
func lineage(run *runs.Run) (lines []string) {
	seen := map[string]bool{}
	for next := []*runs.Run{run}; len(next) > 0; next = next[1:] {
		for _, o := range ancestorsOf(next[0]) {
			line := next[0].ID + " " + o.what
			if seen[line] {
				continue
			}
			seen[line] = true
			lines = append(lines, line)
			if before, err := (runs.Store{Root: filepath.Dir(run.Dir)}).Open(o.id); err == nil {
				next = append(next, before)
			}
		}
	}
	return lines
}

// armsIn says of the runs of a store to which arms of which studies they belong.
func armsIn(store runs.Store) map[string][]string {
	arms := map[string][]string{}
	note := func(id, arm string) {
		if id != "" && !slices.Contains(arms[id], arm) {
			arms[id] = append(arms[id], arm)
		}
	}
	folders, _ := filepath.Glob(filepath.Join(store.Root, "*", ablations.PlanFile))
	for _, file := range folders {
		results, err := ablations.Open(filepath.Dir(file))
		if err != nil {
			continue // its report says what is wrong with it
		}
		for _, run := range results.Runs {
			arm := fmt.Sprintf("%s: %s", filepath.Base(filepath.Dir(file)), run.Arm)
			note(run.ID, arm)
			note(run.Tuned, arm+", fine-tuned")
		}
	}
	return arms
}

// storeOf is the folder that a run lies in.
func storeOf(run *runs.Run) runs.Store { return runs.Store{Root: filepath.Dir(run.Dir)} }
