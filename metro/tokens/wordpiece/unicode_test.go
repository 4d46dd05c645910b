// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestUnicode compares what becomes of every code point with Python tokenizers 0.23.3. The digests are printed by
// testdata/golden.py. A new Go or golang.org/x/text with newer Unicode tables may break it: hold the tables in chars.go
// to the versions named there.
func TestUnicode(t *testing.T) {
	for _, c := range []struct {
		name, digest string
		rules        rules
	}{
		{"clean", "a518d867f7221c38eeac76810b0bd5489e5b9131b68833c321df50327d346d76", rules{cleanText: true}},
		{"ideographs", "4444cd19e3ab9d16c67614df0f47426081d33aa1e1a4f8a09317a1d6bcb36d57", rules{spaceIdeographs: true}},
		{"strip", "691f01bbc9d0c21fe22cc1ae070e47bbc01315d1edaca145d1a9e9b936de3b62", rules{stripAccents: true}},
		{"lower", "7dd64d9717b0422e5cb9f019a347fc64c7a795acbb5a56aa1013305e5a4d062f", rules{lowercase: true}},
	} {
		n := normalizer{rules: c.rules}
		require.Equal(t, c.digest, digest(func(line []byte, r rune) []byte {
			for i, ch := range n.normalize(string(r), 0) {
				if i > 0 {
					line = append(line, ' ')
				}
				line = strconv.AppendInt(line, int64(ch.r), 10)
			}
			return line
		}), c.name)
	}
	s, words := splitter{}, 0
	count := func([]char) { words++ }
	require.Equal(t, "bd54d2beccaa8e01987a17c66695a24bdc8998a1ef37af38b7f876e5c3a78b22", digest(func(line []byte, r rune) []byte {
		words = 0
		s.split("a"+string(r)+"a", 0, count)
		return strconv.AppendInt(line, int64(words), 10)
	}), "words")
}

// digest is the SHA-256 of a line for every code point but surrogates: the code point, a tab and what describe appends.
func digest(describe func(line []byte, r rune) []byte) string {
	h := sha256.New()
	var line []byte
	for r := rune(0); r <= 0x10FFFF; r++ {
		if r == 0xD800 {
			r = 0xE000
		}
		line = append(strconv.AppendInt(line[:0], int64(r), 10), '\t')
		line = append(describe(line, r), '\n')
		h.Write(line)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// TestHardGolden encodes awkward lines under all 24 settings of the normalizer; testdata/golden.py wrote the answers
// with Python tokenizers 0.23.3.
func TestHardGolden(t *testing.T) {
	f, err := os.Open("testdata/hard.golden.jsonl.gz")
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	settings := 0
	for in := json.NewDecoder(z); in.More(); settings++ {
		var g struct {
			Normalizer map[string]*bool `json:"normalizer"`
			Lines      []goldenLine     `json:"lines"`
		}
		require.NoError(t, in.Decode(&g))
		tok, err := Parse(edited(t, func(f map[string]any) {
			for key, value := range g.Normalizer {
				f["normalizer"].(map[string]any)[key] = value
			}
		}))
		require.NoError(t, err)
		for _, l := range g.Lines {
			requireGolden(t, tok, l)
			require.Equal(t, l.Decoded, tok.Decode(l.IDs))
		}
	}
	require.Equal(t, 24, settings)
}

// edited returns testdata/tiny.tokenizer.json with a change made to it.
func edited(t testing.TB, edit func(file map[string]any)) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/tiny.tokenizer.json")
	require.NoError(t, err)
	var f map[string]any
	require.NoError(t, json.Unmarshal(data, &f))
	edit(f)
	data, err = json.Marshal(f)
	require.NoError(t, err)
	return data
}
