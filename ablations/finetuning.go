// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"metrolab/internal/atomicfile"
	"metrolab/metro/runs"
	"metrolab/metro/tasks"
	"metrolab/metro/text"
	"metrolab/metro/training"
)

// Finetuning follows every run of a study: its main model is fine-tuned on a task, at the run's seed, in a run of its own.
// What that measures ("test_balanced_accuracy", …) can be the outcome.
//
// A change of an arm whose path begins with "finetune." is one of the fine-tuning's settings: "finetune.optimizer.layer_decay=0.8".
type Finetuning struct {
	Task  string   `json:"task"`            // "families", the probe on the default corpus, or what [tasks.Read] takes: a named set, a task file, labelled texts
	Data  string   `json:"data,omitempty"`  // of a named set, the folder of its files
	Steps int      `json:"steps,omitempty"` // 0 is [tasks.DefaultSteps]
	Set   []string `json:"set,omitempty"`   // settings of every arm's, as [tasks.Options] takes them
}

// finetunePrefix begins the assignments of an arm that are the fine-tuning's.
const finetunePrefix = "finetune."

// parts the assignments of a change into those of pretraining and those of the fine-tuning.
func parts(assignments []string) (pretraining, finetuning []string) {
	for _, a := range assignments {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(a), finetunePrefix); ok {
			finetuning = append(finetuning, rest)
		} else {
			pretraining = append(pretraining, a)
		}
	}
	return pretraining, finetuning
}

// steps is the length of each fine-tuning; 0 where there is none.
func (f *Finetuning) steps() int {
	if f == nil {
		return 0
	}
	return cmp.Or(f.Steps, tasks.DefaultSteps)
}

// task reads the examples.
func (f *Finetuning) task(corpus *text.Corpus) (tasks.Task, error) {
	if f.Task == "families" {
		return tasks.Families(corpus)
	}
	return tasks.Read(f.Task, tasks.ReadOptions{Data: f.Data})
}

// train fine-tunes the model of a run that has ended, and returns the run's result with what was measured in it. begin hears of
// the fine-tuning's run before anything is trained.
func (f *Finetuning) train(ctx context.Context, runner *training.Runner, task tasks.Task, arm Arm, pretrained training.Result, begin func(*runs.Run) error, report func(training.Progress)) (training.Result, *runs.Run, error) {
	model, err := training.LoadPretrained(pretrained.Run.Dir)
	if err != nil {
		return pretrained, nil, err
	}
	_, set := parts(arm.Set)
	options := tasks.Options{Steps: f.Steps, Seed: model.Model.Config.Seed, Set: slices.Concat(f.Set, set)}
	job, err := tasks.Open(runner, model, task, options)
	if err != nil {
		return pretrained, nil, err
	}
	if err := begin(job.Run); err != nil {
		return pretrained, job.Run, err
	}
	tuned, err := job.Train(ctx, func(p training.Progress) {
		p.Step, p.Steps = pretrained.Steps+p.Step, pretrained.Steps+p.Steps
		report(p)
	})
	if err != nil {
		return pretrained, job.Run, err
	}
	return withFinetuning(pretrained, tuned), job.Run, nil
}

// tunedDir is the folder in that of a study which says what the runs of its fine-tunings are, in a file for each arm and seed. Whoever
// trains one writes its file before it begins, and all write the same, so that of processes that share a study none takes away
// what another has written.
const tunedDir = "finetuned"

// tunedRun is what such a file holds: the IDs of a run and of its fine-tuning's.
type tunedRun struct {
	Run       string `json:"run"`
	Finetuned string `json:"finetuned"`
}

// tunedFile is that of an arm at a seed. Arms go by their place, which the plan holds, since their names are free.
func (r Results) tunedFile(arm string, seed int64) string {
	place := slices.IndexFunc(r.Arms, func(a Arm) bool { return a.Name == arm })
	return filepath.Join(r.Folder(), tunedDir, fmt.Sprintf("arm-%d-seed-%d.json", place, seed))
}

// keepTuned writes down what the fine-tuning of a run is.
func (r Results) keepTuned(run Run, tuned *runs.Run) error {
	path, found := r.tunedFile(run.Arm, run.Seed), tunedRun{run.ID, tuned.ID}
	var there tunedRun
	if err := runs.ReadJSON(path, &there); err == nil && there == found {
		return nil
	}
	if err := atomicfile.MkdirAll(filepath.Dir(path)); err != nil {
		return fmt.Errorf("write what the fine-tuning is: %w", err)
	}
	return runs.WriteJSON(path, found)
}

// findTuned fills in what the fine-tuning of a run is, once somebody has begun it.
func (r Results) findTuned(run *Run) error {
	var there tunedRun
	err := runs.ReadJSON(r.tunedFile(run.Arm, run.Seed), &there)
	if err == nil && there.Run == run.ID {
		run.Tuned = there.Finetuned
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// withFinetuning is the result of a run with that of its fine-tuning in it.
func withFinetuning(pretrained, tuned training.Result) training.Result {
	merged := maps.Clone(pretrained.Metrics)
	if merged == nil {
		merged = runs.Values{}
	}
	maps.Copy(merged, tuned.Metrics)
	pretrained.Metrics = merged
	pretrained.Seconds += tuned.Seconds
	if tuned.Diverged != "" {
		pretrained.Diverged = "fine-tuning " + tuned.Diverged
	}
	return pretrained
}
