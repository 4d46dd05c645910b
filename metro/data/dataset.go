// SPDX-License-Identifier: Apache-2.0

package data

import (
	"context"
	"errors"
	"sync"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/text"
	"metrolab/metro/tokens"
)

// Dataset is a corpus read through a tokenizer: token rows of each split. It holds their files open until it is closed.
type Dataset struct {
	Corpus    *text.Corpus
	Tokenizer tokens.Tokenizer

	Train, Validation, Test *Rows
	Mixed                   []Mixed // what training reads beside Train; see [Dataset.Mix]

	Unknown tokens.Unknown // what of the training split the tokenizer does not know

	Vocab         int // V; every id is below it
	PadID, MaskID int32

	counts func() (*Counts, error)
}

// NewDataset opens the rows of corpus under tokenizer, seqLen tokens each. The token files are made at the first call for
// a pair of them and kept in cacheDir; progress is called as in [tokens.Tokenize]. A split without a single row is the
// user's mistake. The caller closes the dataset.
func NewDataset(ctx context.Context, corpus *text.Corpus, tokenizer tokens.Tokenizer, seqLen int, cacheDir string, progress func(done, total int)) (_ *Dataset, err error) {
	files, err := tokens.Tokenize(ctx, corpus, tokenizer, cacheDir, progress)
	if err != nil {
		return nil, err
	}
	special := tokenizer.Special()
	d := &Dataset{
		Corpus: corpus, Tokenizer: tokenizer, Unknown: files.Unknown,
		Vocab: tokenizer.VocabSize(), PadID: special.PAD, MaskID: special.MASK,
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	for i, rows := range []**Rows{&d.Train, &d.Validation, &d.Test} {
		split := text.Splits[i]
		if *rows, err = OpenRows(files.Paths[split], seqLen, d.Vocab, special.CLS, special.PAD); err != nil {
			return nil, err
		}
		if (*rows).Len() == 0 {
			return nil, usererr.New("the %s split of %s is empty: the corpus has %d documents, which is too few; %s", split, corpus.Source, corpus.Stats.Total().Documents, text.WhatParts)
		}
	}
	d.counts = sync.OnceValues(func() (*Counts, error) { return CountTokens(d.Train, d.Vocab, d.Maskable) })
	return d, nil
}

// Close releases the files of the rows.
func (d *Dataset) Close() error {
	var errs []error
	for _, rows := range []*Rows{d.Train, d.Validation, d.Test} {
		if rows != nil {
			errs = append(errs, rows.Close())
		}
	}
	for _, m := range d.Mixed {
		errs = append(errs, m.Rows.Close())
	}
	return errors.Join(errs...)
}

// Maskable reports whether a token may be masked, replaced or drawn: all but the special ones.
func (d *Dataset) Maskable(id int32) bool { return !d.Tokenizer.IsSpecial(id) }

// Continues reports whether a token continues a word (a piece that begins with ##).
func (d *Dataset) Continues(id int32) bool { return d.Tokenizer.IsContinuation(id) }

// Counts returns the token counts of the training split, counted at the first call.
func (d *Dataset) Counts() (*Counts, error) { return d.counts() }

// Require returns the user's error for a corpus whose splits have fewer rows than are read at once: rows of the
// validation and of the test split, batch of the training split.
func (d *Dataset) Require(batch, rows int) error {
	for _, need := range []struct {
		split text.Split
		rows  *Rows
		want  int
		field string
	}{{text.Train, d.Train, batch, "training.batch_size"}, {text.Validation, d.Validation, rows, "evaluation.rows"}, {text.Test, d.Test, rows, "evaluation.rows"}} {
		if have := need.rows.Len(); have < need.want {
			return usererr.New("this corpus is too small (%s): its %s split has %d rows of %d tokens, %s asks for %d; use more text, or set it lower; %s",
				d.Corpus.Source, need.split, have, need.rows.SeqLen, need.field, need.want, text.WhatParts)
		}
	}
	return nil
}

// WordsARow is how many words of text a row of training has in the mean: those of the training split over its rows, of a mixture
// by the shares of its texts. Words are what stands between white space, however many tokens each is cut into.
func (d *Dataset) WordsARow() float64 {
	mean := func(c *text.Corpus, r *Rows) float64 {
		return float64(c.Stats.Splits[text.Train].Words) / float64(r.Len())
	}
	own, mixed := metro.MixtureBlock, 0.0
	for _, m := range d.Mixed {
		own -= m.Share
		mixed += float64(m.Share) * mean(m.Corpus, m.Rows)
	}
	return (float64(own)*mean(d.Corpus, d.Train) + mixed) / metro.MixtureBlock
}
