// SPDX-License-Identifier: Apache-2.0

package data

import (
	"math"
	"math/rand/v2"
)

// MaskPositions chooses the masked positions of one row, without replacement: round(rate·n) of its n candidates (at
// least one if there is any, at most len(positions)). Positions are written in the order drawn; weights are 1 there
// and 0 at the slots left over, whose position is 0. Candidates are what maskable says, so special tokens and padding
// are never touched. (ELECTRA's published code draws with replacement instead, and so masks less than it says.)
func MaskPositions(rng *rand.Rand, row []int32, rate float64, maskable func(id int32) bool, positions []int32, weights []float32) {
	candidates := make([]int32, 0, len(row))
	for i, id := range row {
		if maskable(id) {
			candidates = append(candidates, int32(i))
		}
	}
	n := len(candidates)
	want := min(n, len(positions), max(1, int(math.Round(rate*float64(n)))))
	clear(positions)
	clear(weights)
	for slot := range want {
		j := slot + rng.IntN(n-slot)
		candidates[slot], candidates[j] = candidates[j], candidates[slot]
		positions[slot], weights[slot] = candidates[slot], 1
	}
}
