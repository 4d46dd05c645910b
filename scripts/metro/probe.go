// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"metrolab/ablations"
	"metrolab/internal/usererr"
	"metrolab/metro/tasks"
	"metrolab/metro/training"
	"metrolab/viz"
)

// probe fine-tunes the main model of every ended baseline run on the default probe and draws its balanced accuracy
// beside the same network from scratch and the baselines that need no training of ours. A corpus without the probe's
// labels has no probe. In pure Go the first seed alone is probed.
func probe(ctx context.Context, runner *training.Runner, results ablations.Results) (*viz.Figure, error) {
	task, err := tasks.Families(runner.Corpus)
	if usererr.Is(err) {
		return nil, nil // a text without the labels: nothing to probe on
	}
	if err != nil {
		return nil, err
	}
	var pretrained, scratch []float64
	var last tasks.Result
	for _, run := range results.Runs {
		if run.Arm != ablations.BaselineName || !run.Ended || run.Result.Diverged != "" {
			continue
		}
		if runner.BackendKind == "go" && len(pretrained) == 1 {
			continue // minutes each in pure Go: one seed has to do
		}
		model, err := training.LoadPretrained(run.Result.Run.Dir)
		if err != nil {
			return nil, err
		}
		for _, fromScratch := range []bool{false, true} {
			bar := newBar(fmt.Sprintf("probing seed %d", run.Seed))
			options := tasks.Options{Seed: run.Seed, FromScratch: fromScratch, Steps: min(tasks.DefaultSteps, model.Model.Config.Training.Steps)}
			last, err = tasks.Finetune(ctx, runner.Backend, model, task, options,
				func(p training.Progress) { bar.describe(p.Step, p.Steps, progressWords(p)) })
			bar.finish()
			if err != nil {
				return nil, err
			}
			if fromScratch {
				scratch = append(scratch, last.Model.BalancedAccuracy)
			} else {
				pretrained = append(pretrained, last.Model.BalancedAccuracy)
			}
		}
	}
	if len(pretrained) == 0 {
		return nil, nil
	}
	bars := viz.Bars{
		Name: "probe", Title: "Fine-tuned probe: which family of Go packages is a comment from?", Label: "balanced accuracy",
		Caption: fmt.Sprintf("Balanced accuracy over %d classes on %d texts of held-out splits. The baseline's main model, fine-tuned; the same network from scratch; a logistic regression on words; always the largest class. Bars of the networks are 95 %% intervals over %d seeds.",
			len(task.Classes), last.TestTexts, len(pretrained)),
		Groups: []string{"pretrained", "from scratch", "bag of words", "majority"},
	}
	s := viz.BarSeries{Name: "balanced accuracy"}
	for _, values := range [][]float64{pretrained, scratch, {last.BagOfWords.BalancedAccuracy}, {last.Majority.BalancedAccuracy}} {
		mean, half := interval(values)
		s.Values, s.Low, s.High = append(s.Values, mean), append(s.Low, mean-half), append(s.High, mean+half)
	}
	bars.Series = []viz.BarSeries{s}
	figure, err := bars.Figure()
	return &figure, err
}

// interval returns the mean of values and half its 95 % interval by Student's t, NaN for fewer than two.
func interval(values []float64) (mean, half float64) {
	n := float64(len(values))
	if len(values) < 2 {
		return stat.Mean(values, nil), math.NaN()
	}
	return stat.Mean(values, nil), distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile(0.975) * stat.StdDev(values, nil) / math.Sqrt(n)
}
