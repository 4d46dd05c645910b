// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"metrolab/internal/usererr"
	"metrolab/metro/tasks"
	"metrolab/metro/training"
	"metrolab/viz"
)

// Probe fine-tunes the main model of the baseline's run at the lowest planned seed that has ended well on the default probe ([tasks.Families]) and draws its
// balanced accuracy beside the same network from scratch and the baselines that need no network. Each of the two networks has
// the learning rate that is best for it on the validation texts ([tasks.Choose]); what is drawn is measured on the test texts.
// One seed has to do: six fine-tunings are two to three minutes with XLA and a quarter of an hour in pure Go; asked for
// again, they are found. There is no figure, but nil, for a text without the probe's labels and where no run of the baseline
// has ended well.
//
// report (nil for none) hears of every step, of the pretrained model first, then of the one from scratch; both begin with the
// phase "compiling".
func (r Results) Probe(ctx context.Context, runner *training.Runner, report func(training.Progress)) (*viz.Figure, error) {
	task, err := tasks.Families(runner.Corpus)
	if usererr.Is(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	candidates := slices.DeleteFunc(slices.Clone(r.Runs), func(run Run) bool {
		return run.Arm != BaselineName || !run.Ended || run.Result.Diverged != "" || !r.wasPlanned(run.Seed)
	})
	if len(candidates) == 0 {
		return nil, nil
	}
	run := slices.MinFunc(candidates, func(a, b Run) int { return cmp.Compare(a.Seed, b.Seed) }) // whatever seeds are added
	model, err := training.LoadPretrained(run.Result.Run.Dir)
	if err != nil {
		return nil, err
	}
	options := tasks.Options{Seed: run.Seed, Steps: min(tasks.DefaultSteps, model.Model.Config.Training.Steps)}
	pretrained, err := tasks.Choose(ctx, runner, model, task, options, report)
	if err != nil {
		return nil, err
	}
	options.FromScratch = true
	scratch, err := tasks.Choose(ctx, runner, model, task, options, report)
	if err != nil {
		return nil, err
	}
	figure, err := probeBars(run.Seed, pretrained, scratch).Figure()
	return &figure, err
}

func probeBars(seed int64, pretrained, scratch tasks.Result) viz.Bars {
	return viz.Bars{
		Name: "probe", Title: "Fine-tuned probe: which family of Go packages is a comment from?", Label: "balanced accuracy",
		Caption: fmt.Sprintf("Balanced accuracy over %d classes on %d texts of the test split: the baseline's main model of seed %d, fine-tuned for %d steps; the same network from scratch; a logistic regression on words; always the largest class. The learning rates, %.2g and %.2g, are each the best of three on the validation split.",
			len(pretrained.Classes), pretrained.TestTexts, seed, pretrained.Steps, pretrained.LearningRate, scratch.LearningRate),
		Groups: []string{"pretrained", "from scratch", "bag of words", "majority"},
		Series: []viz.BarSeries{{Name: "balanced accuracy", Values: []float64{
			pretrained.Model.BalancedAccuracy, scratch.Model.BalancedAccuracy, pretrained.BagOfWords.BalancedAccuracy, pretrained.Majority.BalancedAccuracy,
		}}},
	}
}
