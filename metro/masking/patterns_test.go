// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/distribution"
)

// ordinary says of the tests' ids what a tokenizer says of its own: the first five are special.
func ordinary(id int32) bool { return id >= 5 }

// continues says which of the tests' ids continue a word.
func continues(id int32) bool { return id >= 15 }

func rowOf(ids []int32) Row {
	return Row{IDs: ids, Candidates: Candidates(ids, ordinary), Continues: continues}
}

// patterns are all there are.
var patterns = map[string]Func{"independent": Independent, "again": WithReplacement, "words": WholeWord, "spans": Span}

// randomIDs are up to n tokens; the share of special ones varies from row to row.
func randomIDs(rng *rand.Rand, n int) []int32 {
	ids := make([]int32, 1+rng.IntN(n))
	special := rng.Float64()
	for i := range ids {
		if ids[i] = rng.Int32N(5); rng.Float64() > special {
			ids[i] = 5 + rng.Int32N(20)
		}
	}
	return ids
}

// requireDrawn draws positions of a row of ids and checks all that is promised for whatever row: candidates alone, as many
// as asked for, everything behind them left as it was, and what the pattern adds.
func requireDrawn(t testing.TB, name string, ids []int32, share float64, seed uint64) {
	t.Helper()
	n := len(Candidates(ids, ordinary))
	want := min(n, int(math.Round(share*float64(n))))
	positions := slices.Repeat([]int32{-1}, want)
	drawn := patterns[name](rand.New(rand.NewPCG(seed, 0)), rowOf(ids), positions)
	for slot, at := range positions[:drawn] {
		require.True(t, ordinary(ids[at]), "position %d of %v holds a special token", at, ids)
		require.True(t, name == "again" || !slices.Contains(positions[:slot], at), "position %d comes twice", at)
	}
	for _, at := range positions[drawn:] {
		require.EqualValues(t, -1, at)
	}
	if name != "words" {
		require.Equal(t, want, drawn)
		return
	}
	for _, word := range words(rowOf(ids)) {
		masked := 0
		for _, at := range word {
			if slices.Contains(positions[:drawn], at) {
				masked++
			}
		}
		require.Contains(t, []int{0, len(word)}, masked, "word at %d of %v is cut", word[0], ids)
		require.True(t, masked > 0 || len(word) > want-drawn, "the word at %d of %v would still fit", word[0], ids)
	}
}

func TestPatterns(t *testing.T) {
	for name := range patterns {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			for range 1500 {
				requireDrawn(t, name, randomIDs(rng, 40), rng.Float64(), rng.Uint64())
			}
		})
	}
}

// FuzzPatterns: no row, number of places or noise breaks what is promised.
func FuzzPatterns(f *testing.F) {
	f.Add([]byte{2, 11, 15, 15, 3, 12, 0}, 0.3, uint64(1))
	f.Add([]byte{15, 15, 15, 15}, 0.99, uint64(2))
	f.Add([]byte{0}, 0.5, uint64(3))
	f.Add(bytes.Repeat([]byte{5, 15, 5, 5, 3}, 30), 0.5, uint64(4))
	f.Fuzz(func(t *testing.T, tokens []byte, share float64, seed uint64) {
		if !(share >= 0 && share <= 1) {
			return
		}
		ids := make([]int32, min(len(tokens), 600))
		for i := range ids {
			ids[i] = int32(tokens[i])
		}
		for name := range patterns {
			requireDrawn(t, name, ids, share, seed)
		}
	})
}

// With replacement every draw is as likely to give any candidate. Of 125 candidates, ELECTRA's 19 draws (a row of 128 at
// 15 %) hit 125·(1 − (124/125)¹⁹) = 17.69 different ones on average.
func TestWithReplacement(t *testing.T) {
	row := rowOf(slices.Concat([]int32{2}, slices.Repeat([]int32{9}, 125), []int32{3, 3}))
	rng := rand.New(rand.NewPCG(5, 6))
	positions := make([]int32, 19)
	const rounds = 20_000
	single, flat, distinct := make([]float64, 125), make([]float64, 125), 0
	for range rounds {
		require.Equal(t, 19, WithReplacement(rng, row, positions))
		for _, at := range positions {
			single[at-1]++
		}
		slices.Sort(positions)
		distinct += len(slices.Compact(positions))
	}
	for i := range flat {
		flat[i] = rounds * 19 / 125.0
	}
	distribution.Require(t, flat, single, "position")
	require.InDelta(t, 17.69, float64(distinct)/rounds, 0.03)
}

func TestWords(t *testing.T) {
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
		require.Equal(t, test.want, words(rowOf(test.row)), test.name)
	}
}

// Where every word has one piece, whole words are independent positions, down to the draws.
func TestWordsOfOnePieceAreIndependent(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for seed := range uint64(200) {
		ids := randomIDs(rng, 40)
		draw := func(pattern Func) []int32 {
			row := rowOf(ids)
			row.Continues = func(int32) bool { return false }
			positions := make([]int32, len(row.Candidates)/3)
			require.Equal(t, len(positions), pattern(rand.New(rand.NewPCG(seed, 0)), row, positions))
			return positions
		}
		require.Equal(t, draw(Independent), draw(WholeWord))
	}
}

// Every word that fits is as likely as every other to be the first one, whatever its length; longer ones never come, and
// a row of nothing else stays whole.
func TestFirstWord(t *testing.T) {
	const draws = 20_000
	rng := rand.New(rand.NewPCG(9, 10))
	first := make([]float64, 5)
	ids := []int32{5, 5, 15, 5, 15, 15, 5, 15, 15, 15, 5, 15, 15, 15} // words of 1, 2, 3, 4 and 4 pieces
	for range draws {
		positions := make([]int32, 3)
		require.NotZero(t, WholeWord(rng, rowOf(ids), positions))
		first[slices.IndexFunc([]int32{0, 1, 3, 6, 10}, func(at int32) bool { return at == positions[0] })]++
	}
	distribution.Require(t, []float64{draws / 3.0, draws / 3.0, draws / 3.0, 0, 0}, first, "first word")
	require.Zero(t, WholeWord(rng, rowOf([]int32{5, 15, 15, 5, 15, 15}), make([]int32, 2)))
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
	row := rowOf(append([]int32{2}, slices.Repeat([]int32{9}, 30)...))
	positions := make([]int32, spanLength)
	starts, flat := make([]float64, 31), make([]float64, 31)
	for seed := range uint64(40_000) {
		noise := rand.New(rand.NewPCG(seed, 1))
		length := drawSpanLength(noise.Float64())
		require.Equal(t, spanLength, Span(rand.New(rand.NewPCG(seed, 1)), row, positions))
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
	distribution.Require(t, flat, starts, "start")
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
