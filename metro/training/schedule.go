// SPDX-License-Identifier: Apache-2.0

package training

import "metrolab/metro"

// LearningRate returns the rate of a step, 1 … steps: linear warm-up to the peak at step WarmupSteps, then linear
// decay to FinalFraction of it at the last step (the schedule of the fairseq family, COCO-LM and METRO-T0).
func LearningRate(c metro.Config, step int) float64 {
	o, t, n := c.Optimizer, float64(step), float64(c.Training.Steps)
	warm := float64(o.WarmupSteps)
	if t < warm {
		return o.LearningRate * t / warm
	}
	if n <= warm {
		return o.LearningRate
	}
	return o.LearningRate * (1 - (1-o.FinalFraction)*(t-warm)/(n-warm))
}
