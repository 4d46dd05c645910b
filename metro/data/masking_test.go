// SPDX-License-Identifier: Apache-2.0

package data

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// ordinary says of the tests' ids what a tokenizer says of its own: the first five are special.
func ordinary(id int32) bool { return id >= 5 }

// Whatever the row, the rate and the number of slots: positions are distinct and hold candidates, as many as the rate
// says within the slots, and everything behind them is zero.
func TestMaskPositionsProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		row := make([]int32, 1+rng.IntN(40))
		special := rng.Float64()
		candidates := 0
		for i := range row {
			if row[i] = rng.Int32N(5); rng.Float64() > special {
				row[i] = 5 + rng.Int32N(20)
				candidates++
			}
		}
		rate := 0.001 + 0.9*rng.Float64()
		slots := 1 + rng.IntN(len(row))
		positions, weights := make([]int32, slots), make([]float32, slots)
		for i := range positions { // what was there before must not matter
			positions[i], weights[i] = -1, 7
		}
		MaskPositions(rng, row, rate, ordinary, positions, weights)

		want := 0
		if candidates > 0 {
			want = min(slots, max(1, int(math.Round(rate*float64(candidates)))))
		}
		seen := map[int32]bool{}
		for i, at := range positions {
			if i >= want {
				require.Zero(t, weights[i])
				require.Zero(t, at)
				continue
			}
			require.EqualValues(t, 1, weights[i])
			require.True(t, ordinary(row[at]), "position %d of %v holds a special token", at, row)
			require.False(t, seen[at], "position %d comes twice", at)
			seen[at] = true
		}
	}
}

func TestMaskPositionsOfShortRows(t *testing.T) {
	for _, test := range []struct {
		name      string
		row       []int32
		positions []int32
		weights   []float32
	}{
		{"no candidate", []int32{2, 3, 0, 0}, []int32{0, 0, 0}, []float32{0, 0, 0}},
		{"one candidate, rounded up to it", []int32{2, 3, 9, 0}, []int32{2, 0, 0}, []float32{1, 0, 0}},
		{"a [MASK] in the text is left alone", []int32{2, 4, 9, 4}, []int32{2, 0, 0}, []float32{1, 0, 0}},
		{"empty", nil, []int32{0, 0, 0}, []float32{0, 0, 0}},
	} {
		positions, weights := make([]int32, 3), make([]float32, 3)
		MaskPositions(rand.New(rand.NewPCG(1, 1)), test.row, 0.15, ordinary, positions, weights)
		require.Equal(t, test.positions, positions, test.name)
		require.Equal(t, test.weights, weights, test.name)
	}
}

// Every candidate is as likely as every other, alone and as a pair.
func TestMaskPositionsAreUniform(t *testing.T) {
	row := []int32{2, 9, 8, 3, 7, 6, 5, 9, 8, 3, 0}
	const draws = 40_000
	candidates := map[int32]int{1: 0, 2: 1, 4: 2, 5: 3, 6: 4, 7: 5, 8: 6}
	n := len(candidates)
	rng := rand.New(rand.NewPCG(3, 4))
	positions, weights := make([]int32, 3), make([]float32, 3)
	single, pairs := make([]float64, n), make([]float64, n*n)
	for range draws {
		MaskPositions(rng, row, 0.3, ordinary, positions, weights) // round(0.3·7) = 2
		require.Equal(t, []float32{1, 1, 0}, weights)
		a, b := candidates[positions[0]], candidates[positions[1]]
		single[a]++
		pairs[a*n+b]++
	}
	flat, apart := make([]float64, n), make([]float64, n*n)
	for i := range apart {
		flat[i/n] = draws / float64(n)
		if i/n != i%n {
			apart[i] = draws / float64(n*(n-1))
		}
	}
	requireDistribution(t, flat, single, "first position")
	requireDistribution(t, apart, pairs, "ordered pair")
}
