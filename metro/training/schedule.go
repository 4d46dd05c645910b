// SPDX-License-Identifier: Apache-2.0

package training

import (
	"math"

	"metrolab/metro"
)

// RatesSize is the length of [Rates].
const RatesSize = 6

// Rates returns what changes from step to step, 1 … c.Training.Steps, in the optimizer: for the generator's variables
// and then for all others, the [metro.Config.LearningRate] and the two bias corrections 1/(1−βᵗ). In two-stage training the rate of
// the part that rests is 0, and the others' t begins with their stage. Moments that a run takes over are corrected already, so that
// the corrections are 1.
func Rates(c metro.Config, step int) []float32 {
	t, _ := c.Stage(step)
	active := []float32{float32(c.LearningRate(step)), biasCorrection(c, c.Optimizer.Beta1, t), biasCorrection(c, c.Optimizer.Beta2, t)}
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

func biasCorrection(c metro.Config, beta, t float64) float32 {
	if !c.Optimizer.BiasCorrection || c.TakesMoments() {
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

// rests reports whether an option that is an input of the graph is the weight of a loss of the experts of the model that rests in a
// step of two-stage training.
func rests(c metro.Config, path string, step int) bool {
	reader, ok := metro.WeighsExperts(path)
	first := c.Training.GeneratorSteps
	return ok && first > 0 && (reader == metro.OwnerMain) == (step <= first)
}
