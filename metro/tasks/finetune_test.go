// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/tokens/wordpiece"
	"metrolab/metro/training"
)

// toy is a task whose classes differ in their verbs, somewhere in texts of one to four windows.
func toy() Task {
	t := Task{Name: "toy", Source: "toy", Classes: []string{"open", "closed", "read"}}
	verbs := [][]string{{"opens", "starts"}, {"closes", "ends"}, {"reads", "holds"}}
	for i := range 240 {
		class := i % 3
		text := fmt.Sprintf("the caller number %d %s the file", i*7%13, verbs[class][i/3%2])
		for range i % 4 {
			text += " and then the caller of the file " + verbs[class][i/5%2]
		}
		part := &t.Train
		if i >= 180 {
			part = &t.Test
		}
		*part = append(*part, Example{text, class})
	}
	return t
}

// untrained is a model with nothing but its shape, for fine-tuning from scratch.
func untrained(t *testing.T, task Task) training.Pretrained {
	t.Helper()
	var texts []string
	for _, e := range task.Train {
		texts = append(texts, e.Text)
	}
	tokenizer, err := wordpiece.Train(slices.Values(texts), wordpiece.Options{VocabSize: 80, Lowercase: true})
	require.NoError(t, err)
	return training.Pretrained{
		Tokenizer: tokenizer,
		Model:     metro.Model{Config: recipes.Micro(), Vocab: tokenizer.VocabSize(), PadID: tokenizer.Special().PAD},
	}
}

func scratch(steps int) Options {
	return Options{Steps: steps, BatchSize: 12, LearningRate: 4e-3, FromScratch: true}
}

func TestFinetuneLearns(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		task := toy()
		var seen []training.Progress
		result, err := Finetune(t.Context(), be, untrained(t, task), task, scratch(120), func(p training.Progress) { seen = append(seen, p) })
		require.NoError(t, err)
		require.Greater(t, result.Model.BalancedAccuracy, 0.9)
		require.Greater(t, result.BagOfWords.BalancedAccuracy, 0.9)
		require.InDelta(t, 1.0/3, result.Majority.BalancedAccuracy, 1e-12)
		require.Less(t, result.Loss, 0.5)
		require.Equal(t, []int{180, 60, 120, 12, 0}, []int{result.TrainTexts, result.TestTexts, result.Steps, result.BatchSize, result.PretrainedSteps})

		require.Len(t, seen, 122)
		require.Equal(t, "compiling", seen[0].Phase)
		require.InDelta(t, math.Log(3), seen[1].Loss, 1e-6, "the head starts at 0")
		require.Equal(t, "evaluating", seen[121].Phase)
	})
}

// Equal arguments give equal results to the last bit; another seed does not; dropout takes part.
func TestFinetuneIsRepeatable(t *testing.T) {
	be, task := backendtest.Go(t), toy()
	p := untrained(t, task)
	p.Model.Config.Main.Dropout = 0.1
	tune := func(seed int64) Result {
		o := scratch(6)
		o.Seed = seed
		result, err := Finetune(t.Context(), be, p, task, o, nil)
		require.NoError(t, err)
		result.Seconds = 0
		return result
	}
	first := tune(1)
	require.Equal(t, first, tune(1))
	require.NotEqual(t, first.Loss, tune(2).Loss)
	p.Model.Config.Main.Dropout = 0
	require.NotEqual(t, first.Loss, tune(1).Loss)
}

func TestFinetuneErrors(t *testing.T) {
	be, task := backendtest.Go(t), toy()
	p := untrained(t, task)
	missing := scratch(1)
	missing.FromScratch = false
	_, err := Finetune(t.Context(), be, p, task, missing, nil)
	require.ErrorContains(t, err, "no pretrained weights")
	one := Task{Source: "here", Classes: []string{"a"}, Train: task.Train[:1], Test: task.Test[:1]}
	lacks := task
	lacks.Classes = append(slices.Clone(task.Classes), "never")
	dividing := p
	dividing.Model.Config.Optimizer.Epsilon = 0 // the first step divides 0 by 0 wherever the gradient is 0
	for name, test := range map[string]struct {
		p    training.Pretrained
		task Task
		o    Options
		want string
	}{
		"one label":  {p, one, scratch(1), `here: all texts have one label, ["a"]`},
		"no example": {p, lacks, scratch(1), `of the label "never", 0 texts`},
		"steps":      {p, task, Options{Steps: -1}, "steps -1"},
		"rate":       {p, task, Options{LearningRate: math.NaN()}, "learning rate NaN"},
		"diverging":  {dividing, task, scratch(5), "diverged: the loss of step 2 of 5 is NaN; try a learning rate below 0.004"},
	} {
		_, err := Finetune(t.Context(), be, test.p, test.task, test.o, nil)
		require.ErrorContains(t, err, test.want, name)
		require.True(t, usererr.Is(err), name)
	}
}

// From the corpus to the answer, over a run's directory.
func TestFinetuneARun(t *testing.T) {
	corpus := library(t, 300, text.Families...)
	be := backendtest.Go(t)
	c := recipes.Micro()
	c.Training.Steps, c.Training.BatchSize = 10, 4
	c.Evaluation.Rows = 4
	runner := &training.Runner{Backend: be, BackendKind: "go", Corpus: corpus, CacheDir: t.TempDir(), Store: runs.Store{Root: t.TempDir()}}
	run, err := runner.Run(t.Context(), "micro", c, nil)
	require.NoError(t, err)
	p, err := training.LoadPretrained(run.Run.Dir)
	require.NoError(t, err)
	task, err := Families(corpus)
	require.NoError(t, err)

	pretrained, err := Finetune(t.Context(), be, p, task, Options{Steps: 3}, nil)
	require.NoError(t, err)
	require.Equal(t, 10, pretrained.PretrainedSteps)
	require.Equal(t, c.Optimizer.LearningRate/4, pretrained.LearningRate)
	require.Equal(t, 32, pretrained.BatchSize)
	scratch, err := Finetune(t.Context(), be, p, task, Options{Steps: 3, FromScratch: true}, nil)
	require.NoError(t, err)
	require.Zero(t, scratch.PretrainedSteps)
	require.NotEqual(t, scratch.Loss, pretrained.Loss)
	require.Equal(t, scratch.BagOfWords, pretrained.BagOfWords)
}

// What a text is taken for depends on its own windows alone, whatever shares their batches, and is the class with the
// highest mean of log-probabilities.
func TestAnswers(t *testing.T) {
	task := toy()
	p := untrained(t, task)
	f, err := prepare(backendtest.Go(t), p, task, scratch(5))
	require.NoError(t, err)
	f.progress = func(training.Progress) {}
	_, err = f.run(t.Context())
	require.NoError(t, err)
	w := newWindows(p.Tokenizer, p.Model.Config.Data.SeqLen, task.Test)
	require.Greater(t, len(w), len(task.Test), "some texts have several windows")

	means := make([][3]float64, len(task.Test))
	for row, window := range w {
		alone, err := f.classifier.logProbabilities(w, []int{row})
		require.NoError(t, err)
		require.Len(t, alone, 3)
		sum := 0.0
		for class, v := range alone {
			means[window.Text][class] += float64(v)
			sum += math.Exp(float64(v))
		}
		require.InDelta(t, 1, sum, 1e-5)
	}
	answers, err := f.classifier.answers(t.Context(), w, len(task.Test))
	require.NoError(t, err)
	for text, class := range answers {
		require.InDelta(t, slices.Max(means[text][:]), means[text][class], 1e-4)
	}
}

func TestFinetuneStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	task := toy()
	_, err := Finetune(ctx, backendtest.Go(t), untrained(t, task), task, scratch(50), func(p training.Progress) {
		if p.Step == 3 {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "stopped after step 3 of 50")
}
