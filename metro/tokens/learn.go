// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
	"metrolab/metro/text"
)

// Options says what tokenizer to learn.
type Options struct {
	Model     string // a registered format; "" stands for WordPiece
	VocabSize int    // the wanted number of tokens; the whole alphabet is kept, so a small one comes out larger
	Lowercase bool   // lower all letters and strip their accents

	Alphabet    int // how many different characters are kept, the most frequent first; 0 means 1000
	LongestWord int // the longest word that is taken apart, in characters; 0 means 100
}

const defaultModel = "WordPiece"

// Learn returns the tokenizer learned from the training split of corpus, from cacheDir if it was learned before. A format
// that is not known or cannot be learned is the user's error.
func Learn(ctx context.Context, corpus *text.Corpus, o Options, cacheDir string) (Tokenizer, error) {
	o.Model = cmp.Or(o.Model, defaultModel)
	f, err := named(o.Model)
	if err == nil && f.Learn == nil {
		err = usererr.New("a tokenizer of the kind %s can be read but not learned here", o.Model)
	}
	if err != nil {
		return nil, usererr.New("learn a tokenizer: %w", err)
	}
	path := filepath.Join(cacheDir, "tokenizers", o.file(corpus))
	if t, err := f.Load(path); err == nil {
		return t, nil
	}
	var reading error
	t, err := f.Learn(corpus.Texts(ctx, text.Train, &reading), o)
	if err = errors.Join(reading, err); err != nil {
		return nil, fmt.Errorf("learn a tokenizer from %s: %w", corpus.Name, err)
	}
	if err := atomicfile.MkdirAll(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("keep the tokenizer: %w", err)
	}
	if err := t.Save(path); err != nil {
		return nil, err
	}
	return t, nil
}

// file names what is learned from corpus in the cache. Only kinds other than the first one there was are named in it.
func (o Options) file(corpus *text.Corpus) string {
	name := fmt.Sprintf("%s-%d-%t", corpus.Hash[:16], o.VocabSize, o.Lowercase)
	if alphabet, longest := cmp.Or(o.Alphabet, 1000), cmp.Or(o.LongestWord, 100); alphabet != 1000 || longest != 100 {
		name += fmt.Sprintf("-%d-%d", alphabet, longest)
	}
	if o.Model != defaultModel {
		name += "-" + o.Model
	}
	return name + ".json"
}
