// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"context"

	"metrolab/internal/usererr"
	"metrolab/metro/training"
)

// rates are the learning rates that [Choose] tries, in parts of pretraining's.
var rates = []float64{0.25, 0.5, 1}

// Choose fine-tunes p on t at a quarter, a half and the whole of pretraining's learning rate, each a run of its own as
// [Finetune] leaves it, and returns the one that is best on the validation texts, by the task's metric. A comparison of two
// models is fair if each has its own rate: a model from scratch wants another than one that is pretrained. o says all but the
// rate. report (nil for none) hears of the steps of all three together.
//
// A task without validation texts is the user's error, and so is one on which no rate converges.
func Choose(ctx context.Context, r *training.Runner, p training.Pretrained, t Task, o Options, report func(training.Progress)) (best Result, err error) {
	var diverged error
	for i, part := range rates {
		o.LearningRate = part * p.Model.Config.Optimizer.LearningRate
		job, err := Open(r, p, t, o)
		if err != nil {
			return Result{}, err
		}
		trained, err := job.Train(ctx, together(i, report))
		if err != nil {
			return Result{}, err
		}
		result, err := resultOf(job, trained)
		switch {
		case trained.Diverged != "":
			diverged = err
			continue
		case err != nil:
			return Result{}, err
		case result.Validation == nil:
			return Result{}, usererr.New("%s has no validation texts, so there is nothing to choose a learning rate by", t.About().Source)
		}
		if metric := t.About().Metric; best.Run == nil || result.Validation.Value(metric) > best.Validation.Value(metric) {
			best = result
		}
	}
	if best.Run == nil {
		return Result{}, diverged
	}
	return best, nil
}

// together reports the i-th fine-tuning as a part of all.
func together(i int, report func(training.Progress)) func(training.Progress) {
	if report == nil {
		return nil
	}
	return func(p training.Progress) {
		p.Step, p.Steps = i*p.Steps+p.Step, len(rates)*p.Steps
		if i > 0 && p.Phase == "compiling" {
			p.Phase = "training"
		}
		report(p)
	}
}
