// SPDX-License-Identifier: Apache-2.0

package training

import (
	"cmp"
	"math"
	"slices"
)

// AUC is the area under the ROC curve: the probability that a positive has a higher score than a negative, ties
// counting one half (the Mann–Whitney statistic). NaN where either class is missing or a score is NaN.
func AUC(scores []float32, positive []bool) float64 {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
		if math.IsNaN(float64(scores[i])) {
			return math.NaN()
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[a], scores[b]) })
	var positives, negatives, rankSum float64
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && scores[order[j]] == scores[order[i]] {
			j++
		}
		rank := float64(i+j+1) / 2 // mean of the ranks i+1 … j
		for _, k := range order[i:j] {
			if positive[k] {
				positives++
				rankSum += rank
			} else {
				negatives++
			}
		}
		i = j
	}
	if positives == 0 || negatives == 0 {
		return math.NaN()
	}
	return (rankSum - positives*(positives+1)/2) / (positives * negatives)
}
