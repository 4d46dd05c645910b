// SPDX-License-Identifier: Apache-2.0

package parts

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// newTestMerger is one of letters and of ##-letters behind the first of a word.
func newTestMerger(words []WordCount) *Merger {
	token := func(at int, r rune) string {
		if at > 0 {
			return "##" + string(r)
		}
		return string(r)
	}
	return NewMerger([]string{"[UNK]", "a", "b", "c", "##a", "##b", "##c"}, words, func(word string, piece func(string)) {
		for at, r := range word {
			piece(token(at, r))
		}
	}, func(left, right string) string { return left + strings.TrimPrefix(right, "##") })
}

// TestMergeAgainstPlain compares with byte-pair encoding as one would write it first: all pairs counted anew for every
// merge.
func TestMergeAgainstPlain(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range 60 {
		counts := make(map[string]int64)
		for range 1 + rng.IntN(40) {
			word := make([]byte, 1+rng.IntN(9))
			for i := range word {
				word[i] = "abc"[rng.IntN(3)]
			}
			counts[string(word)] += rng.Int64N(5) + 1
		}
		var words []WordCount
		for _, w := range slices.Sorted(maps.Keys(counts)) {
			words = append(words, WordCount{w, counts[w]})
		}
		size, minCount := 10+rng.IntN(60), rng.Int64N(4)+1
		fast, plain := newTestMerger(words), newTestMerger(words)
		fast.Run(size, minCount)
		plainRun(plain, size, minCount)
		require.Equal(t, plain.Tokens, fast.Tokens, "round %d", round)
		require.Equal(t, plain.words, fast.words, "round %d", round)
	}
}

func plainRun(m *Merger, size int, minCount int64) {
	for len(m.Tokens) < size {
		counts := make(map[pair]int64)
		for i, pieces := range m.words {
			for j := 1; j < len(pieces); j++ {
				counts[pair{pieces[j-1], pieces[j]}] += m.counts[i]
			}
		}
		best := queued{count: minCount - 1}
		for p, n := range counts {
			if q := (pairQueue{{p, n}, best}); n >= minCount && (best.count < minCount || q.Less(0, 1)) {
				best = q[0]
			}
		}
		if best.count < minCount {
			return
		}
		made := m.id(m.join(m.Tokens[best.left], m.Tokens[best.right]))
		for i := range m.words {
			m.words[i] = replacePair(m.words[i], best.pair, made)
		}
	}
}

// TestForget: the table never outgrows its bound, and frequent words survive with their counts.
func TestForget(t *testing.T) {
	const limit = 100
	c := NewCounter(limit)
	for i := range 3000 {
		c.Add([]byte("often"))
		c.Add(fmt.Appendf(nil, "rare%d", i))
		require.LessOrEqual(t, len(c.at), limit)
		require.Len(t, c.counts, len(c.at))
	}
	words := c.Sorted()
	i := slices.IndexFunc(words, func(w WordCount) bool { return w.Word == "often" })
	require.Equal(t, int64(3000), words[i].Count)
}
