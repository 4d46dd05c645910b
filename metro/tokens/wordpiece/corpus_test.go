// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"flag"
	"iter"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata/tiny.tokenizer.json anew; run testdata/golden.py after it")

// sentences are a text to train small tokenizers on.
var sentences = []string{
	"The generator writes plausible words into a text, and the main model finds the words that it wrote.",
	"The main model finds what was replaced; then it writes the right words back, one after the other.",
	"A word that the generator guessed right is not replaced, and nothing has to be found there.",
	"Don't count padding: it is neither replaced nor original, and no loss should ever see it.",
	"When the generator grows too strong, its words are hard to find, and the main model learns slowly.",
	"When it is too weak, its words are easy to find, and the main model learns little from them.",
	"Ångström, naïve café, Straße, ÎLE, Übermut, Ελλάδα, Россия, İstanbul, Việt Nam, 한국어, 日本語, हिन्दी.",
}

// scripts holds a line of characters each of some blocks, so that awkward text is not all unknown.
func scripts() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, b := range [][2]rune{{0xC0, 0xFF}, {0x130, 0x131}, {0x300, 0x315}, {0x323, 0x345}, {0x391, 0x3C9},
			{0x93C, 0x94D}, {0x1100, 0x1112}, {0x1161, 0x1175}, {0x11A8, 0x11C2}, {0x1885, 0x1886}, {0x1EA0, 0x1EB0},
			{0x302E, 0x302F}, {0x3041, 0x3050}, {0x4E00, 0x4E08}, {0xAC00, 0xAC04}, {0x1D165, 0x1D166}} {
			for r := b[0]; r <= b[1]; r++ {
				if !yield("a" + string(r) + " " + string(r)) {
					return
				}
			}
		}
	}
}

func texts() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, seq := range []iter.Seq[string]{slices.Values(sentences), scripts()} {
			for s := range seq {
				if !yield(s) {
					return
				}
			}
		}
	}
}

func tiny(t testing.TB) *Tokenizer {
	t.Helper()
	tok, err := Train(texts(), Options{VocabSize: 1024})
	require.NoError(t, err)
	return tok
}

// TestTrainGolden guards every byte that the trainer writes: a change of it is a change of every run trained since.
func TestTrainGolden(t *testing.T) {
	const path = "testdata/tiny.tokenizer.json"
	got := tiny(t).JSON()
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}
