// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro"
	"metrolab/metro/training"
)

func schedule(peak float64, warmup, steps int, final float64) metro.Config {
	var c metro.Config
	c.Optimizer.LearningRate, c.Optimizer.WarmupSteps, c.Optimizer.FinalFraction, c.Training.Steps = peak, warmup, final, steps
	return c
}

// The values of fairseq's polynomial decay with power 1, worked out by hand; those of the first row are METRO-T0 base's.
func TestLearningRate(t *testing.T) {
	for _, test := range []struct {
		name   string
		config metro.Config
		at     map[int]float64
	}{
		{"base", schedule(4e-4, 10_000, 125_000, 0), map[int]float64{1: 4e-8, 5_000: 2e-4, 9_999: 3.9996e-4, 10_000: 4e-4, 67_500: 2e-4, 124_999: 4e-4 / 115_000, 125_000: 0}},
		{"ends at a tenth", schedule(1e-3, 10, 110, 0.1), map[int]float64{5: 5e-4, 10: 1e-3, 60: 5.5e-4, 110: 1e-4}},
		{"no warm-up", schedule(1e-3, 0, 100, 0), map[int]float64{1: 9.9e-4, 50: 5e-4, 100: 0}},
		{"nothing but warm-up", schedule(1e-3, 100, 100, 0), map[int]float64{1: 1e-5, 50: 5e-4, 100: 1e-3}},
		{"constant", schedule(1e-3, 0, 100, 1), map[int]float64{1: 1e-3, 50: 1e-3, 100: 1e-3}},
		{"one step", schedule(1e-3, 0, 1, 0), map[int]float64{1: 0}},
	} {
		for step, want := range test.at {
			require.InDelta(t, want, training.LearningRate(test.config, step), 1e-15, "%s, step %d", test.name, step)
		}
	}
}

// Up to the peak and down from it, never below 0 or above the peak.
func TestLearningRateHasOnePeak(t *testing.T) {
	for _, warmup := range []int{0, 1, 7, 59, 60} {
		c := schedule(3e-3, warmup, 60, 0.2)
		for step := 2; step <= 60; step++ {
			before, now := training.LearningRate(c, step-1), training.LearningRate(c, step)
			require.Equal(t, step <= warmup, now > before, "warm-up %d, step %d", warmup, step)
			require.True(t, now >= 0.2*3e-3-1e-15 && now <= 3e-3 || step < warmup)
		}
	}
}
