// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"context"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// A run with four experts trains, and stopped and gone on with it is the run that was not stopped, to the bit; by either optimizer.
func TestExpertsTrainAndResume(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		c := assigned(t, "main.feed_forward=moe", "generator.feed_forward=moe", "main.feed_forward_options.random_selection=true",
			"main.feed_forward_options.capacity=1", "main.feed_forward_options.jitter=0.01", "main.feed_forward_options.z_weight=0.001",
			"optimizer.name=muon", "training.checkpoint_every=4")
		r := ownRunner(t, be)
		whole, err := r.Run(t.Context(), "run", c, nil)
		require.NoError(t, err)
		require.Empty(t, whole.Diverged)
		for _, name := range []string{"balance_loss", "gate_z_loss", "dropped_share", "load_entropy", "largest_load", "expert_divergence", "generator_balance_loss"} {
			x, ok := whole.Metrics["val_"+name]
			require.True(t, ok && x == x, name)
		}
		r.Store = runs.Store{Root: t.TempDir()}
		ctx, stop := context.WithCancel(t.Context())
		_, err = r.Run(ctx, "run", c, func(at training.Progress) {
			if at.Step == 6 {
				stop()
			}
		})
		require.ErrorIs(t, err, training.ErrInterrupted)
		resumed, err := r.Run(t.Context(), "run", c, nil)
		require.NoError(t, err)
		equalRuns(t, whole.Run, resumed.Run)
	})
}

// A run with one expert is the dense run, but for rounding.
func TestOneExpertTrainsAsTheDenseMap(t *testing.T) {
	be := backendtest.Go(t)
	run := func(assignments ...string) training.Result {
		result, err := ownRunner(t, be).Run(t.Context(), "run", assigned(t, assignments...), nil)
		require.NoError(t, err)
		return result
	}
	dense, one := run(), run("main.feed_forward=moe", "main.feed_forward_options.experts=1", "main.feed_forward_options.balance_weight=0")
	for name, x := range dense.Metrics {
		if strings.HasPrefix(name, "val_") && x == x {
			require.InDelta(t, x, one.Metrics[name], 1e-4, name)
		}
	}
}
