// SPDX-License-Identifier: Apache-2.0

package masking

import "math/rand/v2"

// Independent draws single positions, each candidate being as likely as every other and none drawn twice. It fills all of
// positions.
func Independent(rng *rand.Rand, row Row, positions []int32) int {
	candidates := row.Candidates
	for slot := range positions {
		j := slot + rng.IntN(len(candidates)-slot)
		candidates[slot], candidates[j] = candidates[j], candidates[slot]
		positions[slot] = candidates[slot]
	}
	return len(positions)
}

// WithReplacement draws single positions independently of each other, so that one may come up twice, in two places
// (ELECTRA's published code). It fills all of positions, with fewer different ones than Independent.
func WithReplacement(rng *rand.Rand, row Row, positions []int32) int {
	for slot := range positions {
		positions[slot] = row.Candidates[rng.IntN(len(row.Candidates))]
	}
	return len(positions)
}
