// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"slices"

	"metrolab/ablations"
	"metrolab/internal/usererr"
	"metrolab/metro/tasks"
	"metrolab/metro/training"
	"metrolab/viz"
)

// probe fine-tunes the main model of the baseline's first ended run on the default probe and draws its balanced
// accuracy beside the same network from scratch and the baselines that need no network. One seed has to do: a probe is
// half a minute with XLA and minutes in pure Go. There is no figure for a text without the probe's labels.
func probe(ctx context.Context, runner *training.Runner, results ablations.Results) (*viz.Figure, error) {
	task, err := tasks.Families(runner.Corpus)
	if usererr.Is(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	first := slices.IndexFunc(results.Runs, func(r ablations.Run) bool {
		return r.Arm == ablations.BaselineName && r.Ended && r.Result.Diverged == ""
	})
	if first < 0 {
		return nil, nil
	}
	run := results.Runs[first]
	model, err := training.LoadPretrained(run.Result.Run.Dir)
	if err != nil {
		return nil, err
	}
	finetune := func(fromScratch bool) (tasks.Result, error) {
		bar := newBar("probing the baseline")
		defer bar.finish()
		options := tasks.Options{Seed: run.Seed, FromScratch: fromScratch, Steps: min(tasks.DefaultSteps, model.Model.Config.Training.Steps)}
		return tasks.Finetune(ctx, runner, model, task, options, func(p training.Progress) {
			bar.describe(p.Step, p.Steps, progressWords(p))
		})
	}
	pretrained, err := finetune(false)
	if err != nil {
		return nil, err
	}
	scratch, err := finetune(true)
	if err != nil {
		return nil, err
	}
	figure, err := viz.Bars{
		Name: "probe", Title: "Fine-tuned probe: which family of Go packages is a comment from?", Label: "balanced accuracy",
		Caption: fmt.Sprintf("Balanced accuracy over %d classes on %d texts of held-out splits: the baseline's main model of seed %d, fine-tuned for %d steps; the same network from scratch; a logistic regression on words; always the largest class.",
			len(task.Classes), pretrained.TestTexts, run.Seed, pretrained.Steps),
		Groups: []string{"pretrained", "from scratch", "bag of words", "majority"},
		Series: []viz.BarSeries{{Name: "balanced accuracy", Values: []float64{
			pretrained.Model.BalancedAccuracy, scratch.Model.BalancedAccuracy, pretrained.BagOfWords.BalancedAccuracy, pretrained.Majority.BalancedAccuracy,
		}}},
	}.Figure()
	return &figure, err
}
