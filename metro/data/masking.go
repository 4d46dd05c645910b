// SPDX-License-Identifier: Apache-2.0

package data

import (
	"math"
	"math/rand/v2"

	"metrolab/internal/usererr"
)

// Masking says how a row is masked: how much of it, in which pattern, and what the generator sees there instead. The
// loss and the replacement take place at every masked position, also where the token was left to be seen.
//
// Rules of the literature: Keep 0, Random 0 (100/0/0: every masked position shows [MASK]); Keep 0.15 (85/15/0, ELECTRA's
// published code); Keep 0.1, Random 0.1 (80/10/10, BERT).
type Masking struct {
	Rate         float64 // part of the row's candidates, its ordinary tokens, that is masked
	Keep, Random float64 // shares of the masked positions that show their own token, or a random one; the rest shows [MASK]
	Pattern      Pattern // "" stands for Independent

	// WithReplacement draws the positions independently of each other, so that one may come up twice, in two slots of
	// weight 1 (ELECTRA's published code): fewer than Rate says are masked. For the pattern Independent only.
	WithReplacement bool
}

// Pattern is how the masked positions of a row lie.
type Pattern string

// The patterns. Each masks round(Rate·n) of n candidates, at least one if there is any and at most as many as there are
// slots: exactly that many, but for WholeWord, which may stay below.
const (
	// Independent draws single positions.
	Independent Pattern = "independent"
	// WholeWord draws words, a piece that begins one and those that continue it, and masks all pieces of each. A word
	// longer than what is left is passed over, never cut: fewer positions than wanted are masked where no word fits any
	// more, and none in a row of nothing but longer words.
	WholeWord Pattern = "whole_word"
	// Span draws runs of tokens, 1 to 10 long, with lengths of the geometric distribution of p = 0.2 cut off there (3.8
	// on average), and places each where it fits, clear of special tokens and of other spans, every such place being as
	// likely as another. Where it fits nowhere it is shortened, and the last is as long as what is left. The lengths
	// are believed to be SpanBERT's, which was not verified; the placing is our own.
	Span Pattern = "span"
)

// Validate returns the user's error for numbers and combinations that make no sense.
func (m Masking) Validate() error {
	switch {
	case !(m.Rate > 0 && m.Rate < 1):
		return usererr.New("the mask rate is %g; it must be above 0 and below 1", m.Rate)
	case !(m.Keep >= 0 && m.Random >= 0 && m.Keep+m.Random <= 1):
		return usererr.New("of the masked positions %g keep their token and %g show a random one; neither may be negative, nor both together above 1", m.Keep, m.Random)
	}
	switch m.Pattern {
	case Independent, "":
	case WholeWord, Span:
		if m.WithReplacement {
			return usererr.New("the mask pattern %q draws without replacement only; %q can do both", m.Pattern, Independent)
		}
	default:
		return usererr.New("no mask pattern is called %q; there are %q, %q and %q", m.Pattern, Independent, WholeWord, Span)
	}
	return nil
}

// positions chooses the masked positions of one row and writes them in the order drawn, with weight 1; slots left over
// get position and weight 0. Candidates are what maskable says, so special tokens and padding are never touched.
// continues marks the pieces that continue a word and is called for whole words only.
func (m Masking) positions(rng *rand.Rand, row []int32, maskable, continues func(id int32) bool, positions []int32, weights []float32) {
	clear(positions)
	clear(weights)
	candidates := candidatesOf(row, maskable)
	budget := budget(m.Rate, len(candidates), len(positions))
	var drawn int
	switch {
	case m.Pattern == WholeWord:
		drawn = drawWords(rng, wordsOf(row, candidates, continues), positions[:budget])
	case m.Pattern == Span:
		drawn = drawSpans(rng, row, maskable, positions[:budget])
	case m.WithReplacement:
		drawn = drawAgain(rng, candidates, positions[:budget])
	default:
		drawn = drawOnce(rng, candidates, positions[:budget])
	}
	for slot := range drawn {
		weights[slot] = 1
	}
}

// MaskPositions is the plain case of [Masking], independent positions without replacement: round(rate·n) of a row's n
// candidates (at least one if there is any, at most len(positions)). Positions are written in the order drawn; weights
// are 1 there and 0 at the slots left over, whose position is 0. Candidates are what maskable says, so special tokens
// and padding are never touched.
func MaskPositions(rng *rand.Rand, row []int32, rate float64, maskable func(id int32) bool, positions []int32, weights []float32) {
	Masking{Rate: rate}.positions(rng, row, maskable, nil, positions, weights)
}

// candidatesOf returns the positions of row that may be masked, in order.
func candidatesOf(row []int32, maskable func(id int32) bool) []int32 {
	candidates := make([]int32, 0, len(row))
	for i, id := range row {
		if maskable(id) {
			candidates = append(candidates, int32(i))
		}
	}
	return candidates
}

// budget is how many of n candidates are masked, given so many slots.
func budget(rate float64, n, slots int) int {
	return min(n, slots, max(1, int(math.Round(rate*float64(n)))))
}

// drawOnce draws distinct candidates into all of positions. It shuffles candidates.
func drawOnce(rng *rand.Rand, candidates, positions []int32) int {
	for slot := range positions {
		j := slot + rng.IntN(len(candidates)-slot)
		candidates[slot], candidates[j] = candidates[j], candidates[slot]
		positions[slot] = candidates[slot]
	}
	return len(positions)
}

// drawAgain draws each of positions from all candidates.
func drawAgain(rng *rand.Rand, candidates, positions []int32) int {
	for slot := range positions {
		positions[slot] = candidates[rng.IntN(len(candidates))]
	}
	return len(positions)
}
