// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/tokens"
	"metrolab/metro/tokens/internal/parts"
)

// edited is a small tokenizer.json of a model, after a change of it.
func edited(t testing.TB, name string, change func(file map[string]any)) []byte {
	for _, g := range readLines[goldenFile](t, "testdata/hf.golden.jsonl.gz") {
		if g.Name == name {
			var file map[string]any
			require.NoError(t, json.Unmarshal(g.File, &file))
			change(file)
			return parts.RawJSON(file)
		}
	}
	t.Fatal(name)
	return nil
}

// What is not supported is refused by its name, and is the user's to mend.
func TestParseRefuses(t *testing.T) {
	set := func(section string, value any) func(map[string]any) {
		return func(f map[string]any) { f[section] = value }
	}
	in := func(section, key string, value any) func(map[string]any) {
		return func(f map[string]any) { f[section].(map[string]any)[key] = value }
	}
	type object = map[string]any
	for _, c := range []struct {
		name   string
		change func(map[string]any)
		want   string
	}{
		{"roberta", set("normalizer", object{"type": "Upper"}), "the normalizer Upper is not supported"},
		{"roberta", set("normalizer", object{"type": "Replace", "pattern": object{"Regex": `\d(?=x)`}}), `pattern "\\d(?=x)"`},
		{"roberta", set("normalizer", object{"type": "Precompiled", "precompiled_charsmap": "AAAA"}), "precompiled_charsmap is damaged"},
		{"roberta", set("pre_tokenizer", object{"type": "Split"}), "the pre_tokenizer Split is not supported"},
		{"roberta", set("pre_tokenizer", object{"type": "Sequence", "pretokenizers": []object{{"type": "ByteLevel"}, {"type": "Digits"}}}), "Digits behind ByteLevel"},
		{"albert", set("pre_tokenizer", object{"type": "ByteLevel"}), "Unigram and the pre_tokenizer ByteLevel"},
		{"roberta", set("decoder", object{"type": "CTC"}), "the decoder CTC is not supported"},
		{"roberta", set("post_processor", nil), "the post_processor is null; one is needed"},
		{"roberta", set("post_processor", object{"type": "X"}), "the post_processor X is not supported"},
		{"roberta", in("post_processor", "cls", []any{"<s>", 7}), `gives "<s>" the id 7; by the vocabulary it is 0`},
		{"roberta", set("model", object{"type": "WordLevel"}), "the model is WordLevel"},
		{"roberta", in("model", "dropout", 0.1), "dropout 0.1"},
		{"roberta", in("model", "end_of_word_suffix", "</w>"), "end_of_word_suffix"},
		{"roberta", in("model", "unk_token", "gone"), `unk_token "gone" is not in its vocabulary`},
		{"roberta", in("model", "merges", []any{"a b c"}), "merge 0"},
		{"roberta", in("model", "merges", []any{"a gone"}), "must be in the vocabulary"},
		{"albert", in("model", "unk_id", 1000000), "no unk_id"},
		{"albert", in("model", "vocab", []any{[]any{"a", 1}, []any{"a", 1}, []any{"b", 1}, []any{"c", 1}}), "stands there as token 0 too"},
		{"roberta", func(f map[string]any) {
			f["added_tokens"] = nil
			delete(f["model"].(map[string]any)["vocab"].(map[string]any), "<mask>")
		}, ""},
	} {
		_, err := Parse(edited(t, c.name, c.change))
		require.True(t, usererr.Is(err), "%s: %v", c.want, err)
		require.ErrorContains(t, err, c.want)
		require.NotContains(t, err.Error(), "\n")
	}
	_, err := Parse(edited(t, "albert", func(f map[string]any) {
		for _, e := range f["model"].(map[string]any)["vocab"].([]any) {
			if e.([]any)[0] == "<mask>" {
				e.([]any)[0] = "<blank>"
			}
		}
		f["added_tokens"] = nil
	}))
	require.ErrorContains(t, err, "no token for masking: neither [MASK] nor <mask> is in its vocabulary")
}

// A folder without tokenizer.json whose model or settings cannot be read is the user's to mend.
func TestFolderRefuses(t *testing.T) {
	model := models(t)["bpe"].Model
	for _, c := range []struct {
		model  []byte
		config string
		want   string
	}{
		{model[:len(model)/2], `{}`, "it is no SentencePiece model"},
		{nil, `{}`, "it has no pieces"},
		{model, `{"tokenizer_class": "AlbertTokenizer"}`, "AlbertTokenizer"},
		{model, `{"cls_token": "[CLS]", "sep_token": 7}`, "cannot be read"},
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, spmName), c.model, 0o666))
		require.NoError(t, os.WriteFile(filepath.Join(dir, parts.ConfigName), []byte(c.config), 0o666))
		_, err := tokens.LoadFolder(dir)
		require.True(t, usererr.Is(err), "%v", err)
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, err, dir)
	}
}

// Names that the small files give take effect with spiece.model, and must agree with tokenizer.json.
func TestFolderNames(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, spmName), models(t)["bpe"].Model, 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(dir, parts.MapName), []byte(`{"cls_token": "[CLS]", "sep_token": {"content": "[SEP]"}}`), 0o666))
	tok, err := LoadFolder(dir)
	require.NoError(t, err)
	require.Equal(t, "[CLS]", tok.Token(tok.Special().CLS))
	require.Equal(t, []int{tok.VocabSize() - 2, tok.VocabSize() - 1}, []int{int(tok.Special().CLS), int(tok.Special().SEP)})

	require.NoError(t, tok.SaveFolder(dir, 128))
	again, err := LoadFolder(dir)
	require.NoError(t, err)
	require.Equal(t, tok.Hash(), again.Hash())
	require.NoError(t, os.WriteFile(filepath.Join(dir, parts.MapName), []byte(`{"mask_token": "[MASK]"}`), 0o666))
	require.NoError(t, os.Remove(filepath.Join(dir, parts.ConfigName)))
	_, err = LoadFolder(dir)
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, `mask_token is "[MASK]"`)
}

// Where words begin, a token says.
func TestIsContinuation(t *testing.T) {
	for _, g := range readLines[goldenFile](t, "testdata/hf.golden.jsonl.gz") {
		tok := g.parsed(t)
		marked := g.Name != "words" && g.Name != "split thrice"
		for _, id := range tok.EncodeIDs(nil, " the words the words") {
			token := tok.Token(id)
			begins := strings.HasPrefix(token, "Ġ") || strings.HasPrefix(token, "▁")
			require.Equal(t, marked && !begins, tok.IsContinuation(id), "%s: %q", g.Name, token)
		}
		s := tok.Special()
		for _, id := range []int32{s.PAD, s.UNK, s.CLS, s.SEP, s.MASK, -1, int32(tok.VocabSize())} {
			require.False(t, tok.IsContinuation(id))
		}
	}
}

// The time that a text takes grows with its length whatever is in it: eight times the text takes nowhere near 64 times as long.
func TestTimeIsLinear(t *testing.T) {
	const short, growth, allowed = 1 << 12, 8, 32
	for _, g := range readLines[goldenFile](t, "testdata/hf.golden.jsonl.gz") {
		tok := g.parsed(t)
		for _, unit := range []string{"a", "the", "\u0301", "\u0301\u0323", " ", "▁", "'", "\U0001F469\u200d", "<mas", "\xff", "\u1100"} {
			taken := func(n int) time.Duration {
				best := time.Hour
				text := strings.Repeat(unit, n/len(unit))
				for range 2 {
					start := processorTime(t)
					tok.Encode(text)
					best = min(best, processorTime(t)-start)
				}
				return best
			}
			once := taken(short)
			require.Less(t, taken(growth*short), allowed*once+20*time.Millisecond, "%s: %q", g.Name, unit)
		}
	}
}

// processorTime is what this process has used: unlike a clock, it does not count what others do meanwhile.
func processorTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// requireSound checks what holds of any text: places in order and inside it, ids of the vocabulary, the same ids either way.
func requireSound(t *testing.T, tok *Tokenizer, text string) {
	e := tok.Encode(text)
	require.Equal(t, e.IDs[1:len(e.IDs)-1], tok.EncodeIDs([]int32{}, text))
	n := utf8.RuneCountInString(text)
	for i, id := range e.IDs {
		require.True(t, id >= 0 && int(id) < tok.VocabSize())
		require.True(t, 0 <= e.Bytes[i].Start && e.Bytes[i].Start <= e.Bytes[i].End && e.Bytes[i].End <= len(text), "%q %v", text, e.Bytes[i])
		require.True(t, 0 <= e.Chars[i].Start && e.Chars[i].Start <= e.Chars[i].End && e.Chars[i].End <= n, "%q %v", text, e.Chars[i])
	}
	tok.Decode(e.IDs)
}

func FuzzText(f *testing.F) {
	var all []*Tokenizer
	for _, g := range readLines[goldenFile](f, "testdata/hf.golden.jsonl.gz") {
		all = append(all, g.parsed(f))
	}
	for _, text := range []string{"", "the words <mask> a cat", "\xff\u0301\u0323", " \u2028▁ 're e\u0301"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, tok := range all {
			requireSound(t, tok, text)
		}
	})
}

func FuzzFile(f *testing.F) {
	for _, g := range readLines[goldenFile](f, "testdata/hf.golden.jsonl.gz") {
		f.Add([]byte(g.File))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := Parse(data)
		if err != nil {
			require.True(t, usererr.Is(err), "%v", err)
			return
		}
		requireSound(t, tok, "the words <mask>  e\u0301 \u2028")
		again, err := Parse(tok.JSON())
		require.NoError(t, err)
		require.Equal(t, tok.JSON(), again.JSON())
	})
}

func FuzzModel(f *testing.F) {
	for _, m := range models(f) {
		f.Add(m.Model, `{"cls_token": "[CLS]"}`)
	}
	f.Fuzz(func(t *testing.T, model []byte, settings string) {
		var c config
		if json.Unmarshal([]byte(settings), &c) != nil {
			return
		}
		tok, err := c.parseSPM(model)
		if err != nil {
			require.True(t, usererr.Is(err), "%v", err)
			return
		}
		requireSound(t, tok, "the words <mask>  e\u0301 \u2028")
	})
}
