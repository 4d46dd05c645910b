// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func names(tok *Tokenizer, ids []int32) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = tok.Token(id)
	}
	return strings.Join(out, " ")
}

func TestEncodeIDs(t *testing.T) {
	tok := tiny(t)
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{" \t\r\n\u00a0", ""},
		{"\x00\u200b\ufffd", ""},
		{"[MASK]", "[MASK]"},
		{"[CLS][SEP] [PAD]", "[CLS] [SEP] [PAD]"},
		{"the[MASK]model", "the [MASK] model"},
		{"[main]", "[UNK] main [UNK]"},
		{"generators", "generator ##s"},
		{"☃", "[UNK]"},
		{"the☃", "[UNK]"},
		{"the ☃ model", "the [UNK] model"},
		{strings.Repeat("a", 101) + " the", "[UNK] the"},
		{"日本語", "日 本 語"},
		{"find\xff\xfes", "finds"},
	} {
		require.Equal(t, c.want, names(tok, tok.EncodeIDs(nil, c.text)), "%q", c.text)
	}
	require.Equal(t, []int32{7, tok.Special().MASK}, tok.EncodeIDs([]int32{7}, "[MASK]"), "appends")
}

// TestWordLength: a word may have as many characters as the file says, after normalization, whatever their bytes.
func TestWordLength(t *testing.T) {
	tok := tiny(t)
	require.Len(t, tok.EncodeIDs(nil, strings.Repeat("é", 100)), 100)
	require.Equal(t, []int32{tok.Special().UNK}, tok.EncodeIDs(nil, strings.Repeat("é", 101)))
	require.Len(t, tok.EncodeIDs(nil, strings.Repeat("é\u200b", 100)), 100, "deleted characters do not count")
}

func TestSpans(t *testing.T) {
	got := tiny(t).Encode("é [MASK] ok")
	span := func(start, end int) Span { return Span{Start: start, End: end} }
	require.Equal(t, []Span{{}, span(0, 2), span(3, 9), span(10, 11), span(11, 12), {}}, got.Bytes)
	require.Equal(t, []Span{{}, span(0, 1), span(2, 8), span(9, 10), span(10, 11), {}}, got.Chars)
}

// TestASCIISpans: the span of a piece of ASCII text holds, in lower case, just the piece.
func TestASCIISpans(t *testing.T) {
	tok, err := Train(texts(), Options{VocabSize: 1024, Lowercase: true})
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		text := make([]byte, rng.IntN(80))
		for i := range text {
			text[i] = byte(rng.IntN(128))
		}
		enc := tok.Encode(string(text))
		for i, id := range enc.IDs {
			if tok.IsSpecial(id) {
				continue
			}
			s := enc.Bytes[i]
			want := strings.TrimPrefix(tok.Token(id), "##")
			got := strings.Map(func(r rune) rune {
				if r < ' ' || r == 0x7F {
					return -1
				}
				return r
			}, string(text[s.Start:s.End]))
			require.Equal(t, want, strings.ToLower(got), "%q", text)
		}
	}
}

func TestDecode(t *testing.T) {
	tok := tiny(t)
	ids := tok.Encode("The generator writes words , and the model finds .").IDs
	require.Equal(t, "The generator writes words, and the model finds.", tok.Decode(ids))
	require.Equal(t, "", tok.Decode([]int32{-1, 1 << 30, 0, 1, 2, 3, 4}))
	inner, ok := tok.ID("##ing")
	require.True(t, ok)
	require.Equal(t, "##inging", tok.Decode([]int32{inner, inner}), "the first token stays as it is")
}

func TestAccessors(t *testing.T) {
	tok := tiny(t)
	require.Equal(t, Special{PAD: 0, UNK: 1, CLS: 2, SEP: 3, MASK: 4}, tok.Special())
	for id := range int32(tok.VocabSize()) {
		back, ok := tok.ID(tok.Token(id))
		require.True(t, ok)
		require.Equal(t, id, back)
		require.Equal(t, id < 5, tok.IsSpecial(id))
		require.Equal(t, strings.HasPrefix(tok.Token(id), "##"), tok.IsContinuation(id))
	}
	for _, id := range []int32{-1, int32(tok.VocabSize())} {
		require.Empty(t, tok.Token(id))
		require.False(t, tok.IsSpecial(id))
		require.False(t, tok.IsContinuation(id))
	}
	_, ok := tok.ID("no such token")
	require.False(t, ok)
}

// TestConcurrent encodes from many goroutines; the race detector has its say where it is on.
func TestConcurrent(t *testing.T) {
	tok := tiny(t)
	text := strings.Join(sentences, " ")
	want := tok.Encode(text)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				got := tok.Encode(text)
				if !slices.Equal(got.Bytes, want.Bytes) || !slices.Equal(tok.EncodeIDs(nil, text), want.IDs[1:len(want.IDs)-1]) {
					t.Error("two encodings of the same text differ")
				}
			}
		})
	}
	all.Wait()
}

func FuzzEncode(f *testing.F) {
	tok := tiny(f)
	for _, s := range append(sentences, "", "[MASK][PAD]", "\xff\xfe", "각\u1161\u11a8\u0323\u0344", "İ\u0130", "a\u2028b") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		enc := tok.Encode(text)
		n := len(enc.IDs)
		require.Len(t, enc.Bytes, n)
		require.Len(t, enc.Chars, n)
		requireSpans(t, enc.Bytes[1:n-1], len(text))
		requireSpans(t, enc.Chars[1:n-1], utf8.RuneCountInString(text))
		for i, id := range enc.IDs {
			require.True(t, id >= 0 && int(id) < tok.VocabSize())
			b, c := enc.Bytes[i], enc.Chars[i]
			require.Equal(t, utf8.RuneCountInString(text[b.Start:b.End]), c.End-c.Start)
		}
		require.Equal(t, enc.IDs[1:n-1], tok.EncodeIDs([]int32{}, text))
		tok.Decode(enc.IDs)
	})
}

// requireSpans: no span is empty or beyond the text, and neither starts nor ends go back.
func requireSpans(t *testing.T, spans []Span, length int) {
	last := Span{}
	for _, s := range spans {
		require.True(t, s.Start < s.End && s.End <= length && s.Start >= last.Start && s.End >= last.End, "%v", spans)
		last = s
	}
}

func BenchmarkEncodeIDs(b *testing.B) {
	tok, text := tiny(b), strings.Join(sentences, "\n")
	b.SetBytes(int64(len(text)))
	var dst []int32
	for b.Loop() {
		dst = tok.EncodeIDs(dst[:0], text)
	}
}

func BenchmarkEncode(b *testing.B) {
	tok, text := tiny(b), strings.Join(sentences, "\n")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		tok.Encode(text)
	}
}
