// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/tokens"
)

// Pairs and truncation are those that Python tokenizers 0.23.3 gives with tiny.tokenizer.json.
func TestPairs(t *testing.T) {
	tok, err := Load("testdata/tiny.tokenizer.json")
	require.NoError(t, err)
	const a, b = "The generator writes words.", "A main model finds all the words that it wrote."
	for _, c := range []struct {
		first, second string
		limit         tokens.Limit
		want          []int32
		ones          int // how many tokens at the end are of type 1
	}{
		{a, b, tokens.Limit{}, []int32{2, 761, 759, 786, 730, 7, 3, 10, 739, 741, 779, 19, 387, 387, 719, 730, 766, 722, 767, 390, 394, 381, 7, 3}, 17},
		{a, b, tokens.Limit{Tokens: 12}, []int32{2, 761, 759, 786, 730, 3, 10, 739, 741, 779, 19, 3}, 6},
		{b, a, tokens.Limit{Tokens: 13, Left: true}, []int32{2, 767, 390, 394, 381, 7, 3, 761, 759, 786, 730, 7, 3}, 6},
		{a, b, tokens.Limit{Tokens: 16, Strategy: tokens.OnlySecond}, []int32{2, 761, 759, 786, 730, 7, 3, 10, 739, 741, 779, 19, 387, 387, 719, 3}, 9},
		{b, a, tokens.Limit{Tokens: 16, Strategy: tokens.OnlyFirst, Left: true}, []int32{2, 730, 766, 722, 767, 390, 394, 381, 7, 3, 761, 759, 786, 730, 7, 3}, 6},
		{"", b, tokens.Limit{Tokens: 6}, []int32{2, 3, 10, 739, 741, 3}, 4},
	} {
		e, err := tokens.EncodePair(tok, c.first, c.second, c.limit)
		require.NoError(t, err)
		require.Equal(t, c.want, e.IDs, "%+v", c.limit)
		for i, kind := range e.Types {
			require.Equal(t, i >= len(e.IDs)-c.ones, kind == 1)
			if text := []string{"", c.first, c.second}[e.Texts[i]]; text != "" {
				require.Contains(t, text, text[e.Bytes[i].Start:e.Bytes[i].End])
			}
		}
	}
	for _, limit := range []tokens.Limit{{Tokens: 8, Strategy: tokens.OnlyFirst}, {Tokens: 2}} {
		_, err = tokens.EncodePair(tok, a, b, limit)
		require.True(t, usererr.Is(err), "%v", err)
	}
	one, err := tokens.EncodeText(tok, a, tokens.Limit{Tokens: 4})
	require.NoError(t, err)
	require.Equal(t, []int32{2, 761, 759, 3}, one.IDs)
}
