// SPDX-License-Identifier: Apache-2.0

package training

import (
	"math"

	"metrolab/metro"
)

// LearningRate returns the rate of a step, 1 … steps. Both schedules warm up linearly over WarmupSteps and fall
// linearly to FinalFraction of the peak at the last step; "warmup_then_decay" does one after the other (the fairseq
// family: COCO-LM, METRO-T0), "warmup_times_decay" multiplies them, so that its maximum stays below the peak (ELECTRA's
// code). With two-stage training each stage has a schedule of its own.
func LearningRate(c metro.Config, step int) float64 {
	o := c.Optimizer
	t, n := stage(c, step)
	warm := float64(o.WarmupSteps)
	if o.Schedule == metro.ScheduleTimes {
		return o.LearningRate * (1 - (1-o.FinalFraction)*t/n) * min(1, t/max(warm, 1))
	}
	if t < warm {
		return o.LearningRate * t / warm
	}
	if n <= warm {
		return o.LearningRate
	}
	return o.LearningRate * (1 - (1-o.FinalFraction)*(t-warm)/(n-warm))
}

// stage returns the step within its stage of training, and the stage's length.
func stage(c metro.Config, step int) (t, n float64) {
	first := c.Training.GeneratorSteps
	if step <= first {
		return float64(step), float64(first)
	}
	return float64(step - first), float64(c.Training.Steps - first)
}

// Temperature returns T of the samples of a step.
func Temperature(c metro.Config, step int) float64 {
	r := c.Replacements
	if r.TemperatureSchedule != metro.TemperatureExponential {
		return r.Temperature
	}
	over := float64(step-1) / float64(c.Training.Steps)
	return 1 + (r.Temperature-1)*math.Exp(-over/r.TemperatureDecay)
}

// RatesSize is the length of [Rates].
const RatesSize = 6

// Rates returns what changes from step to step, 1 … c.Training.Steps, in the optimizer: for the generator's variables
// and then for all others, the [LearningRate] and the two bias corrections 1/(1−βᵗ). In two-stage training the rate of
// the part that rests is 0, and the others' t begins with their stage.
func Rates(c metro.Config, step int) []float32 {
	t, _ := stage(c, step)
	active := []float32{float32(LearningRate(c, step)), biasCorrection(c.Optimizer, c.Optimizer.Beta1, t), biasCorrection(c.Optimizer, c.Optimizer.Beta2, t)}
	resting := []float32{0, 1, 1}
	switch first := c.Training.GeneratorSteps; {
	case first == 0:
		return append(active, active...)
	case step <= first:
		return append(active, resting...)
	default:
		return append(resting, active...)
	}
}

func biasCorrection(o metro.Optimizer, beta, t float64) float32 {
	if !o.BiasCorrection {
		return 1
	}
	return float32(1 / (1 - math.Pow(beta, t)))
}

// lossWeights are the objective's weights, with 0 for what rests in a step of two-stage training.
func lossWeights(c metro.Config, step int) []float32 {
	weights, first := c.Objective.Weights(), c.Training.GeneratorSteps
	switch {
	case first == 0:
	case step <= first:
		clear(weights[1:])
	default:
		weights[0] = 0
	}
	return weights
}
