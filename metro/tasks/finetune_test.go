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
	"metrolab/metro/data/wordpiece"
	"metrolab/metro/recipes"
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
	one := Task{Source: "here", Classes: []string{"a"}, Train: task.Train[:1], Test: task.Test[:1]}
	lacks := task
	lacks.Classes = append(slices.Clone(task.Classes), "never")
	diverging := scratch(50)
	diverging.LearningRate = 10
	p2 := p
	p2.Model.Config.Optimizer.ClipNorm = 0
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
	} {
		_, err := Finetune(t.Context(), be, test.p, test.task, test.o, nil)
		require.ErrorContains(t, err, test.want, name)
		require.True(t, usererr.Is(err), name)
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
