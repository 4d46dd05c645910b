// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// The rate is chosen on the validation texts alone: with other labels on the test texts, which turn every score around, the
// choice is the same. A task without validation texts has nothing to choose by.
func TestChoose(t *testing.T) {
	task := toy()
	p := untrained(t, task)
	r := &training.Runner{Backend: backendtest.Go(t), BackendKind: "go", CacheDir: t.TempDir(), Store: runs.Store{Root: t.TempDir()}}
	o := scratch(30)
	_, err := Choose(t.Context(), r, p, task, o, nil)
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, "has no validation texts")

	task.Validation = task.Test
	var last training.Progress
	best, err := Choose(t.Context(), r, p, task, o, func(p training.Progress) { last = p })
	require.NoError(t, err)
	require.Equal(t, 90, last.Step)
	require.Equal(t, 90, last.Steps)
	tried := map[float64]float64{}
	for _, part := range rates {
		o.LearningRate = part * p.Model.Config.Optimizer.LearningRate
		one, err := Finetune(t.Context(), r, p, task, o, func(training.Progress) { t.Error("trained again") })
		require.NoError(t, err)
		tried[o.LearningRate] = one.Validation.BalancedAccuracy
		require.LessOrEqual(t, one.Validation.BalancedAccuracy, best.Validation.BalancedAccuracy)
	}
	require.Equal(t, tried[best.LearningRate], best.Validation.BalancedAccuracy)
	require.Equal(t, *best.Validation, best.Model, "the same texts")

	turned := task
	turned.Test = nil
	for _, e := range task.Test {
		turned.Test = append(turned.Test, Example{Text: e.Text, Class: len(task.Classes) - 1 - e.Class})
	}
	other, err := Choose(t.Context(), r, p, turned, o, nil)
	require.NoError(t, err)
	require.Equal(t, best.LearningRate, other.LearningRate)
	require.Equal(t, best.Validation, other.Validation)
	require.NotEqual(t, best.Model, other.Model)
	require.NotEqual(t, task.Hash(), turned.Hash())
}

// A validation part is in a task's hash, but a task without one keeps the name of its runs; and it needs every class.
func TestValidationTexts(t *testing.T) {
	task := toy()
	with := task
	with.Validation = task.Test
	require.NotEqual(t, task.Hash(), with.Hash())
	require.NoError(t, with.Check())
	with.Validation = task.Test[:1]
	require.ErrorContains(t, with.Check(), "no text is in the validation part")
}
