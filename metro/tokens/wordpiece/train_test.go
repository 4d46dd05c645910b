// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
)

func TestTrainDeterministic(t *testing.T) {
	want := tiny(t).Hash()
	for range 3 {
		require.Equal(t, want, tiny(t).Hash())
	}
	backwards := slices.Collect(texts())
	slices.Reverse(backwards)
	tok, err := Train(slices.Values(backwards), Options{VocabSize: 1024})
	require.NoError(t, err)
	require.Equal(t, want, tok.Hash(), "the order of the texts does not show")
}

func TestTrainOptions(t *testing.T) {
	few := slices.Values([]string{"aab aab ab", "ab Éa"})
	for _, c := range []struct {
		opts Options
		want string
	}{
		{Options{}, "a b É ##a ##b aa ab aab"},
		{Options{Lowercase: true}, "a b e ##a ##b aa ab aab"},
		{Options{VocabSize: 12}, "a b É ##a ##b aa ab"},
		{Options{VocabSize: 1}, "a b É ##a ##b"},
		{Options{MinFrequency: 1}, "a b É ##a ##b aa ab aab Éa"},
		{Options{MinFrequency: 3}, "a b É ##a ##b"},
		{Options{MaxAlphabet: 2, MinFrequency: 1}, "a b ##a ##b aa ab aab"},
		{Options{MaxAlphabet: 1}, ""},
		{Options{Special: []string{"<x>", "aab"}}, "<x> aab a b É ##a ##b aa ab"},
	} {
		tok, err := Train(few, c.opts)
		if c.want == "" {
			require.True(t, usererr.Is(err), "%v", err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, "[PAD] [UNK] [CLS] [SEP] [MASK] "+c.want, strings.Join(tok.tokens, " "), "%+v", c.opts)
	}
}

func TestTrainErrors(t *testing.T) {
	words := slices.Values([]string{"a word"})
	for _, opts := range []Options{
		{VocabSize: -1}, {MinFrequency: -1}, {MaxAlphabet: -1}, {Special: []string{""}}, {Special: []string{"[MASK]"}},
	} {
		_, err := Train(words, opts)
		require.True(t, usererr.Is(err), "%+v: %v", opts, err)
	}
	for _, text := range []string{"", " \n", "\x00\xff", strings.Repeat("a", 101)} {
		_, err := Train(slices.Values([]string{text}), Options{})
		require.ErrorContains(t, err, "no words")
		require.True(t, usererr.Is(err))
	}
}

// Of a text without a word to learn from it is said why there is none.
func TestNoWordsHasAReason(t *testing.T) {
	long := strings.Repeat("acgt", 40)
	for _, c := range []struct {
		text string
		opts Options
		want string
	}{
		{" ", Options{}, "has no words"},
		{long + " " + long[:120], Options{}, "each of its 2 is longer than the 100 characters that a word may have (data.longest_word, up to 1000); the longest has 160"},
		{long, Options{LongestWord: 159}, "longer than the 159 characters"},
		{"ab ba", Options{MaxAlphabet: 1}, "outside the 1 most frequent ones (data.alphabet"},
	} {
		_, err := Train(slices.Values([]string{c.text}), c.opts)
		require.True(t, usererr.Is(err), "%v", err)
		require.ErrorContains(t, err, c.want)
	}
	_, err := Train(slices.Values([]string{"a"}), Options{LongestWord: 1001})
	require.True(t, usererr.Is(err), "%v", err)
}

// A tokenizer takes words apart that are as long as it was asked to, and says so in its file.
func TestLongestWord(t *testing.T) {
	long := strings.Repeat("acgt", 40)
	tok, err := Train(slices.Values([]string{long, long}), Options{LongestWord: 160})
	require.NoError(t, err)
	again, err := Parse(tok.JSON())
	require.NoError(t, err)
	for _, tok := range []*Tokenizer{tok, again} {
		require.NotContains(t, tok.EncodeIDs(nil, long), tok.Special().UNK)
		require.Equal(t, []int32{tok.Special().UNK}, tok.EncodeIDs(nil, long+"a"))
	}
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
		var words []wordCount
		for _, w := range slices.Sorted(maps.Keys(counts)) {
			words = append(words, wordCount{w, counts[w]})
		}
		size, minCount := 10+rng.IntN(60), rng.Int64N(4)+1
		fast, plain := newMerger([]string{"[UNK]"}, words), newMerger([]string{"[UNK]"}, words)
		fast.run(size, minCount)
		plainRun(plain, size, minCount)
		require.Equal(t, plain.tokens, fast.tokens, "round %d", round)
		require.Equal(t, plain.words, fast.words, "round %d", round)
	}
}

func plainRun(m *merger, size int, minCount int64) {
	for len(m.tokens) < size {
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
		made := m.id(m.tokens[best.left] + strings.TrimPrefix(m.tokens[best.right], "##"))
		for i := range m.words {
			m.words[i] = replacePair(m.words[i], best.pair, made)
		}
	}
}

// TestForget: the table never outgrows its bound, and frequent words survive with their counts.
func TestForget(t *testing.T) {
	const limit = 100
	c := newWordCounter(rules{}, limit, bertMaxWordChars)
	for i := range 3000 {
		c.add(fmt.Sprintf("often rare%d", i))
		require.LessOrEqual(t, len(c.at), limit)
		require.Len(t, c.counts, len(c.at))
	}
	words := c.sorted()
	i := slices.IndexFunc(words, func(w wordCount) bool { return w.word == "often" })
	require.Equal(t, int64(3000), words[i].count)
}

func BenchmarkTrain(b *testing.B) {
	text := strings.Join(sentences, " ")
	b.SetBytes(int64(len(text)) * 100)
	for b.Loop() {
		_, err := Train(slices.Values(slices.Repeat([]string{text}, 100)), Options{VocabSize: 400})
		require.NoError(b, err)
	}
}
