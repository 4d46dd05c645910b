// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"metrolab/internal/usererr"
	"metrolab/metro/text"
)

// Options says what tokenizer to learn.
type Options struct {
	Model     string // a registered format; "" stands for WordPiece
	VocabSize int    // the wanted number of tokens; the whole alphabet is kept, so a small one comes out larger
	Lowercase bool   // lower all letters and strip their accents

	Alphabet    int // how many different characters are kept, the most frequent first; 0 means 1000
	LongestWord int // the longest word that is taken apart, in characters, or, of BPE, learned from in one; 0 means 100

	SentencePiece bool // BPE of characters, as SentencePiece's, not of bytes
}

const defaultModel = "WordPiece"

// Learn returns the tokenizer learned from the training split of corpus, from cacheDir if it was learned before and is what
// it was then. A format that is not known or cannot be learned, and a cache that cannot be written to, are the user's errors.
func Learn(ctx context.Context, corpus *text.Corpus, o Options, cacheDir string) (Tokenizer, error) {
	o.Model = cmp.Or(o.Model, defaultModel)
	f, err := named(o.Model)
	if err == nil && f.Learn == nil {
		err = usererr.New("a tokenizer of the kind %s can be read but not learned here", o.Model)
	}
	if err != nil {
		return nil, usererr.New("learn a tokenizer: %w", err)
	}
	if all := corpus.Stats.Total(); corpus.Stats.Splits[text.Train].Documents == 0 && all.Documents > 0 {
		return nil, usererr.New("learn a tokenizer from %s: its text is %d paragraphs with %d words, and all of them are kept for validation and testing, as about one in ten is, by its hash; give more text, of paragraphs with empty lines between them",
			corpus.Name, all.Documents, all.Words)
	}
	dir := filepath.Join(cacheDir, "tokenizers", o.folder(corpus))
	var learned Tokenizer
	err = sealed(dir, []string{jsonName}, func(temp string) error {
		var reading error
		learned, err = f.Learn(corpus.Texts(ctx, text.Train, &reading), o)
		if err := errors.Join(reading, err); err != nil {
			return fmt.Errorf("learn a tokenizer from %s: %w", corpus.Name, err)
		}
		return learned.Save(filepath.Join(temp, jsonName))
	})
	if err != nil {
		return nil, text.CacheError(cacheDir, err)
	}
	if learned != nil {
		return learned, nil
	}
	return loaded(f.Load(filepath.Join(dir, jsonName)))
}

// folder names what is learned from corpus in the cache. Only what is not as usual is named in it.
func (o Options) folder(corpus *text.Corpus) string {
	name := fmt.Sprintf("%s-%d-%t", corpus.Hash[:16], o.VocabSize, o.Lowercase)
	if alphabet, longest := cmp.Or(o.Alphabet, 1000), cmp.Or(o.LongestWord, 100); alphabet != 1000 || longest != 100 {
		name += fmt.Sprintf("-%d-%d", alphabet, longest)
	}
	if o.Model != defaultModel {
		name += "-" + o.Model
	}
	if o.SentencePiece {
		name += "-SentencePiece"
	}
	return name
}
