// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
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

func BenchmarkTrain(b *testing.B) {
	text := strings.Join(sentences, " ")
	b.SetBytes(int64(len(text)) * 100)
	for b.Loop() {
		_, err := Train(slices.Values(slices.Repeat([]string{text}, 100)), Options{VocabSize: 400})
		require.NoError(b, err)
	}
}
