// SPDX-License-Identifier: Apache-2.0

package data

import (
	"context"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/text"
	"metrolab/metro/tokens"
)

// Mixed is a text that rows of training are drawn from beside those of the dataset.
type Mixed struct {
	Corpus *text.Corpus
	Rows   *Rows // of its training split
	Share  int   // rows of it among [metro.MixtureBlock] rows of training
}

// Mix has training read share rows of corpus among [metro.MixtureBlock], cut by the dataset's own tokenizer; nothing else of
// corpus is used. Its token files are kept as those of [NewDataset]. A training split without a single row is the user's
// mistake.
func (d *Dataset) Mix(ctx context.Context, corpus *text.Corpus, share int, cacheDir string, progress func(done, total int)) error {
	files, err := tokens.Tokenize(ctx, corpus, d.Tokenizer, cacheDir, progress)
	if err != nil {
		return err
	}
	special := d.Tokenizer.Special()
	rows, err := OpenRows(files.Paths[text.Train], d.Train.SeqLen, d.Vocab, special.CLS, special.PAD)
	if err != nil {
		return err
	}
	d.Mixed = append(d.Mixed, Mixed{Corpus: corpus, Rows: rows, Share: share})
	if rows.Len() == 0 {
		return usererr.New("data.mixture: the training split of %s is empty: the corpus has %d documents, which is too few; %s",
			corpus.Source, corpus.Stats.Total().Documents, text.WhatParts)
	}
	return nil
}

// text says which text the k-th row of the run is of, and how many rows of that text come before it in its own order. Of every
// [metro.MixtureBlock] rows each text has its share exactly; which rows of a block they are follows from the seed and the
// block. Within a block a text's rows are met in any order, each once.
func (l *Loader) text(k int) (*Rows, int) {
	if len(l.Mixed) == 0 {
		return l.Rows, k
	}
	block, slot := k/metro.MixtureBlock, newPermutation(l.Seed, "mixture", metro.MixtureBlock, k/metro.MixtureBlock).at(k%metro.MixtureBlock)
	for _, m := range l.Mixed {
		if slot < m.Share {
			return m.Rows, block*m.Share + slot
		}
		slot -= m.Share
	}
	rest := metro.MixtureBlock
	for _, m := range l.Mixed {
		rest -= m.Share
	}
	return l.Rows, block*rest + slot
}
