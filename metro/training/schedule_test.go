// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

func schedule(peak float64, warmup, steps int, final float64) metro.Config {
	var c metro.Config
	c.Optimizer.LearningRate, c.Optimizer.WarmupSteps, c.Optimizer.FinalFraction, c.Training.Steps = peak, warmup, final, steps
	c.Optimizer.Schedule = metro.ScheduleThen
	return c
}

func TestRates(t *testing.T) {
	c := schedule(1e-3, 10, 100, 0)
	c.Optimizer.Beta1, c.Optimizer.Beta2, c.Optimizer.BiasCorrection = 0.9, 0.98, true
	at := func(c metro.Config, step int) []float32 { return training.Rates(c, step)[:training.RatesSize/2] }
	for _, step := range []int{1, 7, 100} {
		rates := training.Rates(c, step)
		require.Len(t, rates, training.RatesSize)
		require.Equal(t, rates[:3], rates[3:], "the generator's and the others' are the same")
		for i, want := range []float64{c.LearningRate(step), 1 / (1 - math.Pow(0.9, float64(step))), 1 / (1 - math.Pow(0.98, float64(step)))} {
			require.InEpsilon(t, want+1, float64(rates[i])+1, 1e-6)
		}
	}
	require.InDelta(t, 10, at(c, 1)[1], 1e-5)
	require.InDelta(t, 50, at(c, 1)[2], 1e-4)

	staged, first, second, resting := c, c, c, []float32{0, 1, 1}
	staged.Training.GeneratorSteps, first.Training.Steps, second.Training.Steps = 40, 40, 60
	require.Equal(t, append(at(first, 40), resting...), training.Rates(staged, 40))
	require.Equal(t, append(resting, at(second, 1)...), training.Rates(staged, 41))
	require.Equal(t, append(resting, at(second, 60)...), training.Rates(staged, 100))

	c.Optimizer.BiasCorrection = false
	require.Equal(t, []float32{1, 1}, at(c, 1)[1:])
}

// With masking.final_rate the part of the tokens that is replaced falls over a run, within the slots of the first step.
func TestMaskRateFallsOverARun(t *testing.T) {
	result := trained(t, "masking.rate=0.5", "masking.final_rate=0.05", "training.log_every=1")
	rows, err := runs.ReadMetrics(result.Run.Path(runs.MetricsFile))
	require.NoError(t, err)
	replaced := map[int]float64{}
	for _, r := range rows {
		if x, ok := r.Values["replaced_fraction"]; ok {
			replaced[r.Step] = x
		}
	}
	require.Greater(t, replaced[1], 0.35)
	require.Less(t, replaced[10], 0.2)
}
