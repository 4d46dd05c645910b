// SPDX-License-Identifier: Apache-2.0

package data

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/distribution"
	"metrolab/internal/usererr"
	"metrolab/metro/masking"
)

// ordinary says of the tests' ids what a tokenizer says of its own: the first five are special.
func ordinary(id int32) bool { return id >= 5 }

// continues says which of the tests' ids continue a word.
func continues(id int32) bool { return id >= 15 }

// maskings are all ways to draw positions.
var maskings = map[string]Masking{
	"independent": {},
	"again":       {Pattern: masking.WithReplacement},
	"words":       {Pattern: masking.WholeWord},
	"spans":       {Pattern: masking.Span},
}

// randomRow has up to n tokens; the share of special ones varies from row to row.
func randomRow(rng *rand.Rand, n int) []int32 {
	row := make([]int32, 1+rng.IntN(n))
	special := rng.Float64()
	for i := range row {
		if row[i] = rng.Int32N(5); rng.Float64() > special {
			row[i] = 5 + rng.Int32N(20)
		}
	}
	return row
}

// requireMasked draws positions for row and checks all that is promised for whatever row: what the pattern draws when it is
// asked for as many as the rate says within the slots, with weight 1, and everything behind zero.
func requireMasked(t testing.TB, m Masking, row []int32, slots int, seed uint64) {
	t.Helper()
	positions, weights := make([]int32, slots), make([]float32, slots)
	for i := range positions { // what was there before must not matter
		positions[i], weights[i] = -1, 7
	}
	m.positions(rand.New(rand.NewPCG(seed, 0)), row, ordinary, continues, positions, weights)
	candidates := masking.Candidates(row, ordinary)
	want := 0
	if n := len(candidates); n > 0 {
		want = min(n, slots, max(1, int(math.Round(m.Rate*float64(n)))))
	}
	pattern := m.Pattern
	if pattern == nil {
		pattern = masking.Independent
	}
	asked := make([]int32, want)
	drawn := pattern(rand.New(rand.NewPCG(seed, 0)), masking.Row{IDs: row, Candidates: candidates, Continues: continues}, asked)
	require.True(t, slices.Equal(asked[:drawn], positions[:drawn]), "%v, not %v", positions[:drawn], asked[:drawn])
	for slot := range slots {
		if slot < drawn {
			require.EqualValues(t, 1, weights[slot])
			continue
		}
		require.Zero(t, weights[slot])
		require.Zero(t, positions[slot])
	}
}

func TestMaskingProperties(t *testing.T) {
	for name, m := range maskings {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			for range 1500 {
				row := randomRow(rng, 40)
				m.Rate = 0.001 + 0.9*rng.Float64()
				requireMasked(t, m, row, 1+rng.IntN(len(row)), rng.Uint64())
			}
		})
	}
}

// FuzzMasking: no row, rate, number of slots or noise breaks what is promised.
func FuzzMasking(f *testing.F) {
	f.Add([]byte{2, 11, 15, 15, 3, 12, 0}, 0.3, 3, uint64(1))
	f.Add([]byte{15, 15, 15, 15}, 0.99, 4, uint64(2))
	f.Add([]byte{0}, 0.5, 1, uint64(3))
	f.Add(bytes.Repeat([]byte{5, 15, 5, 5, 3}, 30), 0.5, 9, uint64(4))
	f.Fuzz(func(t *testing.T, tokens []byte, rate float64, slots int, seed uint64) {
		row := make([]int32, min(len(tokens), 600))
		for i := range row {
			row[i] = int32(tokens[i])
		}
		for _, m := range maskings {
			if m.Rate = rate; m.Validate() == nil {
				requireMasked(t, m, row, slots&0x1FF, seed)
			}
		}
	})
}

func TestMaskingOfShortRows(t *testing.T) {
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
		for _, m := range maskings {
			m.Rate = 0.15
			m.positions(rand.New(rand.NewPCG(1, 1)), test.row, ordinary, continues, positions, weights)
			require.Equal(t, test.positions, positions, "%s, %v", test.name, m)
			require.Equal(t, test.weights, weights, "%s, %v", test.name, m)
		}
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
	distribution.Require(t, flat, single, "first position")
	distribution.Require(t, apart, pairs, "ordered pair")
}

// Written down from the code as it was when patterns were cases of a switch: digests of what 50 batches hold. If one
// changes, no older run of that pattern can be continued.
func TestPatternsGolden(t *testing.T) {
	for name, want := range map[string]uint64{
		"independent": 0x4ea0b5d0174a9098, "again": 0xefec60c62a85a32f, "words": 0x9b35855e680e86ae, "spans": 0xec3d6cad276f5c10,
	} {
		l, digest := testLoader(t, 500), fnv.New64a()
		l.Masking = Masking{Rate: 0.25, Keep: 0.1, Random: 0.1, Pattern: maskings[name].Pattern}
		for step := range 50 {
			b := batchOf(t, l, step)
			for _, part := range []any{b.Masked, b.Positions, b.Weights} {
				require.NoError(t, binary.Write(digest, binary.LittleEndian, part))
			}
		}
		require.Equal(t, want, digest.Sum64(), name)
	}
}

func TestValidateMasking(t *testing.T) {
	for _, m := range []Masking{
		{Rate: 0.15}, {Rate: 0.15, Keep: 0.15, Pattern: masking.WithReplacement}, {Rate: 0.15, Keep: 0.1, Random: 0.1, Pattern: masking.Span},
		{Rate: 0.001, Keep: 1, Pattern: masking.WholeWord}, {Rate: 0.999, Random: 1, Pattern: masking.Independent},
	} {
		require.NoError(t, m.Validate())
	}
	for _, test := range []struct {
		masking Masking
		want    string
	}{
		{Masking{}, "the mask rate is 0"},
		{Masking{Rate: 1}, "the mask rate is 1; it must be above 0 and below 1"},
		{Masking{Rate: math.NaN()}, "the mask rate is NaN"},
		{Masking{Rate: 0.15, Keep: -0.1}, "-0.1 keep their token"},
		{Masking{Rate: 0.15, Keep: 0.6, Random: 0.5}, "0.6 keep their token and 0.5 show a random one"},
		{Masking{Rate: 0.15, Random: math.NaN()}, "NaN show a random one"},
	} {
		l := testLoader(t, 100)
		l.Masking = test.masking
		_, err := l.Batch(0)
		require.ErrorContains(t, err, test.want)
		require.True(t, usererr.Is(err))
	}
}
