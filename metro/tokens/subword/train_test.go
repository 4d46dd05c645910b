// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
)

// sentences are what tests learn from.
func sentences(t testing.TB) []string {
	var list []string
	for _, l := range readLines[goldenFile](t, "testdata/hf.golden.jsonl.gz")[0].Lines[:7] {
		list = append(list, l.Text)
	}
	return list
}

// The same texts give the same tokenizer, in any order and for ever: a change is a change of every run trained since.
func TestTrainIsAFunctionOfTheTexts(t *testing.T) {
	for _, c := range []struct {
		opts Options
		want string
	}{
		{Options{VocabSize: 420}, "2c546b6ec0857f70"},
		{Options{VocabSize: 420, Lowercase: true, LongestWord: 5}, "d60dc67c50283ca4"},
		{Options{VocabSize: 420, SentencePiece: true}, "0b9355063481818d"},
		{Options{VocabSize: 420, SentencePiece: true, Lowercase: true, MaxAlphabet: 20}, "f4ad5089bb59c833"},
	} {
		texts := sentences(t)
		for range 2 {
			tok, err := Train(slices.Values(texts), c.opts)
			require.NoError(t, err)
			require.Equal(t, c.want, tok.Hash()[:16], "%+v", c.opts)
			slices.Reverse(texts)
		}
	}
}

// What was learned reads every text without an unknown token and gives it back, comes back from its folder, and from its
// spiece.model alone where there is one.
func TestTrainedReadsEverything(t *testing.T) {
	for _, opts := range []Options{{VocabSize: 400}, {VocabSize: 400, SentencePiece: true}, {VocabSize: 400, SentencePiece: true, MaxAlphabet: 10, Lowercase: true}} {
		tok, err := Train(slices.Values(sentences(t)), opts)
		require.NoError(t, err)
		dir := t.TempDir()
		require.NoError(t, tok.SaveFolder(dir, 128))
		again, err := LoadFolder(dir)
		require.NoError(t, err)
		require.Equal(t, tok.Hash(), again.Hash())
		if opts.SentencePiece && !opts.Lowercase {
			require.NoError(t, os.Remove(filepath.Join(dir, "tokenizer.json")))
			again, err := LoadFolder(dir)
			require.NoError(t, err)
			require.Equal(t, tok.Hash(), again.Hash())
		} else {
			require.NoFileExists(t, filepath.Join(dir, spmName))
		}
		for _, text := range append(sentences(t), "☃ a\tb\n", "[MASK] 𝔘 zzz") {
			ids := tok.EncodeIDs(nil, text)
			require.NotContains(t, ids, tok.Special().UNK)
			requireSound(t, tok, text)
			if got := tok.Decode(ids); !opts.SentencePiece {
				require.Equal(t, " "+strings.TrimPrefix(strings.ReplaceAll(text, "[MASK]", ""), " "), " "+strings.TrimPrefix(got, " "))
			}
		}
	}
}

// The pair that occurs most often is merged first; of equals, the one of lower ids.
func TestTrainOrder(t *testing.T) {
	tok, err := Train(slices.Values([]string{"ba ba ab ab ab", "b"}), Options{SentencePiece: true, VocabSize: 5 + 256 + 3 + 3})
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "▁", "ab", "▁b", "▁ab"}, tok.tokens[5+256:])
	tok, err = Train(slices.Values([]string{"ba ba ab ab ab", "b"}), Options{VocabSize: 5 + 256 + 2})
	require.NoError(t, err)
	require.Equal(t, []string{"ab", "Ġb"}, tok.tokens[5+256:])
}

func TestTrainRefuses(t *testing.T) {
	for _, opts := range []Options{{VocabSize: -1}, {LongestWord: -1}} {
		_, err := Train(slices.Values([]string{"a"}), opts)
		require.True(t, usererr.Is(err), "%v", err)
	}
	for _, text := range []string{"", "ab"} {
		_, err := Train(slices.Values([]string{text}), Options{SentencePiece: true, MaxAlphabet: 1})
		require.True(t, usererr.Is(err), "%v", err)
		require.ErrorContains(t, err, "no words")
	}
}

// The map of white space that is learned with is one that SentencePiece reads: it was asked once, of these bytes.
func TestWhiteSpaceMap(t *testing.T) {
	blob := whiteSpaceMap()
	sum := sha256.Sum256(blob)
	require.Equal(t, "3ac4b07b8e01241f", hex.EncodeToString(sum[:8]))
	m, err := newCharsMap(blob)
	require.NoError(t, err)
	require.Equal(t, "a b c \u00a0é", m.normalize(piece{text: "a\tb\r\nc\n\u00a0é"}, true).text)
}
