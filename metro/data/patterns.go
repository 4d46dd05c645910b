// SPDX-License-Identifier: Apache-2.0

package data

import (
	"math"
	"math/rand/v2"
)

// wordsOf parts the candidates of row into words: neighbors of which all but the first continue it. A word that a
// special token or the row's begin cuts off begins with the first piece that is left of it.
func wordsOf(row, candidates []int32, continues func(id int32) bool) [][]int32 {
	var words [][]int32
	for i, at := range candidates {
		if i > 0 && candidates[i-1] == at-1 && continues(row[at]) {
			last := &words[len(words)-1]
			*last = candidates[i-len(*last) : i+1]
			continue
		}
		words = append(words, candidates[i:i+1])
	}
	return words
}

// drawWords goes through words in a random order, takes each that fits into what is left of positions, and returns how
// many positions were filled. It shuffles words.
func drawWords(rng *rand.Rand, words [][]int32, positions []int32) int {
	drawn := 0
	for i := 0; i < len(words) && drawn < len(positions); i++ {
		j := i + rng.IntN(len(words)-i)
		words[i], words[j] = words[j], words[i]
		if len(words[i]) <= len(positions)-drawn {
			drawn += copy(positions[drawn:], words[i])
		}
	}
	return drawn
}

const (
	spanEnd    = 0.2 // the probability that a span ends after a token
	spanLength = 10  // of the longest span
)

// drawSpans fills positions with spans of row's candidates, of which there are as many at least.
func drawSpans(rng *rand.Rand, row []int32, maskable func(id int32) bool, positions []int32) int {
	free := make([]bool, len(row))
	for i, id := range row {
		free[i] = maskable(id)
	}
	starts := make([]int32, 0, len(row))
	for drawn := 0; drawn < len(positions); {
		var length int
		starts, length = placesFor(starts[:0], free, min(drawSpanLength(rng.Float64()), len(positions)-drawn))
		start := starts[rng.IntN(len(starts))]
		for at := start; at < start+int32(length); at++ {
			positions[drawn], free[at] = at, false
			drawn++
		}
	}
	return len(positions)
}

// drawSpanLength is the inverse of the cumulative distribution 1 − (1−p)ˡ over 1…10, made to end at 1; u is in [0, 1).
func drawSpanLength(u float64) int {
	most := 1 - math.Pow(1-spanEnd, spanLength)
	return min(spanLength, 1+int(math.Log1p(-u*most)/math.Log1p(-spanEnd)))
}

// placesFor appends to starts, which is empty, where a span of free positions can begin, at least one of which is free: a
// span of the given length, or of the greatest shorter one that has a place.
func placesFor(starts []int32, free []bool, length int) (places []int32, fits int) {
	for ; len(starts) == 0; length-- {
		run := 0
		for i, ok := range free {
			if run++; !ok {
				run = 0
			}
			if run >= length {
				starts = append(starts, int32(i-length+1))
			}
		}
		fits = length
	}
	return starts, fits
}
