// SPDX-License-Identifier: Apache-2.0

package compress

import (
	"math"
	"slices"

	"metrolab/internal/randstream"
)

// signDraws is how many ways of changing signs are tried at most.
const signDraws = 9999

// MaxT returns, for each of many differences, how probable it is that the largest of all would be as large if none were there: p
// adjusted for having looked at them all. A difference is the sum of what units, rows of text or models, contribute to it, x[k][unit];
// units are independent, and if there is no difference, each contributes as probably the one as the other way. So the signs of a unit
// are changed in all differences at once, which keeps how these hang together, and the largest |Σx|/√Σx² is compared with that of the
// signs as they are (Westfall and Young's max-T, by sign flips; two-sided). All ways are tried where they are no more than 9,999, else
// as many, drawn from seed. A difference of zeros has p = 1.
func MaxT(x [][]float64, seed int64) []float64 {
	p := make([]float64, len(x))
	if len(x) == 0 {
		return p
	}
	units := len(x[0])
	scale := make([]float64, len(x))
	for k := range x {
		for _, v := range x[k] {
			scale[k] += v * v
		}
		scale[k] = math.Sqrt(scale[k])
	}
	statistic := func(k int, signs []float64) float64 {
		if scale[k] == 0 {
			return 0
		}
		sum := 0.0
		for i, v := range x[k] {
			sum += signs[i] * v
		}
		return math.Abs(sum) / scale[k]
	}
	signs := slices.Repeat([]float64{1}, units)
	observed := make([]float64, len(x))
	for k := range x {
		observed[k] = statistic(k, signs)
	}
	all := units < 14 && 1<<units <= signDraws
	draws := signDraws + 1 // the signs as they are count as one of them
	if all {
		draws = 1 << units
	}
	rng := randstream.New(seed, "compress/signs")
	for draw := range draws {
		for i := range signs {
			negative := rng.Uint64()&1 == 1
			if all {
				negative = draw>>i&1 == 1
			}
			signs[i] = 1
			if negative && draw > 0 {
				signs[i] = -1
			}
		}
		most := 0.0
		for k := range x {
			most = max(most, statistic(k, signs))
		}
		for k := range x {
			if most >= observed[k]*(1-1e-12) { // equal but for rounding
				p[k]++
			}
		}
	}
	for k := range p {
		p[k] /= float64(draws)
	}
	return p
}
