// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/testdata"
	"metrolab/internal/usererr"
)

// object walks down a decoded JSON file.
func object(f any, path ...string) map[string]any {
	for _, key := range path {
		f = f.(map[string]any)[key]
	}
	return f.(map[string]any)
}

func TestParseErrors(t *testing.T) {
	added := func(f map[string]any, i int) map[string]any { return object(f["added_tokens"].([]any)[i]) }
	single := func(f map[string]any) []any { return object(f, "post_processor")["single"].([]any) }
	for _, c := range []struct {
		want string
		edit func(f map[string]any)
	}{
		{"the model is BPE; only WordPiece is supported", func(f map[string]any) { object(f, "model")["type"] = "BPE" }},
		{"the model is of no type", func(f map[string]any) { delete(object(f, "model"), "type") }},
		{"the model is missing", func(f map[string]any) { delete(f, "model") }},
		{"the model cannot be read", func(f map[string]any) { object(f, "model")["vocab"] = 3 }},
		{"the normalizer is null; only BertNormalizer", func(f map[string]any) { f["normalizer"] = nil }},
		{"the normalizer is NFKC", func(f map[string]any) { object(f, "normalizer")["type"] = "NFKC" }},
		{"lacks clean_text", func(f map[string]any) { delete(object(f, "normalizer"), "clean_text") }},
		{"the pre_tokenizer is Whitespace", func(f map[string]any) { object(f, "pre_tokenizer")["type"] = "Whitespace" }},
		{"the decoder is null", func(f map[string]any) { f["decoder"] = nil }},
		{`the decoder's prefix "@@" is not the model's, "##"`, func(f map[string]any) { object(f, "decoder")["prefix"] = "@@" }},
		{"the post_processor is null", func(f map[string]any) { f["post_processor"] = nil }},
		{`the post_processor's templates are $A:0 "[SEP]":0`, func(f map[string]any) {
			object(f, "post_processor")["single"] = single(f)[1:]
		}},
		{"only", func(f map[string]any) { object(single(f)[0], "SpecialToken")["type_id"] = 1 }},
		{`gives "[SEP]" the ids []; one is needed`, func(f map[string]any) {
			delete(object(f, "post_processor", "special_tokens"), "[SEP]")
		}},
		{`gives "[SEP]" the id 7; by the vocabulary it is 3`, func(f map[string]any) {
			object(f, "post_processor", "special_tokens", "[SEP]")["ids"] = []int{7}
		}},
		{"no continuing_subword_prefix", func(f map[string]any) { object(f, "model")["continuing_subword_prefix"] = "" }},
		{"max_input_chars_per_word is 0", func(f map[string]any) { object(f, "model")["max_input_chars_per_word"] = 0 }},
		{"max_input_chars_per_word is 1000000", func(f map[string]any) {
			object(f, "model")["max_input_chars_per_word"] = 1000000
		}},
		{`unk_token: token "<unk>" is not in the vocabulary`, func(f map[string]any) { object(f, "model")["unk_token"] = "<unk>" }},
		{`token "the" has id 1000000`, func(f map[string]any) { object(f, "model", "vocab")["the"] = 1000000 }},
		{`token "the" has id -1`, func(f map[string]any) { object(f, "model", "vocab")["the"] = -1 }},
		{`share the id`, func(f map[string]any) { object(f, "model", "vocab")["the"] = 9 }},
		{"empty token", func(f map[string]any) { object(f, "model", "vocab")[""] = 9 }},
		{`added token "[PAD]" has lstrip`, func(f map[string]any) { added(f, 0)["lstrip"] = true }},
		{`added token "[PAD]" has id 6; by the vocabulary it is 0`, func(f map[string]any) { added(f, 0)["id"] = 6 }},
		{`added token "<new>" has id 0`, func(f map[string]any) { added(f, 0)["content"] = "<new>" }},
		{`added token "[UNK]" with id 1 is empty or stands there twice`, func(f map[string]any) {
			f["added_tokens"] = append(f["added_tokens"].([]any), added(f, 1))
		}},
		{`token "[MASK]" is not in the vocabulary`, func(f map[string]any) {
			added(f, 4)["content"] = "mask"
			vocab := object(f, "model", "vocab")
			vocab["mask"] = vocab["[MASK]"]
			delete(vocab, "[MASK]")
		}},
	} {
		_, err := Parse(edited(t, c.edit))
		require.ErrorContains(t, err, c.want)
		require.True(t, usererr.Is(err), "%v", err)
	}
	for _, data := range []string{"", "null", "[]", "{", `{"model":{}}`, strings.Repeat("[", 1<<20)} {
		_, err := Parse([]byte(data))
		require.True(t, usererr.Is(err), "%v", err)
	}
}

// TestAddedBeyondModel: an added token outside the model's vocabulary is found in raw text only, as it is written.
func TestAddedBeyondModel(t *testing.T) {
	size := tiny(t).VocabSize()
	tok, err := Parse(edited(t, func(f map[string]any) {
		f["added_tokens"] = append(f["added_tokens"].([]any),
			map[string]any{"id": size, "content": "finds!", "special": false},
			map[string]any{"id": size + 1, "content": "finds!?", "special": true})
		object(f, "normalizer")["lowercase"] = true
	}))
	require.NoError(t, err)
	require.Equal(t, size+2, tok.VocabSize())
	require.Equal(t, "it finds! finds!? finds", names(tok, tok.EncodeIDs(nil, "it finds!finds!?finds")), "longest first")
	require.NotContains(t, tok.EncodeIDs(nil, "FINDS!"), int32(size))
	require.False(t, tok.IsSpecial(int32(size)))
	require.True(t, tok.IsSpecial(int32(size+1)))
	again, err := Parse(tok.JSON())
	require.NoError(t, err)
	require.Equal(t, tok.Hash(), again.Hash())
}

// TestBertProcessing: the older post-processor says the same as the template.
func TestBertProcessing(t *testing.T) {
	tok, err := Parse(edited(t, func(f map[string]any) {
		f["post_processor"] = map[string]any{"type": "BertProcessing", "sep": []any{"[SEP]", 3}, "cls": []any{"[CLS]", 2}}
	}))
	require.NoError(t, err)
	require.Equal(t, tiny(t).Hash(), tok.Hash())
}

func TestCanonical(t *testing.T) {
	tok := tiny(t)
	compact, err := Parse(edited(t, func(map[string]any) {}))
	require.NoError(t, err)
	require.Equal(t, string(tok.JSON()), string(compact.JSON()), "layout and order of the source do not show")
	require.True(t, json.Valid(tok.JSON()))
	other, err := Parse(edited(t, func(f map[string]any) { object(f, "normalizer")["strip_accents"] = true }))
	require.NoError(t, err)
	require.NotEqual(t, tok.Hash(), other.Hash())
}

// TestForeignFile: a file that Python wrote comes out with nothing lost. It differs in layout alone.
func TestForeignFile(t *testing.T) {
	for _, name := range []string{"wp_uncased", "wp_cased"} {
		path := testdata.Shared(t, "tokenizer-golden/"+name+".tokenizer.json")
		tok, err := Load(path)
		require.NoError(t, err)
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.JSONEq(t, string(want), string(tok.JSON()))
	}
}

func TestSaveAndLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tokenizer.json")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	tok := tiny(t)
	require.NoError(t, tok.Save(path))
	got, err := Load(path)
	require.NoError(t, err)
	require.Equal(t, tok.Hash(), got.Hash())

	require.Error(t, tok.Save(filepath.Join(dir, "none", "tokenizer.json")))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "taken", "x"), 0o755))
	require.ErrorContains(t, tok.Save(filepath.Join(dir, "taken")), filepath.Join(dir, "taken"))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "no temporary file is left")

	_, err = Load(filepath.Join(dir, "none.json"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.True(t, usererr.Is(err))
	require.NoError(t, os.WriteFile(path, tok.JSON()[:5000], 0o600))
	_, err = Load(path)
	require.ErrorContains(t, err, path)
	require.True(t, usererr.Is(err))
}

// FuzzParse: whatever the file, Parse returns, and a tokenizer that it makes encodes within its vocabulary and comes
// back from its own JSON.
func FuzzParse(f *testing.F) {
	small, err := Train(slices.Values([]string{"a aa word"}), Options{})
	require.NoError(f, err)
	f.Add(small.JSON())
	f.Add([]byte(`{"added_tokens":[{"content":""}],"normalizer":{"type":"BertNormalizer"},"model":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := Parse(data)
		if err != nil {
			require.True(t, usererr.Is(err), "%v", err)
			return
		}
		for _, id := range tok.Encode("The [MASK] generator's wörds, aaa ## 日本.").IDs {
			require.True(t, id >= 0 && int(id) < tok.VocabSize())
		}
		again, err := Parse(tok.JSON())
		require.NoError(t, err)
		require.Equal(t, string(tok.JSON()), string(again.JSON()))
	})
}
