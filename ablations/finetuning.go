// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

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
	Task  string   `json:"task"`            // "families", the probe on the default corpus, or the file of labelled texts, JSON lines
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
	return tasks.ReadTask(f.Task)
}

// train fine-tunes the model of a run that has ended, and returns the run's result with what was measured in it.
func (f *Finetuning) train(ctx context.Context, runner *training.Runner, task tasks.Task, arm Arm, pretrained training.Result, report func(training.Progress)) (training.Result, *runs.Run, error) {
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
	tuned, err := job.Train(ctx, func(p training.Progress) {
		p.Step, p.Steps = pretrained.Steps+p.Step, pretrained.Steps+p.Steps
		report(p)
	})
	if err != nil {
		return pretrained, job.Run, err
	}
	return withFinetuning(pretrained, tuned), job.Run, nil
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
