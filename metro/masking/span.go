// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"math"
	"math/rand/v2"
)

const (
	spanEnd    = 0.2 // the probability that a span ends after a token
	spanLength = 10  // of the longest span
)

// Span draws runs of tokens, 1 to 10 long, with lengths of the geometric distribution of p = 0.2 cut off there (3.8 on
// average), and places each where it fits, clear of special tokens and of other spans, every such place being as likely as
// another. Where it fits nowhere it is shortened, and the last is as long as what is left: it fills all of positions. The
// lengths are believed to be SpanBERT's, which was not verified; the placing is our own.
func Span(rng *rand.Rand, row Row, positions []int32) int {
	free := make([]bool, len(row.IDs))
	for _, at := range row.Candidates {
		free[at] = true
	}
	starts := make([]int32, 0, len(row.IDs))
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
