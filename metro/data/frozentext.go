// SPDX-License-Identifier: Apache-2.0

package data

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"metrolab/internal/randstream"
	"metrolab/internal/usererr"
	"metrolab/metro/text"
	"metrolab/metro/tokens"
)

// FrozenText is a held-out text in which whole words are replaced. It follows from the corpus alone: runs that cut text into
// tokens and rows in different ways are tested on the same words, each with its own tokens ([FrozenText.Pack]).
type FrozenText struct {
	Texts   []string // corrupted documents
	Words   []Word   // all words of the texts, in order
	Trivial Trivial  // [words] by each scorer
}

// Word is one word of a [FrozenText].
type Word struct {
	Text     int         // which text it is in
	Place    tokens.Span // in bytes
	Replaced bool        // false as well where the draw differs from the original in case and accents at most
}

const (
	frozenWords  = 4096    // a text has at least so many, if the test split does: documents are taken whole
	countedWords = 1 << 20 // of the training split, from which they are drawn
)

// FreezeText takes documents of the test split at random, some 4,096 words, and draws 15 % of the words anew, by their
// counts among the first 1 Mi words of the training split.
func FreezeText(corpus *text.Corpus) (*FrozenText, error) {
	counts := &wordCounts{Counts: newCounts(0), ids: map[string]int32{}}
	for doc, err := range corpus.Documents(text.Train) {
		if err != nil {
			return nil, fmt.Errorf("count words: %w", err)
		}
		if counts.tokens > countedWords {
			break
		}
		counts.addText(doc.Text)
	}
	documents, err := drawDocuments(corpus)
	if err != nil {
		return nil, err
	}
	f := &FrozenText{Trivial: Trivial{}}
	for _, document := range documents {
		if len(f.Words) >= frozenWords {
			break
		}
		f.add(document, counts)
	}
	return f, nil
}

// drawDocuments returns the documents of the test split in a random order that follows from what they say, at most as many
// as words are wanted.
func drawDocuments(corpus *text.Corpus) ([]string, error) {
	type hashed struct {
		key  uint64
		text string
	}
	var kept []hashed
	cut := func() {
		slices.SortFunc(kept, func(a, b hashed) int { return cmp.Or(cmp.Compare(a.key, b.key), strings.Compare(a.text, b.text)) })
		kept = kept[:min(len(kept), frozenWords)]
	}
	for doc, err := range corpus.Documents(text.Test) {
		if err != nil {
			return nil, fmt.Errorf("draw documents to freeze: %w", err)
		}
		key, _ := randstream.Key(frozenSeed, "frozen document/"+doc.Text)
		if kept = append(kept, hashed{key, doc.Text}); len(kept) == 2*frozenWords {
			cut()
		}
	}
	cut()
	texts := make([]string, len(kept))
	for i, h := range kept {
		texts[i] = h.text
	}
	return texts, nil
}

// add corrupts a document.
func (f *FrozenText) add(document string, counts *wordCounts) {
	rng := randstream.New(frozenSeed, "frozen words/"+document)
	var out strings.Builder
	var row []int32
	end := 0 // of what is written out
	for _, place := range wordsOf(document) {
		original := document[place.Start:place.End]
		word := original
		if rng.Float64() < FrozenRate && counts.total > 0 {
			word = counts.words[UnigramFaker{counts.Counts}.Draw(rng.Float64(), none, none)]
		}
		replaced := folded(word) != folded(original)
		if !replaced {
			word = original
		}
		out.WriteString(document[end:place.Start])
		f.Words = append(f.Words, Word{Text: len(f.Texts), Place: tokens.Span{Start: out.Len(), End: out.Len() + len(word)}, Replaced: replaced})
		out.WriteString(word)
		row, end = append(row, counts.id(word)), place.End
	}
	out.WriteString(document[end:])
	f.Texts = append(f.Texts, out.String())
	f.Trivial.add(counts.Counts, row, func(id int32) int { return utf8.RuneCountInString(counts.words[id]) })
}

// Answers returns scores, one a word, with whether each word was replaced.
func (f *FrozenText) Answers(scores []float32) (all []float32, replaced []bool) {
	replaced = make([]bool, len(f.Words))
	for i, w := range f.Words {
		replaced[i] = w.Replaced
	}
	return scores, replaced
}

// Fingerprint is a hash of the texts and their words, in hexadecimal.
func (f *FrozenText) Fingerprint() string {
	sum := sha256.New()
	if err := json.NewEncoder(sum).Encode([]any{f.Texts, f.Words}); err != nil {
		panic(err) // texts and numbers
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Packed is a [FrozenText] as a model reads it: rows of its own length of tokens of its own kind.
type Packed struct {
	Rows   []int32 // [N, S], as in [Rows]
	pieces [][]int // of each word, the places of its tokens in Rows
}

// Pack encodes the texts and cuts them into rows of seqLen tokens, one after the other, as the rows of training are. A word
// that has no token under the tokenizer is the user's error: the models would not be asked about the same words.
func (f *FrozenText) Pack(tokenizer tokens.Tokenizer, seqLen int) (Packed, error) {
	special := tokenizer.Special()
	p := Packed{pieces: make([][]int, 0, len(f.Words))}
	place := func(k int) int { return k/(seqLen-1)*seqLen + 1 + k%(seqLen-1) } // in Rows, of the k-th token of the stream
	var stream []int32
	words := f.Words
	for i, t := range f.Texts {
		encoded := tokenizer.Encode(t)
		ids, spans := encoded.IDs[1:len(encoded.IDs)-1], encoded.Bytes[1:len(encoded.Bytes)-1] // without [CLS] and [SEP]
		first := 0
		for ; len(words) > 0 && words[0].Text == i; words = words[1:] {
			word := words[0].Place
			for first < len(spans) && spans[first].End <= word.Start {
				first++
			}
			var pieces []int
			for k := first; k < len(spans) && spans[k].Start < word.End; k++ {
				pieces = append(pieces, place(len(stream)+k))
			}
			if len(pieces) == 0 {
				return Packed{}, usererr.New("the word %q of the frozen text has no token under this tokenizer", t[word.Start:word.End])
			}
			p.pieces = append(p.pieces, pieces)
		}
		for _, id := range ids {
			if tokenizer.IsSpecial(id) {
				id = special.UNK // as in the rows of training
			}
			stream = append(stream, id)
		}
		stream = append(stream, special.SEP)
	}
	for row := range slices.Chunk(stream, seqLen-1) {
		p.Rows = append(p.Rows, pad(append([]int32{special.CLS}, row...), seqLen, special.PAD)...)
	}
	return p, nil
}

// Words returns the scores of the words: each the highest of its tokens' scores, which are [N, S].
func (p Packed) Words(scores []float32) []float32 {
	words := make([]float32, len(p.pieces))
	for i, pieces := range p.pieces {
		words[i] = scores[pieces[0]]
		for _, at := range pieces[1:] {
			words[i] = max(words[i], scores[at])
		}
	}
	return words
}
