// SPDX-License-Identifier: Apache-2.0

package metro_test

import "math"

// What the graphs compute, once more in plain Go for one token.

func negativeLogLikelihood(logits []float64, target int32) float64 {
	high, sum := math.Inf(-1), 0.0
	for _, l := range logits {
		high = max(high, l)
	}
	for _, l := range logits {
		sum += math.Exp(l - high)
	}
	return high + math.Log(sum) - logits[target]
}

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

// detection is the binary cross-entropy of one RTD logit.
func detection(z float64, replaced bool) float64 {
	if replaced {
		return -math.Log(sigmoid(z))
	}
	return -math.Log(sigmoid(-z))
}

func argMax(logits []float64) (best int32) {
	for i, l := range logits {
		if l > logits[best] {
			best = int32(i)
		}
	}
	return best
}
