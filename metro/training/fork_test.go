// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/faultfs"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// trunkConfig keeps its checkpoint of step 12, between two records.
func trunkConfig() metro.Config {
	c := micro(25)
	c.Training.KeepAt = 12
	return c
}

// forkOf is a config's fork from a step of a run in the same store.
func forkOf(t *testing.T, run *runs.Run, step int, assignments ...string) metro.Config {
	t.Helper()
	c := trunkConfig()
	for _, a := range append(assignments, fmt.Sprintf("training.fork=%s@%d", run.ID, step)) {
		require.NoError(t, c.Set(a))
	}
	return c
}

// A fork that changes nothing is the run that it goes on with, to the bit: weights, moments, log and result. One that changes
// something shares all before the step, and nothing that learns behind it.
func TestAForkThatChangesNothing(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		r := runner(t, be)
		trunk, err := r.Run(t.Context(), "run", trunkConfig(), nil)
		require.NoError(t, err)
		first := 0
		fork, err := r.Run(t.Context(), "run", forkOf(t, trunk.Run, 12), func(p training.Progress) {
			if p.Phase == "training" && first == 0 {
				first = p.Step
			}
		})
		require.NoError(t, err)
		require.Equal(t, 13, first, "no step is trained twice")
		require.NotEqual(t, trunk.Run.ID, fork.Run.ID)
		require.Equal(t, line(t, trunk.Metrics), line(t, fork.Metrics))
		require.Greater(t, fork.Before, 0.0)
		require.Greater(t, fork.Seconds, fork.Before)
		equalRuns(t, trunk.Run, fork.Run)
		requireWhole(t, fork.Run)

		heavier, err := r.Run(t.Context(), "run", forkOf(t, trunk.Run, 12, "objective.rtd_weight=10"), nil)
		require.NoError(t, err)
		a, b := lines(t, metricsOf(t, trunk.Run)), lines(t, metricsOf(t, heavier.Run))
		require.Len(t, b, len(a))
		require.Equal(t, a[0], b[0], "step 7")
		require.NotEqual(t, a[1], b[1], "step 14")
	})
}

// requireWhole looks at the log as reports do: against the mark in the result.
func requireWhole(t *testing.T, run *runs.Run) {
	t.Helper()
	_, err := run.ReadMetrics()
	require.NoError(t, err)
}

// A fork that is killed in the middle of a change to its files, or stopped, ends as if nothing had happened. The trunk is only
// read.
func TestAKilledForkEndsTheSame(t *testing.T) {
	r := ownRunner(t, backendtest.Go(t))
	trunk, err := r.Run(t.Context(), "run", trunkConfig(), nil)
	require.NoError(t, err)
	trunkDir := trunk.Run.Dir
	c := forkOf(t, trunk.Run, 12, "objective.rtd_weight=10")
	c.Training.Fork = trunkDir + "@12"
	train := func() (training.Result, error) { return r.Run(t.Context(), "run", c, nil) }
	whole, err := train()
	require.NoError(t, err)
	const apart = 61
	for at := 1; ; at += apart {
		r.Store = runs.Store{Root: t.TempDir()}
		changes, err := faultfs.Killed(at, func() error { _, err := train(); return err })
		if changes < at {
			require.NoError(t, err)
			require.Greater(t, changes, 100)
			break
		}
		require.NoError(t, faultfs.Bury(r.Store.Root))
		var resumed training.Result
		_, err = faultfs.Killed(math.MaxInt, func() (err error) { resumed, err = train(); return err })
		require.NoError(t, err, "killed at change %d", at)
		require.Equal(t, line(t, whole.Metrics), line(t, resumed.Metrics), "killed at change %d", at)
		equalRuns(t, whole.Run, resumed.Run)
		require.Empty(t, strays(t, resumed.Run.Dir), "killed at change %d", at)
	}

	r.Store = runs.Store{Root: t.TempDir()}
	ctx, stop := context.WithCancel(t.Context())
	_, err = r.Run(ctx, "run", c, func(p training.Progress) {
		if p.Step == 17 {
			stop()
		}
	})
	require.ErrorIs(t, err, training.ErrInterrupted)
	resumed, err := train()
	require.NoError(t, err)
	equalRuns(t, whole.Run, resumed.Run)
}

// What cannot be forked is refused before anything is made, with a sentence that says why.
func TestForksThatAreRefused(t *testing.T) {
	r := runner(t, backendtest.Go(t))
	trunk, err := r.Run(t.Context(), "run", trunkConfig(), nil)
	require.NoError(t, err)
	open := func(c metro.Config) error {
		_, err := r.Open(t.Context(), "run", c)
		return err
	}
	fork := func(step int, assignments ...string) error { return open(forkOf(t, trunk.Run, step, assignments...)) }
	for want, err := range map[string]error{
		"has no checkpoint of step 9, it has those of steps 12, 20, 25": fork(9),
		"leaves nothing to train":               fork(25),
		"a fork cannot change seed (4, and 0":   fork(12, "seed=4"),
		"a fork cannot change main.heads":       fork(12, "main.heads=1"),
		"optimizer.warmup_steps=5 does nothing": fork(12, "optimizer.schedule=warmup_times_decay", "optimizer.warmup_steps=5"),
		"the weight /main/lm/norm/gain is new":  fork(12, "objective.name=mlm"),
		"training.fork must be RUN@STEP":        func() error { c := trunkConfig(); c.Training.Fork = "elsewhere"; return open(c) }(),
		"elsewhere is not a run":                func() error { c := trunkConfig(); c.Training.Fork = "elsewhere@12"; return open(c) }(),
	} {
		require.True(t, usererr.Is(err), "%s: %v", want, err)
		require.ErrorContains(t, err, want)
	}
	listed, err := r.Store.List()
	require.NoError(t, err)
	require.Len(t, listed, 1, "what is refused leaves nothing")

	path := filepath.Join(trunk.Run.Dir, "checkpoints", "step-00000012", "variables.safetensors")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	text[len(text)/2] ^= 1
	require.NoError(t, os.WriteFile(path, text, 0o600))
	require.ErrorContains(t, fork(12), "is damaged")
}
