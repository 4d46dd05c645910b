// SPDX-License-Identifier: Apache-2.0

package data

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/distribution"
)

// countsOf counts the rows of a stream over a vocabulary of 12.
func countsOf(t testing.TB, ids []int32, seqLen int) *Counts {
	t.Helper()
	c, err := CountTokens(openIDs(t, ids, seqLen), 12, ordinary)
	require.NoError(t, err)
	return c
}

// One row, [CLS] 5 6 5 7 [SEP] 5 6 8 [PAD]: what is counted can be read off.
func TestCountTokens(t *testing.T) {
	c := countsOf(t, []int32{5, 6, 5, 7, testSEP, 5, 6, 8}, 10)
	require.Equal(t, []float64{0, 0, 0, 0, 0, 3, 2, 1, 1, 0, 0, 0}, c.unigram)
	require.InDelta(t, 3.0/7, c.Majority(), 1e-15)
	require.Equal(t, []bigram{{6, 2}, {7, 1}}, c.next[5])
	require.Equal(t, []bigram{{5, 1}}, c.next[testCLS], "a row's first token follows [CLS]")
	require.Equal(t, []bigram{{5, 1}}, c.next[testSEP])
	require.Empty(t, c.next[8], "what follows 8 is padding, which is never drawn")
	require.Zero(t, countsOf(t, nil, 10).Majority())
}

// A sorted even grid of noise must give each token its share of it, to one in a thousand: the draw is the inverse of
// the cumulative distribution. Random noise passes the χ² test.
func TestFakersFollowTheirDistribution(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	ids := make([]int32, 4000)
	for i := range ids {
		ids[i] = int32(5 + min(rng.IntN(7), rng.IntN(7)))
		if i%11 == 10 {
			ids[i] = testSEP
		}
	}
	c := countsOf(t, ids, 33)
	unigram := slices.Clone(c.unigram)

	between := make([]float64, 12) // ∝ c(6, x)·c(x, 7)/c(x), from pairs counted again here
	pairs := map[[2]int32]float64{}
	row, rows := make([]int32, 33), openIDs(t, ids, 33)
	for i := range rows.Len() {
		require.NoError(t, rows.Read(i, row))
		for k := range 32 {
			pairs[[2]int32{row[k], row[k+1]}]++
		}
	}
	for x := int32(5); x < 12; x++ {
		between[x] = pairs[[2]int32{6, x}] * pairs[[2]int32{x, 7}] / c.unigram[x]
	}

	for _, test := range []struct {
		name     string
		faker    Faker
		expected []float64
	}{
		{"unigram", UnigramFaker{c}, unigram},
		{"bigram", BigramFaker{c}, between},
	} {
		const draws = 50_000
		total := 0.0
		for _, p := range test.expected {
			total += p
		}
		for i := range test.expected {
			test.expected[i] *= draws / total
		}
		even, random := make([]float64, 12), make([]float64, 12)
		last := int32(0)
		for i := range draws {
			id := test.faker.Draw((float64(i)+0.5)/draws, 6, 7)
			require.GreaterOrEqual(t, id, last, "more noise, a later token")
			even[id]++
			last = id
			random[test.faker.Draw(rng.Float64(), 6, 7)]++
		}
		require.InDeltaSlice(t, test.expected, even, 1, test.name)
		distribution.Require(t, test.expected, random, test.name)
	}
}

// Where no token was seen between the neighbours, the left one decides; where it was never seen itself, the unigrams.
func TestBigramFakerFallsBack(t *testing.T) {
	c := countsOf(t, []int32{5, 6, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 7}, 64)
	f := BigramFaker{c}
	last := 1 - 1.0/(1<<53)
	for _, u := range []float64{0, 0.5, last} {
		require.EqualValues(t, 6, f.Draw(u, 5, 9), "6 was seen between 5 and 9")
		require.EqualValues(t, 6, f.Draw(u, 5, 11), "nothing was seen before 11")
		require.EqualValues(t, UnigramFaker{c}.Draw(u, 0, 0), f.Draw(u, 11, 9), "11 was never seen")
	}
	require.EqualValues(t, 5, f.Draw(0, 11, 9))
	require.EqualValues(t, 9, f.Draw(last, 11, 9), "the last token with a count")
}

// What is frozen holds no special token where there was none, says which tokens differ, and is the same twice.
func TestFreeze(t *testing.T) {
	const seqLen, n = 16, 40
	ids := make([]int32, n*(seqLen-1)) // exactly n rows
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range ids {
		if ids[i] = int32(5 + rng.IntN(7)); i%9 == 8 {
			ids[i] = testSEP
		}
	}
	c := countsOf(t, ids, seqLen)
	for name, faker := range map[string]Faker{"unigram": UnigramFaker{c}, "bigram": BigramFaker{c}} {
		rows := openIDs(t, ids, seqLen)
		set, err := Freeze(rows, n, 0.15, ordinary, faker)
		require.NoError(t, err)
		again, err := Freeze(openIDs(t, ids, seqLen), n, 0.15, ordinary, faker)
		require.NoError(t, err)
		require.Equal(t, set, again)
		fewer, err := Freeze(rows, 10, 0.15, ordinary, faker)
		require.NoError(t, err)
		require.Equal(t, set.Corrupted[:10*seqLen], fewer.Corrupted, "a row does not depend on how many are frozen")

		original := make([]int32, seqLen)
		replaced := 0
		seen := map[int]bool{}
		for i := range n {
			seen[Shuffled(0, rows.Len(), i)] = true
			require.NoError(t, rows.Read(Shuffled(0, rows.Len(), i), original))
			for k, id := range original {
				cell := i*seqLen + k
				require.Equal(t, ordinary(id), set.Scored[cell], "what is special is not counted")
				require.Equal(t, id != set.Corrupted[cell], set.Replaced[cell], name)
				if set.Replaced[cell] {
					replaced++
					require.True(t, ordinary(id) && ordinary(set.Corrupted[cell]), "%s: %d became %d", name, id, set.Corrupted[cell])
				}
			}
		}
		// round(0.15·13) or round(0.15·14) = 2 a row, of which some draw the original.
		require.Greater(t, replaced, n, name)
		require.LessOrEqual(t, replaced, 2*n, name)
		require.Len(t, seen, n, "no row twice")

		// A scorer that knows what is special and nothing else has nothing to say of what is counted.
		special := make([]float32, len(set.Corrupted))
		for i, id := range set.Corrupted {
			if !ordinary(id) {
				special[i] = -1
			}
		}
		kept, labels := set.Answers(special)
		require.Equal(t, make([]float32, len(kept)), kept)
		require.Len(t, labels, len(kept))

		fingerprint := set.Fingerprint("a")
		require.Equal(t, fingerprint, again.Fingerprint("a"))
		require.NotEqual(t, fingerprint, set.Fingerprint("b"), "ids mean something else under another tokenizer")
		require.NotEqual(t, fingerprint, fewer.Fingerprint("a"))
	}
	_, err := Freeze(openIDs(t, ids, seqLen), n+1, 0.15, ordinary, UnigramFaker{c})
	require.ErrorContains(t, err, "asked for 41 rows of 16 tokens, the split has 40")
}

// Written down on the day the frozen sets were defined, from this code: if they change, results from before and after
// cannot be compared.
func TestFreezeGolden(t *testing.T) {
	ids := []int32{5, 6, 7, 8, 5, 6, 9, 8, 5, 7, 10, 11, 5, 6, 7, 11, 5, 6, 7, 8, 5, 9, 7, 8, 10, 10, 5, 6}
	rows, c := openIDs(t, ids, 15), countsOf(t, ids, 15)
	unigram, err := Freeze(rows, 2, 0.3, ordinary, UnigramFaker{c})
	require.NoError(t, err)
	require.Equal(t, []int32{2, 7, 10, 7, 6, 7, 8, 5, 9, 7, 8, 8, 10, 5, 6, 2, 5, 6, 10, 8, 6, 6, 8, 8, 8, 7, 10, 11, 5, 6}, unigram.Corrupted)
	bigram, err := Freeze(rows, 2, 0.3, ordinary, BigramFaker{c})
	require.NoError(t, err)
	require.Equal(t, []int32{2, 7, 11, 5, 6, 7, 8, 5, 9, 7, 8, 10, 10, 5, 6, 2, 5, 6, 9, 8, 5, 6, 7, 8, 5, 7, 10, 11, 5, 6}, bigram.Corrupted)
}

// The reference generator is its formula, and draws the same whoever asks; what it draws at the positions of a set depends on two
// tokens on either side.
func TestTrigramFaker(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	ids := make([]int32, 3000)
	for i := range ids {
		ids[i] = int32(5 + min(rng.IntN(7), rng.IntN(7)))
		if i > 1 && rng.IntN(2) == 0 {
			ids[i] = 5 + (ids[i-2]+ids[i-1])%7
		}
	}
	rows := openIDs(t, ids, 33)
	counts := countsOf(t, ids, 33)
	f, err := NewTrigramFaker(counts, rows, rows, 8, 0.15, ordinary)
	require.NoError(t, err)
	context := make([]int32, 33)
	require.NoError(t, eachFrozen(rows, 1, 0.15, ordinary, func(_ int, row []int32, positions []int, _ *rand.Rand) {
		copy(context, row)
		at := positions[0]
		l2, l1, r1, r2 := around(context, at)
		count := func(pattern ...int32) (n float64) { // with −2 for any token, anywhere in a row
			row := make([]int32, 33)
			for i := range rows.Len() {
				require.NoError(t, rows.Read(i, row))
				for k := 0; k+len(pattern) <= len(row); k++ {
					same := true
					for j, id := range pattern {
						same = same && (id == row[k+j] || id == -2 && ordinary(row[k+j]))
					}
					if same {
						n++
					}
				}
			}
			return n
		}
		want, total := make([]float64, 12), 0.0
		for x := int32(5); x < 12; x++ {
			p := count(x) / count(-2)
			left := (count(l2, l1, x) + 5*(count(l1, x)+5*p)/(count(l1)+5)) / (count(l2, l1, -2) + 5)
			right := (count(x, r1, r2) + 5*(count(x, r1)+5*p)/(count(r1)+5)) / (count(-2, r1, r2) + 5)
			want[x] = left * right / p
			total += want[x]
		}
		const draws = 20_000
		got := make([]float64, 12)
		for i := range draws {
			got[f.drawIn((float64(i)+0.5)/draws, context, at)]++
		}
		for x := range want {
			require.InDelta(t, want[x]/total, got[x]/draws, 2./draws, "token %d between %d %d and %d %d", x, l2, l1, r1, r2)
		}
	}))
	a, err := Freeze(rows, 8, 0.15, ordinary, f)
	require.NoError(t, err)
	b, err := Freeze(rows, 8, 0.15, ordinary, f)
	require.NoError(t, err)
	require.Equal(t, a.Fingerprint(""), b.Fingerprint(""))
	unigram, err := Freeze(rows, 8, 0.15, ordinary, UnigramFaker{counts})
	require.NoError(t, err)
	require.NotEqual(t, a.Fingerprint(""), unigram.Fingerprint(""))
}
