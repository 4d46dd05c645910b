// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro/training"
)

// Worked out by hand: two bins, of two logits each.
func TestCalibrationError(t *testing.T) {
	logit := func(p float64) float32 { return float32(math.Log(p / (1 - p))) }
	require.InDelta(t, (math.Abs(0.23+0.27-1)+math.Abs(0.93+0.97-2))/4,
		training.CalibrationError([]float32{logit(0.23), logit(0.93), logit(0.27), logit(0.97)}, []bool{true, true, false, true}), 1e-6)
	require.InDelta(t, 0, training.CalibrationError([]float32{40, -40}, []bool{true, false}), 1e-6)
	require.InDelta(t, 1, training.CalibrationError([]float32{40, -40}, []bool{false, true}), 1e-6)
	require.True(t, math.IsNaN(training.CalibrationError(nil, nil)))
	require.True(t, math.IsNaN(training.CalibrationError([]float32{float32(math.NaN())}, []bool{true})))
}

// With no weight on the lower heads a run is the baseline's, step by step, to the bit in pure Go: its weights, and what both record. It
// measures early exits beside, whose depths are means of those of replaced and original tokens.
func TestExitsWithoutWeightTrainTheBaseline(t *testing.T) {
	be := backendtest.Go(t)
	run := func(more ...string) training.Result {
		c := assigned(t, append([]string{"main.layers=3", "optimizer.clip_norm=0.5"}, more...)...)
		result, err := ownRunner(t, be).Run(t.Context(), "run", c, nil)
		require.NoError(t, err)
		require.Empty(t, result.Diverged)
		return result
	}
	base, exits := run(), run("objective.name=rtd_clm_exits", "objective.options.early_weight=0")
	want, _ := checkpointed(t, base.Run)
	got, _ := checkpointed(t, exits.Run)
	heads := 0
	for name, values := range got {
		if strings.HasPrefix(name, "main.rtd_") {
			heads++
			continue
		}
		require.Equal(t, want[name], values, name)
	}
	require.Equal(t, len(want), len(got)-heads)
	require.Positive(t, heads)
	for name, x := range base.Metrics {
		if x == x && !slices.Contains(training.TimingMetrics, name) {
			require.Equal(t, x, exits.Metrics[name], name)
		}
	}
	for _, at := range []string{"90", "95", "99"} {
		all, replaced, original := exits.Metrics["frozen_early_depth_"+at], exits.Metrics["frozen_early_depth_replaced_"+at], exits.Metrics["frozen_early_depth_original_"+at]
		require.True(t, all >= 1 && all <= 3)
		require.True(t, all >= min(replaced, original) && all <= max(replaced, original))
	}
	for _, name := range []string{"frozen_ece", "frozen_ece_1", "frozen_ece_2", "frozen_early_auc_90"} {
		require.Contains(t, exits.Metrics, name)
	}
}
