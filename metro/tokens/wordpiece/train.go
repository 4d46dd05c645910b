// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro/tokens/internal/parts"
)

const (
	padToken, unkToken, clsToken, sepToken, maskToken = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"

	trainedPrefix    = "##"
	bertMaxWordChars = 100
)

// Options says what kind of tokenizer [Train] makes. The zero value is a cased one of 8,192 tokens.
type Options struct {
	// VocabSize is the wanted number of tokens, special ones included; 0 means 8192. The vocabulary is smaller where
	// the text runs out of pairs, and larger where the alphabet alone is.
	VocabSize int
	// Lowercase makes the tokenizer uncased: letters are lowered and accents stripped.
	Lowercase bool
	// MinFrequency is how often a pair must occur to become a piece; 0 means 2.
	MinFrequency int64
	// MaxAlphabet is how many different characters are kept, the most frequent first; 0 means 1000. A word with
	// another character takes no part in the training, and is unknown to the tokenizer.
	MaxAlphabet int
	// LongestWord is how many characters the longest word has that the tokenizer takes apart; 0 means 100, and more than 1000
	// is refused. A longer word takes no part in the training, and is unknown to the tokenizer.
	LongestWord int
	// Special holds further special tokens. Their ids follow those of [PAD], [UNK], [CLS], [SEP] and [MASK], 0 to 4.
	Special []string
}

func (o *Options) fill() error {
	if o.VocabSize < 0 || o.MinFrequency < 0 || o.MaxAlphabet < 0 {
		return usererr.New("vocabulary size %d, minimal frequency %d and alphabet size %d must not be negative",
			o.VocabSize, o.MinFrequency, o.MaxAlphabet)
	}
	if o.LongestWord < 0 || o.LongestWord > wordCharsLimit {
		return usererr.New("the longest word must have from 1 to %d characters, not %d", wordCharsLimit, o.LongestWord)
	}
	o.LongestWord = cmp.Or(o.LongestWord, bertMaxWordChars)
	o.VocabSize = cmp.Or(o.VocabSize, 8192)
	o.MinFrequency = cmp.Or(o.MinFrequency, 2)
	o.MaxAlphabet = cmp.Or(o.MaxAlphabet, 1000)
	o.Special = append([]string{padToken, unkToken, clsToken, sepToken, maskToken}, o.Special...)
	for i, token := range o.Special {
		if token == "" || slices.Contains(o.Special[:i], token) {
			return usererr.New("special token %q is empty or named twice", token)
		}
	}
	return nil
}

// Train makes a tokenizer from texts.
//
// The pieces are found by byte-pair encoding as Hugging Face's WordPieceTrainer does it: words start as characters,
// those after the first prefixed by ##, and the most frequent pair of neighbors is made one piece until the vocabulary
// is full. Of equally frequent pairs, the one whose first piece, then whose second piece, has the lower id goes first.
// Ids are given to special tokens, to the characters by code point, to the ##-characters by code point, and then to
// pieces as they are made. The result is a function of the texts' words and opts alone.
//
// Memory is bounded: past 2²⁰ different words the rarest are forgotten. Texts that leave no word to learn from are the
// user's error, which says why: there is none, all are too long, or all have a character outside the alphabet.
func Train(texts iter.Seq[string], opts Options) (*Tokenizer, error) {
	if err := opts.fill(); err != nil {
		return nil, err
	}
	r := rules{cleanText: true, spaceIdeographs: true, stripAccents: opts.Lowercase, lowercase: opts.Lowercase}
	counter := newWordCounter(r, parts.MaxWords, opts.LongestWord)
	for text := range texts {
		counter.add(text)
	}
	words := parts.KeepAlphabet(counter.Sorted(), opts.MaxAlphabet)
	if len(words) == 0 {
		return nil, counter.nothing(opts)
	}
	m := newMerger(opts.Special, words)
	m.Run(opts.VocabSize, opts.MinFrequency)
	return trained(r, m.Tokens, m.IDs, opts), nil
}

func trained(r rules, tokens []string, ids map[string]int32, opts Options) *Tokenizer {
	t := &Tokenizer{
		rules: r, tokens: tokens, pieces: ids, addedIDs: make(map[string]int32, len(opts.Special)),
		special: Special{PAD: 0, UNK: 1, CLS: 2, SEP: 3, MASK: 4},
		prefix:  trainedPrefix, maxWordChars: opts.LongestWord, cleanup: true,
	}
	for id, token := range opts.Special {
		t.added = append(t.added, parts.AddedToken{ID: int64(id), Content: token, Special: true})
		t.addedIDs[token] = int32(id)
	}
	t.finish()
	return t
}

// nothing says why there is no word to learn from.
func (c *wordCounter) nothing(opts Options) error {
	switch {
	case c.Len() > 0:
		return usererr.New("the text has no words to learn a tokenizer from: every one has a character outside the %d most frequent ones (data.alphabet, which can be set higher)", opts.MaxAlphabet)
	case c.long > 0:
		return usererr.New("the text has no words to learn a tokenizer from: each of its %d is longer than the %d characters that a word may have (data.longest_word, up to %d); the longest has %d. Set it higher, or part the words by spaces",
			c.long, opts.LongestWord, wordCharsLimit, c.longest)
	}
	return usererr.New("the text to learn a tokenizer from has no words")
}

// newMerger gives ids to special tokens and characters and takes the words apart into characters.
func newMerger(special []string, words []parts.WordCount) *parts.Merger {
	first, inner := characters(words)
	spell := func(word string, piece func(string)) {
		for at, r := range word {
			token := string(r)
			if at > 0 {
				token = trainedPrefix + token
			}
			piece(token)
		}
	}
	return parts.NewMerger(slices.Concat(special, first, inner), words, spell, func(left, right string) string {
		return left + strings.TrimPrefix(right, trainedPrefix)
	})
}

// characters returns the tokens of all characters, and of those that stand inside words, by code point.
func characters(words []parts.WordCount) (first, inner []string) {
	all, inside := make(map[string]bool), make(map[string]bool)
	for _, w := range words {
		for at, r := range w.Word {
			all[string(r)] = true
			if at > 0 {
				inside[trainedPrefix+string(r)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all)), slices.Sorted(maps.Keys(inside))
}
