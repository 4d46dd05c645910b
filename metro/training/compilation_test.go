// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro/backend"
	"metrolab/metro/training"
)

// Every graph of a run is compiled once: its step, and the two that it is measured with. Evaluating, being stopped and going on,
// and another seed compile nothing more, and another process loads what this one has kept, with the same numbers.
func TestNothingIsCompiledTwice(t *testing.T) {
	be := backendtest.XLA(t)
	backend.CacheExecutables(filepath.Join(t.TempDir(), "executables"))
	t.Cleanup(func() { backend.CacheExecutables("") })
	counted := func(do func()) [2]int64 {
		compiled, loaded := backend.Compilations()
		do()
		compiledThen, loadedThen := backend.Compilations()
		return [2]int64{compiledThen - compiled, loadedThen - loaded}
	}
	c := assigned(t, append(lean(be), "training.steps=12", "training.eval_every=4", "training.log_every=4", "training.checkpoint_every=4")...)
	first := ownRunner(t, be)
	require.Equal(t, [2]int64{3, 0}, counted(func() {
		ctx, stop := context.WithCancel(t.Context())
		_, err := first.Run(ctx, "run", c, func(p training.Progress) {
			if p.Step == 6 {
				stop()
			}
		})
		require.ErrorIs(t, err, training.ErrInterrupted)
	}), "steps and evaluations")
	var run training.Result
	require.Zero(t, counted(func() {
		var err error
		run, err = first.Run(t.Context(), "run", c, nil)
		require.NoError(t, err)
		other := c
		other.Seed = 7
		_, err = first.Run(t.Context(), "run", other, nil)
		require.NoError(t, err)
	}), "going on, and another seed")
	second := ownRunner(t, be)
	require.Equal(t, [2]int64{0, 3}, counted(func() {
		again, err := second.Run(t.Context(), "run", c, nil)
		require.NoError(t, err)
		equalRuns(t, run.Run, again.Run)
	}), "a program of its own")
}
