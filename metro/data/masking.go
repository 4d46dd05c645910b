// SPDX-License-Identifier: Apache-2.0

package data

import (
	"math"
	"math/rand/v2"

	"metrolab/internal/usererr"
	"metrolab/metro/masking"
)

// Masking says how a row is masked: how much of it, in which pattern, and what the generator sees there instead. The
// loss and the replacement take place at every masked position, also where the token was left to be seen.
//
// Of n candidates in a row, its ordinary tokens, round(Rate·n) are masked: at least one if there is any, at most as many
// as there are slots, and fewer where the pattern has no place for more.
//
// Rules of the literature: Keep 0, Random 0 (100/0/0: every masked position shows [MASK]); Keep 0.15 (85/15/0, ELECTRA's
// published code); Keep 0.1, Random 0.1 (80/10/10, BERT).
type Masking struct {
	Rate         float64      // part of the row's candidates that is masked
	Keep, Random float64      // shares of the masked positions that show their own token, or a random one; the rest shows [MASK]
	Pattern      masking.Func // how the masked positions lie; nil stands for masking.Independent
}

// Validate returns the user's error for numbers that make no sense.
func (m Masking) Validate() error {
	switch {
	case !(m.Rate > 0 && m.Rate < 1):
		return usererr.New("the mask rate is %g; it must be above 0 and below 1", m.Rate)
	case !(m.Keep >= 0 && m.Random >= 0 && m.Keep+m.Random <= 1):
		return usererr.New("of the masked positions %g keep their token and %g show a random one; neither may be negative, nor both together above 1", m.Keep, m.Random)
	}
	return nil
}

// positions chooses the masked positions of one row and writes them in the order drawn, with weight 1; slots left over
// get position and weight 0. Candidates are what maskable says, so special tokens and padding are never touched.
// continues marks the pieces that continue a word, for patterns that ask for words.
func (m Masking) positions(rng *rand.Rand, row []int32, maskable, continues func(id int32) bool, positions []int32, weights []float32) {
	clear(positions)
	clear(weights)
	pattern := m.Pattern
	if pattern == nil {
		pattern = masking.Independent
	}
	seen := masking.Row{IDs: row, Candidates: masking.Candidates(row, maskable), Continues: continues}
	drawn := pattern(rng, seen, positions[:budget(m.Rate, len(seen.Candidates), len(positions))])
	for slot := range drawn {
		weights[slot] = 1
	}
}

// budget is how many of n candidates are masked, given so many slots.
func budget(rate float64, n, slots int) int {
	return min(n, slots, max(1, int(math.Round(rate*float64(n)))))
}

// MaskPositions is the plain case of [Masking], independent positions without replacement: round(rate·n) of a row's n
// candidates (at least one if there is any, at most len(positions)). Positions are written in the order drawn; weights
// are 1 there and 0 at the slots left over, whose position is 0. Candidates are what maskable says, so special tokens
// and padding are never touched.
func MaskPositions(rng *rand.Rand, row []int32, rate float64, maskable func(id int32) bool, positions []int32, weights []float32) {
	Masking{Rate: rate}.positions(rng, row, maskable, nil, positions, weights)
}
