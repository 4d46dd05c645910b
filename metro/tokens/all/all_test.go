// SPDX-License-Identifier: Apache-2.0

package all

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro/tokens"
)

// texts are what tokenizers are learned from and tried on.
var texts = []string{
	"The generator writes plausible words into a text, and the main model finds the words that it wrote.",
	"Ångström, naïve café, Straße; don't count the padding: no loss should ever see it!",
	"한국어, 日本語, a text that spells [MASK] and [PAD], and 3.14159\ttimes\n ☃.",
}

// others makes a tokenizer of each format that cannot be learned here.
var others = map[string]func(t *testing.T) tokens.Tokenizer{
	"Unigram": func(t *testing.T) tokens.Tokenizer {
		var vocab [][2]any
		for id, token := range append(slices.Clone(fiveTokens), "▁", "▁the", "t", "h", "e", "n", "일", "é") {
			vocab = append(vocab, [2]any{token, -float64(id)})
		}
		return described(t, map[string]any{"type": "Unigram", "vocab": vocab, "unk_id": 1}, map[string]any{"type": "Metaspace", "replacement": "▁"})
	},
}

// fiveTokens are those that every tokenizer has.
var fiveTokens = []string{"<pad>", "<unk>", "<s>", "</s>", "<mask>"}

// described is the tokenizer of a tokenizer.json with this model.
func described(t *testing.T, model, pre map[string]any) tokens.Tokenizer {
	var added []map[string]any
	for id, token := range fiveTokens {
		added = append(added, map[string]any{"id": id, "content": token, "special": true})
	}
	data, err := json.Marshal(map[string]any{"added_tokens": added, "pre_tokenizer": pre, "model": model,
		"post_processor": map[string]any{"type": "RobertaProcessing", "cls": []any{"<s>", 2}, "sep": []any{"</s>", 3}}})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "tokenizer.json")
	require.NoError(t, os.WriteFile(path, data, 0o666))
	tok, err := tokens.Load(path)
	require.NoError(t, err)
	return tok
}

// Every tokenizer comes back from its files: the same hash, the same ids, the same places in the text. Whoever registers a
// format that cannot be learned adds a tokenizer of it to others.
func TestEveryFormatRoundTrips(t *testing.T) {
	require.NotEmpty(t, tokens.Formats())
	for _, f := range tokens.Formats() {
		t.Run(f.Model, func(t *testing.T) {
			var before tokens.Tokenizer
			if f.Learn != nil {
				var err error
				before, err = f.Learn(slices.Values(texts), tokens.Options{VocabSize: 200, Lowercase: true})
				require.NoError(t, err)
			} else {
				require.Contains(t, others, f.Model)
				before = others[f.Model](t)
			}
			dir := t.TempDir()
			path := filepath.Join(dir, "alone.json")
			require.NoError(t, before.Save(path))
			alone, err := tokens.Load(path)
			require.NoError(t, err)
			requireSame(t, before, alone)

			require.NoError(t, before.SaveFolder(filepath.Join(dir, "model"), 128))
			beside, err := tokens.LoadFolder(filepath.Join(dir, "model"))
			require.NoError(t, err)
			requireSame(t, before, beside)
			requirePromises(t, before)
		})
	}
}

func requireSame(t *testing.T, want, got tokens.Tokenizer) {
	t.Helper()
	require.IsType(t, want, got)
	require.Equal(t, want.Hash(), got.Hash())
	require.Equal(t, want.VocabSize(), got.VocabSize())
	require.Equal(t, want.Special(), got.Special())
	for id := range int32(want.VocabSize()) {
		require.Equal(t, want.Token(id), got.Token(id))
		require.Equal(t, want.IsSpecial(id), got.IsSpecial(id))
		require.Equal(t, want.IsContinuation(id), got.IsContinuation(id))
	}
	for _, text := range texts {
		require.Equal(t, want.Encode(text), got.Encode(text))
	}
}

// requirePromises checks what the interface says of every tokenizer.
func requirePromises(t *testing.T, tok tokens.Tokenizer) {
	t.Helper()
	special := tok.Special()
	five := []int32{special.PAD, special.UNK, special.CLS, special.SEP, special.MASK}
	slices.Sort(five)
	require.Len(t, slices.Compact(slices.Clone(five)), 5, "the special tokens are five")
	for _, id := range five {
		require.True(t, tok.IsSpecial(id))
		require.NotEmpty(t, tok.Token(id))
	}
	for _, id := range []int32{-1, int32(tok.VocabSize())} {
		require.Empty(t, tok.Token(id))
		require.False(t, tok.IsSpecial(id))
	}
	for _, text := range texts {
		e := tok.Encode(text)
		n := len(e.IDs) - 1
		require.Equal(t, []int32{special.CLS, special.SEP}, []int32{e.IDs[0], e.IDs[n]})
		require.Equal(t, append([]int32{7}, e.IDs[1:n]...), tok.EncodeIDs([]int32{7}, text))
		require.Len(t, e.Bytes, n+1)
		require.Len(t, e.Chars, n+1)
		runes := []rune(text)
		for i, id := range e.IDs {
			require.True(t, id >= 0 && int(id) < tok.VocabSize())
			require.Equal(t, text[e.Bytes[i].Start:e.Bytes[i].End], string(runes[e.Chars[i].Start:e.Chars[i].End]))
		}
		require.NotEmpty(t, tok.Decode(e.IDs))
	}
}
