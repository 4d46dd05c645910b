// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/recipes"
	"metrolab/metro/tokens/wordpiece"
	"metrolab/metro/training"
)

// shape is an untrained model that reads the given texts.
func shape(t *testing.T, texts ...string) training.Pretrained {
	t.Helper()
	tokenizer, err := wordpiece.Train(slices.Values(texts), wordpiece.Options{VocabSize: 120, MinFrequency: 1, Lowercase: true})
	require.NoError(t, err)
	return training.Pretrained{
		Tokenizer: tokenizer, Model: metro.Model{Config: recipes.Micro(), Vocab: tokenizer.VocabSize(), PadID: tokenizer.Special().PAD},
	}
}

var colours = []string{"red", "green", "blue", "black"}

// pairs asks whether two texts name one colour: nothing that either tells alone.
func pairs() Classification {
	t := Classification{
		Name: "pairs", Source: "pairs", Classes: []string{"no", "yes"}, Whole: true, Pairs: true, Metrics: []string{"accuracy", "f1", "matthews"},
	}
	for i := range 160 {
		first, second := i%4, (i/4)%4
		if i%2 == 0 {
			second = first
		}
		e := Example{Text: "the " + colours[first] + " file", Pair: "a file is " + colours[second]}
		if first == second {
			e.Class = 1
		}
		part := &t.Train
		if i >= 128 {
			part = &t.Test
		}
		*part = append(*part, e)
	}
	return t
}

func modelOfPairs(t *testing.T) training.Pretrained {
	return shape(t, "the red file", "a file is green", "blue", "black")
}

// rated is how many times a text says "more", as a number.
func rated() Regression {
	t := Regression{Name: "rated", Source: "rated", Metrics: []string{"pearson", "spearman", "mse"}}
	for i := range 120 {
		n := i * 7 % 5
		e := Rated{Text: "the file", Value: 10 * float64(n)}
		for range n {
			e.Text += " more"
		}
		part := &t.Train
		if i >= 96 {
			part = &t.Test
		}
		*part = append(*part, e)
	}
	return t
}

func TestRegressionLearns(t *testing.T) {
	result, err := Finetune(t.Context(), runnerOn(t, backendtest.Go(t)), shape(t, "the file more"), rated(), scratch(60), nil)
	require.NoError(t, err)
	require.Equal(t, "pearson", result.Metric)
	require.Greater(t, result.Model.Metrics["pearson"], 0.95)
	require.Less(t, result.Model.Metrics["mse"], 60.0, "in the examples' own units; the mean alone has 200")
	require.Zero(t, result.Majority.Metrics["pearson"])
}

func TestPairsAreRead(t *testing.T) {
	task, p := pairs(), modelOfPairs(t)
	result, err := Finetune(t.Context(), runnerOn(t, backendtest.Go(t)), p, task, scratch(3), nil)
	require.NoError(t, err)
	require.Equal(t, "accuracy", result.Metric)
	require.Len(t, result.Model.Metrics, 3)
	require.Equal(t, result.Model.Accuracy, result.Model.Metrics["accuracy"])
	require.NotEmpty(t, result.TFIDF.Metrics)
	require.True(t, result.BagOfWords.zero())

	train, asked := task.Encode(p.Tokenizer, 16)
	require.Equal(t, len(task.Train), train.Len())
	require.Equal(t, len(task.Test), asked.Len())
	ids := train.windows[0].Tokens
	special := p.Tokenizer.Special()
	require.Equal(t, special.CLS, ids[0])
	first, last := slices.Index(ids, special.SEP), slices.Index(ids[slices.Index(ids, special.SEP)+1:], special.SEP)
	require.Equal(t, "the red file", p.Tokenizer.Decode(ids[:first]))
	require.Equal(t, "a file is red", p.Tokenizer.Decode(ids[first+1:][:last]))
}

// Token types are added to the second text, where the model has them, and decide what the model says; without a second row
// they are those of any text.
func TestTokenTypesOfPairs(t *testing.T) {
	task, p := pairs(), modelOfPairs(t)
	losses := map[int]float64{}
	for _, rows := range []int{0, 1, 2} {
		p.Model.Config.Embeddings.TokenTypes = rows
		o := scratch(3)
		result, err := Finetune(t.Context(), runnerOn(t, backendtest.Go(t)), p, task, o, nil)
		require.NoError(t, err)
		losses[rows] = result.Loss
	}
	require.NotEqual(t, losses[1], losses[2])
	require.NotEqual(t, losses[0], losses[1])
}

// The head of ELECTRA's code: other weights, another run.
func TestPoolingOfCLS(t *testing.T) {
	o := scratch(30)
	o.Set = []string{"task.pooling=cls"}
	result, err := Finetune(t.Context(), runnerOn(t, backendtest.Go(t)), shape(t, "the file more"), rated(), o, nil)
	require.NoError(t, err)
	require.Greater(t, result.Model.Metrics["pearson"], 0.8)
	o.Set = []string{"task.pooling=max"}
	_, err = Finetune(t.Context(), runnerOn(t, backendtest.Go(t)), shape(t, "the file more"), rated(), o, nil)
	require.ErrorContains(t, err, `task.pooling is "max"`)
}
