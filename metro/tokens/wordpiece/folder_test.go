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

// folder makes a folder of files.
func folder(t testing.TB, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666))
	}
	return dir
}

// withExtras has two special tokens beside the five.
func withExtras(t testing.TB) *Tokenizer {
	t.Helper()
	tok, err := Train(slices.Values([]string{"a b ab ab aaa word words word y"}), Options{VocabSize: 40, Lowercase: true, Special: []string{"<x>", "[unused1]"}})
	require.NoError(t, err)
	return tok
}

// What is saved comes back, from tokenizer.json as from the other three files alone.
func TestFolder(t *testing.T) {
	parsed := func(edit func(normalizer map[string]any)) *Tokenizer {
		tok, err := Parse(edited(t, func(f map[string]any) { edit(object(f, "normalizer")) }))
		require.NoError(t, err)
		return tok
	}
	for name, tok := range map[string]*Tokenizer{
		"cased": tiny(t), "extras": withExtras(t),
		"accents kept": parsed(func(n map[string]any) { n["lowercase"], n["strip_accents"] = true, false }),
		"ideographs":   parsed(func(n map[string]any) { n["handle_chinese_chars"] = false }),
	} {
		dir := filepath.Join(t.TempDir(), "made", name)
		require.NoError(t, tok.SaveFolder(dir, 128))
		require.NoError(t, tok.SaveFolder(dir, 128), "over an older one")
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 4)
		whole, err := LoadFolder(dir)
		require.NoError(t, err, name)
		require.Equal(t, string(tok.JSON()), string(whole.JSON()), name)
		require.NoError(t, os.Remove(filepath.Join(dir, "tokenizer.json")))
		bare, err := LoadFolder(dir)
		require.NoError(t, err, name)
		require.Equal(t, string(tok.JSON()), string(bare.JSON()), name)
	}
}

// The small files in full. Python transformers 5.23.0 and 4.57.1 read them to the same ids: see testdata/folder.py.
func TestSavedFiles(t *testing.T) {
	dir := t.TempDir()
	tok := withExtras(t)
	require.NoError(t, tok.SaveFolder(dir, 128))
	names := `"unk_token": "[UNK]",
  "sep_token": "[SEP]",
  "pad_token": "[PAD]",
  "cls_token": "[CLS]",
  "mask_token": "[MASK]",
  "additional_special_tokens": [
    "<x>",
    "[unused1]"
  ]
}
`
	for name, want := range map[string]string{
		"special_tokens_map.json": "{\n  " + names,
		"tokenizer_config.json": `{
  "tokenizer_class": "ElectraTokenizer",
  "do_lower_case": true,
  "strip_accents": null,
  "tokenize_chinese_chars": true,
  "model_max_length": 128,
  ` + names,
		"vocab.txt":      strings.Join(tok.tokens, "\n") + "\n",
		"tokenizer.json": string(tok.JSON()),
	} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, want, string(got), name)
	}
}

// ElectraTokenizer cannot be told of these settings, so another class stands there, and vocab.txt is not enough.
func TestUnusualTokenizerNeedsItsJSON(t *testing.T) {
	for _, edit := range []func(f map[string]any){
		func(f map[string]any) { object(f, "normalizer")["clean_text"] = false },
		func(f map[string]any) { object(f, "decoder")["cleanup"] = false },
		func(f map[string]any) { object(f, "model")["max_input_chars_per_word"] = 50 },
	} {
		tok, err := Parse(edited(t, edit))
		require.NoError(t, err)
		dir := t.TempDir()
		require.NoError(t, tok.SaveFolder(dir, 128))
		whole, err := LoadFolder(dir)
		require.NoError(t, err)
		require.Equal(t, tok.Hash(), whole.Hash())
		require.NoError(t, os.Remove(filepath.Join(dir, "tokenizer.json")))
		_, err = LoadFolder(dir)
		require.True(t, usererr.Is(err), "%v", err)
		require.ErrorContains(t, err, "tokenizer_class is PreTrainedTokenizerFast")
	}
}

// A folder of vocab.txt and do_lower_case alone, as the first BERTs had it, gives Python's ids.
func TestVocabGolden(t *testing.T) {
	for name, settings := range map[string]string{"wp_uncased": `{"model_max_length": 512}`, "wp_cased": `{"do_lower_case": false}`} {
		whole, err := Load(testdata.Shared(t, "tokenizer-golden/"+name+".tokenizer.json"))
		require.NoError(t, err)
		tok, err := LoadFolder(folder(t, map[string]string{
			"vocab.txt": "\ufeff" + strings.Join(whole.tokens, "\r\n"), "tokenizer_config.json": settings,
		}))
		require.NoError(t, err)
		require.Equal(t, whole.Hash(), tok.Hash())
		for _, l := range readGolden(t, testdata.Shared(t, "tokenizer-golden/"+name+".golden.jsonl.gz")) {
			requireGolden(t, tok, l)
		}
	}
}

const bareVocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n<s>\n"

// Settings as BertTokenizer of transformers 4.57.1 saves them: tokens as objects, and added ones described by id.
func TestSlowFolder(t *testing.T) {
	tok, err := LoadFolder(folder(t, map[string]string{
		"vocab.txt":         bareVocab,
		"added_tokens.json": `{"<new>": 8}`,
		"tokenizer_config.json": `{
			"added_tokens_decoder": {
				"0": {"content": "[PAD]", "lstrip": false, "normalized": false, "rstrip": false, "single_word": false, "special": true},
				"7": {"content": "<s>", "lstrip": false, "normalized": false, "rstrip": false, "single_word": false, "special": true},
				"8": {"content": "<new>", "lstrip": false, "normalized": false, "rstrip": false, "single_word": false, "special": false}
			},
			"cls_token": {"__type": "AddedToken", "content": "<s>", "lstrip": false},
			"model_max_length": 1000000000000000019884624838656, "never_split": null, "do_basic_tokenize": true,
			"tokenizer_class": "BertTokenizer"
		}`,
		"special_tokens_map.json": `{"cls_token": "[CLS]", "mask_token": {"content": "[MASK]"}, "additional_special_tokens": ["<two>", "<s>"]}`,
	}))
	require.NoError(t, err)
	require.Equal(t, 10, tok.VocabSize())
	require.Equal(t, Special{PAD: 0, UNK: 1, CLS: 7, SEP: 3, MASK: 4}, tok.Special(), "the config goes before the map")
	require.Equal(t, []int32{7, 5, 6, 8, 9, 4, 3}, tok.Encode("AB<new> <two>[MASK]").IDs)
	require.False(t, tok.IsSpecial(8))
	require.True(t, tok.IsSpecial(9))
}

func TestFolderErrors(t *testing.T) {
	vocab := func(settings string) map[string]string {
		return map[string]string{"vocab.txt": bareVocab, "tokenizer_config.json": settings}
	}
	whole := func(settings string) map[string]string {
		return map[string]string{"tokenizer.json": string(tiny(t).JSON()), "tokenizer_config.json": settings}
	}
	for _, c := range []struct {
		want  string
		files map[string]string
	}{
		{"it has neither a tokenizer.json nor a vocab.txt", nil},
		{"neither", map[string]string{"tokenizer_config.json": "{}"}},
		{"tokenizer_config.json cannot be read", vocab(`{"do_lower_case": 3}`)},
		{"tokenizer_config.json cannot be read", whole("{")},
		{"special_tokens_map.json cannot be read", map[string]string{"vocab.txt": bareVocab, "special_tokens_map.json": `{"cls_token": 3}`}},
		{"tokenizer.json: not a tokenizer.json", map[string]string{"tokenizer.json": "{", "vocab.txt": bareVocab}},
		{"do_lower_case is true in tokenizer_config.json, and false by tokenizer.json; make them agree", whole(`{"do_lower_case": true}`)},
		{"strip_accents is true", whole(`{"strip_accents": true}`)},
		{"tokenize_chinese_chars is false", whole(`{"tokenize_chinese_chars": false}`)},
		{`cls_token is "<s>"`, whole(`{"cls_token": "<s>"}`)},
		{`mask_token is "<mask>" in tokenizer_config.json or special_tokens_map.json, and "[MASK]" by tokenizer.json`, whole(`{"mask_token": "<mask>"}`)},
		{"vocab.txt: tokenizer_class is T5Tokenizer", vocab(`{"tokenizer_class": "T5Tokenizer"}`)},
		{"do_basic_tokenize false", vocab(`{"do_basic_tokenize": false}`)},
		{`the special token "<cls>" is on none of its 8 lines`, vocab(`{"cls_token": "<cls>"}`)},
		{`token "[PAD]" is not in the vocabulary`, map[string]string{"vocab.txt": strings.Replace(bareVocab, "[PAD]", "<pad>", 1), "tokenizer_config.json": `{"pad_token": "<pad>"}`}},
		{`added token "b" has id 7; by the vocabulary it is 8`, vocab(`{"added_tokens_decoder": {"7": {"content": "b"}}}`)},
		{"lstrip", vocab(`{"added_tokens_decoder": {"4": {"content": "[MASK]", "lstrip": true}}}`)},
		{"vocab.txt: line 3 is empty", map[string]string{"vocab.txt": "[PAD]\n[UNK]\n\n[CLS]\n"}},
		{"line 1 is empty", map[string]string{"vocab.txt": ""}},
		{`lines 6 and 9 both hold the token "a"`, map[string]string{"vocab.txt": bareVocab + "a\n"}},
		{"not text in UTF-8", map[string]string{"vocab.txt": bareVocab + "\xff\n"}},
		{"added_tokens.json does not say", map[string]string{"vocab.txt": bareVocab, "added_tokens.json": `{"b": 8}`}},
	} {
		dir := folder(t, c.files)
		_, err := LoadFolder(dir)
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, err, dir)
		require.True(t, usererr.Is(err), "%v", err)
	}
	for _, dir := range []string{filepath.Join(t.TempDir(), "none"), filepath.Join(folder(t, map[string]string{"file": ""}), "file")} {
		_, err := LoadFolder(dir)
		require.ErrorContains(t, err, dir)
		require.True(t, usererr.Is(err), "%v", err)
	}
}

// What cannot be written is said, and what was there stays.
func TestSaveFolderFails(t *testing.T) {
	tok := tiny(t)
	dir := folder(t, map[string]string{"file": ""})
	require.ErrorContains(t, tok.SaveFolder(filepath.Join(dir, "file"), 128), filepath.Join(dir, "file"))
	for _, name := range []string{"vocab.txt", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.json"} {
		taken := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Join(taken, name, "x"), 0o755))
		require.ErrorContains(t, tok.SaveFolder(taken, 128), filepath.Join(taken, name))
		require.DirExists(t, filepath.Join(taken, name, "x"))
	}

	broken, err := Parse(edited(t, func(f map[string]any) {
		vocab := object(f, "model", "vocab")
		vocab["th\ne"] = vocab["the"]
		delete(vocab, "the")
	}))
	require.NoError(t, err)
	empty := t.TempDir()
	err = broken.SaveFolder(empty, 128)
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, `cannot hold the token "th\ne"`)
	entries, err := os.ReadDir(empty)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// FuzzVocab: whatever the lines and the settings, the result is the user's error or a tokenizer that its own JSON makes
// again.
func FuzzVocab(f *testing.F) {
	f.Add(bareVocab, []byte(`{"do_lower_case": false, "additional_special_tokens": ["<s>", "<t>", "<t>"]}`))
	f.Add("[PAD]\r\n[UNK]\n[CLS]\n[SEP]\n[MASK]", []byte(`{"added_tokens_decoder": {"9223372036854775807": {"content": "x"}, "-1": {}}}`))
	f.Add("a\na", []byte(`{"tokenizer_class": "BertTokenizerFast", "strip_accents": true, "unk_token": {"content": "a"}}`))
	f.Fuzz(func(t *testing.T, vocab string, settings []byte) {
		var c config
		if json.Unmarshal(settings, &c) != nil {
			return
		}
		tok, err := c.parseVocab(vocab)
		if err != nil {
			require.True(t, usererr.Is(err), "%v", err)
			return
		}
		again, err := Parse(tok.JSON())
		require.NoError(t, err)
		require.Equal(t, tok.Hash(), again.Hash())
	})
}
