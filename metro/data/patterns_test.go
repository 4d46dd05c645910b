// SPDX-License-Identifier: Apache-2.0

package data

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWordsOf(t *testing.T) {
	for _, test := range []struct {
		name string
		row  []int32
		want [][]int32
	}{
		{"pieces join the word before", []int32{2, 9, 15, 16, 8, 7, 20}, [][]int32{{1, 2, 3}, {4}, {5, 6}}},
		{"what a special token cuts off is a word of its own", []int32{2, 15, 16, 1, 17, 3, 18, 9}, [][]int32{{1, 2}, {4}, {6}, {7}}},
		{"nothing but specials", []int32{2, 3, 0, 0}, nil},
		{"empty", nil, nil},
	} {
		require.Equal(t, test.want, wordsOf(test.row, candidatesOf(test.row, ordinary), continues), test.name)
	}
}

// Where every word has one piece, whole words are independent positions, down to the draws.
func TestWordsOfOnePieceAreIndependent(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for seed := range uint64(200) {
		row := randomRow(rng, 40)
		draw := func(pattern Pattern) ([]int32, []float32) {
			positions, weights := make([]int32, 9), make([]float32, 9)
			m := Masking{Rate: 0.3, Pattern: pattern}
			m.positions(rand.New(rand.NewPCG(seed, 0)), row, ordinary, func(int32) bool { return false }, positions, weights)
			return positions, weights
		}
		positions, weights := draw(Independent)
		wordPositions, wordWeights := draw(WholeWord)
		require.Equal(t, positions, wordPositions)
		require.Equal(t, weights, wordWeights)
	}
}

// Every word that fits is as likely as every other to be the first one, whatever its length; longer ones never come, and
// a row of nothing else stays whole.
func TestDrawWords(t *testing.T) {
	const draws = 20_000
	rng := rand.New(rand.NewPCG(9, 10))
	first := make([]float64, 5)
	for range draws {
		words := [][]int32{{0}, {1, 2}, {3, 4, 5}, {6, 7, 8, 9}, {10, 11, 12, 13}}
		positions := make([]int32, 3)
		require.NotZero(t, drawWords(rng, words, positions))
		first[slices.IndexFunc([]int32{0, 1, 3, 6, 10}, func(at int32) bool { return at == positions[0] })]++
	}
	requireDistribution(t, []float64{draws / 3.0, draws / 3.0, draws / 3.0, 0, 0}, first, "first word")
	require.Zero(t, drawWords(rng, [][]int32{{0, 1, 2}, {3, 4, 5}}, make([]int32, 2)))
}

// An even grid of noise gives every length its share ∝ 0.8ˡ⁻¹, 3.797 on average; nothing lies outside 1…10.
func TestSpanLengths(t *testing.T) {
	const draws = 100_000
	counts, mean := make([]float64, 12), 0.0
	for i := range draws {
		length := drawSpanLength((float64(i) + 0.5) / draws)
		counts[length]++
		mean += float64(length) / draws
	}
	want, total := make([]float64, 12), (1-math.Pow(0.8, 10))/0.2
	for length := 1; length <= 10; length++ {
		want[length] = draws * math.Pow(0.8, float64(length-1)) / total
	}
	require.InDeltaSlice(t, want, counts, 1)
	require.InDelta(t, 3.797, mean, 0.001)
	require.Equal(t, 1, drawSpanLength(0))
	require.Equal(t, 10, drawSpanLength(math.Nextafter(1, 0)))
}

// The first span of a long row has the length drawn for it and is as likely to begin at any place where it fits.
func TestFirstSpan(t *testing.T) {
	row := append([]int32{testCLS}, slices.Repeat([]int32{9}, 30)...)
	positions := make([]int32, spanLength)
	starts, flat := make([]float64, 31), make([]float64, 31)
	for seed := range uint64(40_000) {
		noise := rand.New(rand.NewPCG(seed, 1))
		length := drawSpanLength(noise.Float64())
		require.Equal(t, spanLength, drawSpans(rand.New(rand.NewPCG(seed, 1)), row, ordinary, positions))
		for i, at := range positions[:length] {
			require.Equal(t, positions[0]+int32(i), at)
		}
		if length == 3 { // fits at 1…28
			starts[positions[0]]++
		}
	}
	total := 0.0
	for _, n := range starts {
		total += n
	}
	for start := 1; start <= 28; start++ {
		flat[start] = total / 28
	}
	requireDistribution(t, flat, starts, "start")
}

func TestPlacesFor(t *testing.T) {
	free := func(s string) []bool {
		out := make([]bool, len(s))
		for i := range s {
			out[i] = s[i] == '-'
		}
		return out
	}
	for _, test := range []struct {
		row    string
		length int
		starts []int32
		fits   int
	}{
		{"x---x--", 1, []int32{1, 2, 3, 5, 6}, 1},
		{"x---x--", 2, []int32{1, 2, 5}, 2},
		{"x---x--", 3, []int32{1}, 3},
		{"x---x--", 10, []int32{1}, 3},
		{"-x-x-", 10, []int32{0, 2, 4}, 1},
		{"-", 1, []int32{0}, 1},
	} {
		starts, fits := placesFor(nil, free(test.row), test.length)
		require.Equal(t, test.starts, starts, "%s, %d", test.row, test.length)
		require.Equal(t, test.fits, fits, "%s, %d", test.row, test.length)
	}
}
