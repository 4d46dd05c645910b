// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"os"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

// twoPasses is a config whose second pass has every part that it can have: rows of twice the length, and targets of other rows.
func twoPasses(t *testing.T, assignments ...string) metro.Config {
	t.Helper()
	return assigned(t, append([]string{"training.batch_size=4", "data.seq_len=12", "evaluation.rows=4", "main.dropout=0.1", "objective.rtd_zero_init=false", "positions.rows=24",
		"objective.name=rtd_clm_mist", "objective.options.form=mix", "objective.options.targets=shuffled"}, assignments...)...)
}

// With no weight a second pass trains nothing, though it is computed: weights and moments after five steps are those of rtd_clm, to
// the bit in pure Go and but for rounding on XLA, and the losses are.
func TestASecondPassWithoutWeightTrainsNothing(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		one := twoPasses(t)
		one.Objective.Name, one.Objective.Options = "rtd_clm", metro.Options{}
		p := started(t, be, one)
		want, norm := stepped(t, p, one, 1, 5)
		weights := variables(t, p)

		two := twoPasses(t, "objective.options.weight=0")
		p = started(t, be, two)
		got, gotNorm := stepped(t, p, two, 1, 5)
		gotWeights := variables(t, p)
		require.Contains(t, got.Names, "second_rtd_loss")
		require.Positive(t, got.Metric("second_rtd_loss"))
		if kind(be) == "go" {
			require.Equal(t, weights, gotWeights)
			require.Equal(t, norm, gotNorm)
		}
		distance, path := furthest(t, weights, gotWeights)
		require.Less(t, distance, 1e-6, path)
		require.InEpsilon(t, norm, gotNorm, 1e-6)
		for name, x := range want.Metrics() {
			require.InDelta(t, x, got.Metric(name), 1e-6*max(1, x), name)
		}

		weighted := twoPasses(t, "objective.options.weight=1") // the same program
		p = started(t, be, weighted)
		stepped(t, p, weighted, 1, 5)
		distance, _ = furthest(t, weights, variables(t, p))
		require.Greater(t, distance, 1e-3)
	})
}

// On four devices, whose rows change places across them, a step is that of one; in bfloat16 it learns.
func TestASecondPassOnDevicesAndInBFloat16(t *testing.T) {
	if os.Getenv("METROLAB_TEST_LONG") == "" {
		t.Skip("XLA compiles for minutes; set METROLAB_TEST_LONG=1")
	}
	c := twoPasses(t)
	want, gradient := firstStep(t, startedOn(t, 1, c), c)
	got, gotGradient := firstStep(t, startedOn(t, 4, c), c)
	within(t, want, got, 1e-6, "4 devices")
	distance, path := furthest(t, gradient, gotGradient)
	require.Less(t, distance, 1e-6, path)

	c.Training.MatMul, c.Training.Activations = metro.MatMulBFloat16, metro.ActivationsBFloat16
	p := started(t, backendtest.XLA(t), c)
	first, _ := stepped(t, p, c, 1, 1)
	rounded, _ := stepped(t, p, c, 2, 10)
	require.Less(t, rounded.Metric("second_rtd_loss"), first.Metric("second_rtd_loss"))
}
