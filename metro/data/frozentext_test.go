// SPDX-License-Identifier: Apache-2.0

package data

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro/tokens"
	"metrolab/metro/tokens/wordpiece"
)

func TestWordsOf(t *testing.T) {
	for text, want := range map[string][]string{
		"":                           nil,
		" , . ":                      nil,
		"Read reads v2, don't panic": {"Read", "reads", "v2", "don", "t", "panic"},
		"a_b io.Reader":              {"a", "b", "io", "Reader"},
		"naïve na\u0301ive":          {"naïve", "na\u0301ive"},
		"\u0301x":                    {"x"},
		"日本語 is ไทย字a":               {"日", "本", "語", "is", "ไทย", "字", "a"},
		"Größe ½ x²":                 {"Größe", "½", "x²"},
	} {
		var got []string
		for _, place := range wordsOf(text) {
			got = append(got, text[place.Start:place.End])
		}
		require.Equal(t, want, got, text)
	}
}

// What a tokenizer that lowers letters and strips accents sees alike is alike.
func TestFolded(t *testing.T) {
	for _, alike := range [][]string{{"The", "the", "THE"}, {"naïve", "nai\u0308ve", "NAIVE"}, {"ﬁle", "file"}, {"ſ", "s"}, {"İ", "i"}} {
		for _, word := range alike {
			require.Equal(t, folded(alike[0]), folded(word))
		}
	}
	require.NotEqual(t, folded("reads"), folded("read"))
}

// A tokenizer of its own kind on a text that both cases and words of which few are whole.
func wordTokenizer(t *testing.T, corpusWords string, size int, lowercase bool) tokens.Tokenizer {
	t.Helper()
	tokenizer, err := wordpiece.Train(func(yield func(string) bool) { yield(corpusWords) }, wordpiece.Options{VocabSize: size, Lowercase: lowercase})
	require.NoError(t, err)
	return tokenizer
}

// The text follows from the corpus alone, holds no word that case alone tells from the original, and puts out all the rest of
// the documents unchanged.
func TestFreezeText(t *testing.T) {
	var content strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&content, "The reader %s the File, then THE writer (number %d) closes it at once.\n\n", []string{"opens", "reads", "Opens"}[i%3], i)
	}
	corpus, _ := textCorpus(t, content.String())
	f, err := FreezeText(corpus)
	require.NoError(t, err)
	again, err := FreezeText(corpus)
	require.NoError(t, err)
	require.Equal(t, f, again)
	require.Equal(t, f.Fingerprint(), again.Fingerprint())

	originals, err := drawDocuments(corpus)
	require.NoError(t, err)
	require.Len(t, f.Texts, len(originals))
	words, replaced, kept := f.Words, 0, 0
	for i, original := range originals {
		before, after := original, f.Texts[i]
		from, to := 0, 0
		for _, place := range wordsOf(original) {
			word := words[0]
			words = words[1:]
			require.Equal(t, i, word.Text)
			require.Equal(t, before[from:place.Start], after[to:word.Place.Start], "what stands between the words")
			was, is := before[place.Start:place.End], after[word.Place.Start:word.Place.End]
			require.Equal(t, word.Replaced, was != is)
			require.Equal(t, word.Replaced, folded(was) != folded(is), "%s became %s", was, is)
			if from, to = place.End, word.Place.End; word.Replaced {
				replaced++
			} else {
				kept++
			}
		}
		require.Equal(t, before[from:], after[to:])
	}
	require.Empty(t, words)
	require.InDelta(t, FrozenRate, float64(replaced)/float64(replaced+kept), 0.05)

	for _, name := range []string{ByRarity, ByLength, BySurprise} {
		require.Len(t, f.Trivial[name], len(f.Words))
	}
	changed := *f
	changed.Words = append([]Word(nil), f.Words...)
	changed.Words[0].Replaced = !changed.Words[0].Replaced
	require.NotEqual(t, f.Fingerprint(), changed.Fingerprint())
}

// By hand: "ab cdef gh" in the pieces a, ##b, cd, ##e, ##f, gh, cut into rows of [CLS] and three tokens. The second word lies
// on both sides of a row's end, and its score is the highest of its three pieces'.
func TestPackByHand(t *testing.T) {
	f := &FrozenText{
		Texts: []string{"ab cdef, gh", "cd"},
		Words: []Word{{Text: 0, Place: tokens.Span{Start: 0, End: 2}}, {Text: 0, Place: tokens.Span{Start: 3, End: 7}, Replaced: true}, {Text: 0, Place: tokens.Span{Start: 9, End: 11}}, {Text: 1, Place: tokens.Span{Start: 0, End: 2}}},
	}
	tokenizer := tokenizerOf(t, "a", "##b", "cd", "##e", "##f", "gh", ",")
	special := tokenizer.Special()
	p, err := f.Pack(tokenizer, 4)
	require.NoError(t, err)
	id := func(token string) int32 {
		for i := range int32(tokenizer.VocabSize()) {
			if tokenizer.Token(i) == token {
				return i
			}
		}
		t.Fatal(token)
		return 0
	}
	require.Equal(t, []int32{
		special.CLS, id("a"), id("##b"), id("cd"),
		special.CLS, id("##e"), id("##f"), id(","),
		special.CLS, id("gh"), special.SEP, id("cd"),
		special.CLS, special.SEP, special.PAD, special.PAD,
	}, p.Rows)
	require.Equal(t, []float32{3, 9, 4, 6}, p.Words([]float32{
		100, 1, 3, 2,
		100, 9, 5, 100,
		100, 4, 100, 6,
		100, 100, 100, 100,
	}))
	require.Equal(t, []float32{-1, -1, -1, -2}, p.Words([]float32{0, -1, -2, -3, 0, -1, -5, 0, 0, -1, 0, -2, 0, 0, 0, 0}))
	scores, replaced := f.Answers([]float32{3, 9, 4, 6})
	require.Equal(t, []float32{3, 9, 4, 6}, scores)
	require.Equal(t, []bool{false, true, false, false}, replaced)
}

// tokenizerOf has these tokens.
func tokenizerOf(t *testing.T, vocabulary ...string) tokens.Tokenizer {
	t.Helper()
	all := append([]string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}, vocabulary...)
	dir := writeTree(t, map[string]string{"vocab.txt": strings.Join(all, "\n") + "\n"})
	tokenizer, err := tokens.LoadFolder(dir)
	require.NoError(t, err)
	return tokenizer
}

// Whatever the tokenizer and the length of a row, the same words are asked about, with every token of each: what spells a
// special token is [UNK], and what the tokenizer does not know still has a score.
func TestPackServesEveryTokenizer(t *testing.T) {
	content := prose(400) + "\n\nNaïve 日本 READERS close [MASK] Files, snow ☃ and ½ more.\n"
	corpus, _ := textCorpus(t, content)
	f, err := FreezeText(corpus)
	require.NoError(t, err)
	f.Texts = append(f.Texts, "Naïve 日本 READERS [MASK] ½ x")
	for _, place := range wordsOf(f.Texts[len(f.Texts)-1]) {
		f.Words = append(f.Words, Word{Text: len(f.Texts) - 1, Place: place})
	}
	for _, size := range []int{60, 300} {
		for _, lowercase := range []bool{false, true} {
			tokenizer := wordTokenizer(t, prose(400), size, lowercase)
			for _, seqLen := range []int{2, 7, 32, 64, 100_000} {
				p, err := f.Pack(tokenizer, seqLen)
				require.NoError(t, err)
				require.Zero(t, len(p.Rows)%seqLen)
				require.NotContains(t, p.Rows, tokenizer.Special().MASK)
				scores := make([]float32, len(p.Rows))
				for i, id := range p.Rows {
					if scores[i] = 1; id == tokenizer.Special().CLS || id == tokenizer.Special().SEP || id == tokenizer.Special().PAD {
						scores[i] = float32(math.Inf(1)) // never a word's
					}
				}
				for i, score := range p.Words(scores) {
					require.EqualValues(t, 1, score, "word %d", i)
				}
				require.Len(t, p.Words(scores), len(f.Words))
			}
		}
	}
}

// Of a text that is most of it one sentence, the counts alone tell which words are wrong, and each scorer is as defined.
func TestTrivial(t *testing.T) {
	c := countsOf(t, []int32{5, 6, 7, 5, 6, 7, 5, 6, 8, 5, 6, 7, 5, 6, 7}, 16)
	trivial := Trivial{}
	trivial.add(c, []int32{5, 6, 8}, func(id int32) int { return int(id) })
	require.InDelta(t, -math.Log(5.5/17), trivial[ByRarity][0], 1e-6)
	require.Equal(t, []float32{5, 6, 8}, trivial[ByLength])
	ratio := func(pair, x, y float64) float64 { return math.Log(x+5) - math.Log(pair*16/y+5) } // 16 tokens with [CLS]
	require.InDelta(t, ratio(5, 5, 5), trivial[BySurprise][0], 1e-6)
	require.InDelta(t, ratio(5, 5, 5)+ratio(1, 5, 1), trivial[BySurprise][1], 1e-6)
	require.InDelta(t, ratio(1, 5, 1), trivial[BySurprise][2], 1e-6)
	unseen := Trivial{}
	unseen.add(c, []int32{11, 5}, func(int32) int { return 0 })
	require.Equal(t, []float32{0, 0}, unseen[BySurprise])
}
