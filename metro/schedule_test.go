// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro"
	"metrolab/metro/recipes"
)

func schedule(peak float64, warmup, steps int, final float64) metro.Config {
	var c metro.Config
	c.Optimizer.LearningRate, c.Optimizer.WarmupSteps, c.Optimizer.FinalFraction, c.Training.Steps = peak, warmup, final, steps
	c.Optimizer.Schedule = metro.ScheduleThen
	return c
}

// The values of fairseq's polynomial decay with power 1, worked out by hand; those of the first row are METRO-T0 base's. What
// falls is a function of the updates before a step, so that the last step still moves.
func TestLearningRate(t *testing.T) {
	for _, test := range []struct {
		name   string
		config metro.Config
		at     map[int]float64
	}{
		{"base", schedule(4e-4, 10_000, 125_000, 0), map[int]float64{1: 4e-8, 5_000: 2e-4, 9_999: 3.9996e-4, 10_000: 4e-4, 10_001: 4e-4, 67_501: 2e-4, 124_999: 8e-4 / 115_000, 125_000: 4e-4 / 115_000}},
		{"ends at a tenth", schedule(1e-3, 10, 110, 0.1), map[int]float64{5: 5e-4, 10: 1e-3, 61: 5.5e-4, 110: 1e-4 + 9e-6}},
		{"no warm-up", schedule(1e-3, 0, 100, 0), map[int]float64{1: 1e-3, 51: 5e-4, 100: 1e-5}},
		{"nothing but warm-up", schedule(1e-3, 100, 100, 0), map[int]float64{1: 1e-5, 50: 5e-4, 100: 1e-3}},
		{"constant", schedule(1e-3, 0, 100, 1), map[int]float64{1: 1e-3, 50: 1e-3, 100: 1e-3}},
		{"one step", schedule(1e-3, 0, 1, 0), map[int]float64{1: 1e-3}},
	} {
		for step, want := range test.at {
			require.InDelta(t, want, test.config.LearningRate(step), 1e-15, "%s, step %d", test.name, step)
		}
	}
}

// ELECTRA's code multiplies the two, so that its maximum is below the peak. The values are its formula's, worked out by
// hand.
func TestLearningRateOfElectra(t *testing.T) {
	c := schedule(5e-4, 10_000, 1_000_000, 0)
	c.Optimizer.Schedule = metro.ScheduleTimes
	for step, want := range map[int]float64{
		1: 5e-4 * 1e-4, 5_000: 2.5e-4 * (1 - 0.004999), 10_000: 5e-4 * (1 - 0.009999), 10_001: 4.95e-4, 500_001: 2.5e-4, 1_000_000: 5e-10,
	} {
		require.InDelta(t, want, c.LearningRate(step), 1e-15, "step %d", step)
	}
	highest := 0.0
	for step := 1; step <= c.Training.Steps; step++ {
		highest = max(highest, c.LearningRate(step))
	}
	require.Equal(t, c.LearningRate(10_000), highest)

	c.Optimizer.WarmupSteps, c.Optimizer.FinalFraction, c.Training.Steps = 0, 0.5, 10
	require.InDelta(t, 5e-4, c.LearningRate(1), 1e-15, "without a warm-up only the decay is left")
	require.InDelta(t, 5e-4*0.55, c.LearningRate(10), 1e-15)
}

// Each stage has a warm-up and a decay of its own, as runs of its length have.
func TestLearningRateInTwoStages(t *testing.T) {
	for _, name := range []string{metro.ScheduleThen, metro.ScheduleTimes} {
		whole, first, second := schedule(1e-3, 10, 100, 0.1), schedule(1e-3, 10, 30, 0.1), schedule(1e-3, 10, 70, 0.1)
		whole.Training.GeneratorSteps = 30
		for _, c := range []*metro.Config{&whole, &first, &second} {
			c.Optimizer.Schedule = name
		}
		for step := 1; step <= 100; step++ {
			want := first.LearningRate(step)
			if step > 30 {
				want = second.LearningRate(step - 30)
			}
			require.Equal(t, want, whole.LearningRate(step), "%s, step %d", name, step)
		}
	}
}

// What rests has a rate of 0, and corrections of its own that leave its moments alone; the rest of the numbers are a single
// run's.
// The values of 1 + (T₀−1)·exp(−u/τ) at T₀ = 2 and τ = 0.1, worked out by hand: Fast-ELECTRA's. Step t begins when the part
// u = (t−1)/steps is over.
func TestTemperature(t *testing.T) {
	c := schedule(0, 0, 100, 0)
	c.Replacements.Temperature, c.Replacements.TemperatureDecay, c.Replacements.TemperatureSchedule = 2, 0.1, metro.TemperatureConstant
	require.Equal(t, 2.0, c.TemperatureAt(1))
	require.Equal(t, 2.0, c.TemperatureAt(100), "constant")
	c.Replacements.TemperatureSchedule = metro.TemperatureExponential
	for step, want := range map[int]float64{1: 2, 6: 1.606531, 11: 1.367879, 21: 1.135335, 51: 1.006738, 101: 1.000045} {
		require.InDelta(t, want, c.TemperatureAt(step), 5e-7, "step %d", step)
	}
	c.Replacements.Temperature = 0.5
	require.InDelta(t, 0.5, c.TemperatureAt(1), 1e-15)
	require.InDelta(t, 1-0.5*math.Exp(-1), c.TemperatureAt(11), 1e-15, "it may rise as well")
}

// Up to the peak and down from it, never at the final fraction or above the peak.
func TestLearningRateHasOnePeak(t *testing.T) {
	for _, warmup := range []int{0, 1, 7, 59, 60} {
		c := schedule(3e-3, warmup, 60, 0.2)
		for step := 2; step <= 60; step++ {
			before, now := c.LearningRate(step-1), c.LearningRate(step)
			require.Equal(t, step <= warmup, now > before, "warm-up %d, step %d", warmup, step)
			require.Equal(t, step > warmup+1, now < before, "warm-up %d, step %d", warmup, step)
			require.True(t, now > 0.2*3e-3 && now <= 3e-3 || step < warmup)
		}
	}
}

// The mask rate stays, or falls evenly to where it would be after the last step.
func TestMaskRate(t *testing.T) {
	c := schedule(1e-3, 0, 100, 0)
	c.Masking.Rate = 0.3
	for _, step := range []int{1, 50, 100} {
		require.Equal(t, 0.3, c.MaskRate(step))
	}
	c.Masking.FinalRate = 0.15
	for step, want := range map[int]float64{1: 0.3, 51: 0.225, 100: 0.1515} {
		require.InDelta(t, want, c.MaskRate(step), 1e-15, "step %d", step)
	}
	for _, refused := range []string{"masking.final_rate=0.15", "masking.final_rate=0.2", "masking.final_rate=-0.1"} {
		c := recipes.Tiny() // whose rate is 0.15
		require.NoError(t, c.Set(refused))
		require.ErrorContains(t, c.Validate(), "masking.final_rate")
	}
}
