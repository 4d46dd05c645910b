// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
)

func TestFew(t *testing.T) {
	task := pairs()
	few, err := Few(task, 5, 1)
	require.NoError(t, err)
	c := few.(Classification)
	require.Equal(t, []int{5, 5}, c.count(c.Train))
	require.Equal(t, task.Test, c.Test)
	again, err := Few(task, 5, 1)
	require.NoError(t, err)
	require.Equal(t, few.Hash(), again.Hash())
	other, err := Few(task, 5, 2)
	require.NoError(t, err)
	require.NotEqual(t, few.Hash(), other.Hash())
	require.Equal(t, task.GraphKey(), few.GraphKey(), "one program serves the whole curve")
	for _, t2 := range []Task{rated(), tagged(), colourOf()} {
		few, err := Few(t2, 3, 0)
		require.NoError(t, err)
		require.Equal(t, 3, few.About().TrainTexts)
		_, err = Few(t2, 1000, 0)
		require.True(t, usererr.Is(err))
	}
	_, err = Few(task, 1000, 0)
	require.ErrorContains(t, err, `of the label "no" there are`)
	_, err = Few(toy(), 1, 0)
	require.ErrorContains(t, err, "not of texts that are cut into windows")
}

func TestSpreadOf(t *testing.T) {
	require.Equal(t, Spread{2.5, 1, 9, 4}, SpreadOf([]float64{9, 3, 1, 2}))
	require.Equal(t, Spread{3, 1, 9, 3}, SpreadOf([]float64{9, 3, 1}))
	require.Zero(t, SpreadOf(nil))
}

// With validation texts and several evaluations the best of them is found by the validation texts; predictions are those of the
// weights at the end, and their score is the result's.
func TestEarlyChoiceAndPredictions(t *testing.T) {
	task := rated()
	task.Validation = task.Train[:24]
	r, p, o := runnerOn(t, backendtest.Go(t)), shape(t, "the file more"), scratch(12)
	result, err := Finetune(t.Context(), r, p, task, o, nil)
	require.NoError(t, err)
	_, ok, err := EarlyChoice(result)
	require.NoError(t, err)
	require.False(t, ok, "there is one evaluation")

	o.Seed, o.Set = 1, []string{"training.eval_every=4"}
	_, err = Predict(r, p, task, o)
	require.ErrorContains(t, err, "has no good checkpoint of its last step")
	result, err = Finetune(t.Context(), r, p, task, o, nil)
	require.NoError(t, err)
	early, ok, err := EarlyChoice(result)
	require.NoError(t, err)
	require.True(t, ok)
	require.Contains(t, []int{4, 8, 12}, early.Step)
	require.GreaterOrEqual(t, early.Dev, result.Validation.Metrics["pearson"])

	predictions, err := Predict(r, p, task, o)
	require.NoError(t, err)
	require.Len(t, predictions, len(task.Test))
	predicted := make([]float64, len(predictions))
	for i, p := range predictions {
		require.Equal(t, task.Test[i].Value, p.Target)
		predicted[i] = p.Predicted.(float64)
	}
	require.Equal(t, result.Model, task.measure(task.Test, predicted))
}

// Each recipe can be used, and what the user says comes before it.
func TestRecipes(t *testing.T) {
	for _, recipe := range Recipes() {
		for _, task := range []Task{pairs(), colourOf()} {
			p := modelOfPairs(t)
			p.Model.Config.Data.SeqLen = 512
			o := Options{FromScratch: true, Set: []string{"optimizer.weight_decay=0.5"}}
			applied := recipe.Apply(task, &o)
			c, err := o.config(p, applied)
			require.NoError(t, err, recipe.Name)
			require.Equal(t, recipe.Rate, c.Optimizer.LearningRate)
			require.Equal(t, 0.5, c.Optimizer.WeightDecay)
			rows := trainingRows(p, applied, c.Data.SeqLen)
			require.InDelta(t, recipe.Epochs*float64(rows)/float64(recipe.Batch), c.Training.Steps, 0.51)
			require.Equal(t, int(recipe.Warmup*float64(c.Training.Steps)), c.Optimizer.WarmupSteps)
		}
	}
	for _, recipe := range Recipes() { // what is set comes before a recipe
		o := Options{FromScratch: true, Set: []string{"training.steps=40", "training.batch_size=4", "optimizer.learning_rate=3e-4", "optimizer.warmup_steps=7"}}
		p := modelOfPairs(t)
		p.Model.Config.Data.SeqLen = 512
		c, err := o.config(p, recipe.Apply(pairs(), &o))
		require.NoError(t, err, recipe.Name)
		require.Equal(t, []any{40, 4, 3e-4, 7}, []any{c.Training.Steps, c.Training.BatchSize, c.Optimizer.LearningRate, c.Optimizer.WarmupSteps})
	}
	_, err := RecipeOf("bert")
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "electra, electra-large, tnlrv5-base, tnlrv5-squad2")
	o := scratch(2)
	o.Epochs = 1
	_, err = o.config(modelOfPairs(t), pairs())
	require.ErrorContains(t, err, "one of the two")
}
