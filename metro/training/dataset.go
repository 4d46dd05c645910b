// SPDX-License-Identifier: Apache-2.0

package training

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"strings"

	"github.com/dustin/go-humanize"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/text"
	"metrolab/metro/tokens"
)

// Dataset returns the text of config as config reads it: with the tokenizer of the trained models that it begins with or, if
// it begins with none, one learned from the text. The first call for each learns the tokenizer and writes the token
// files, unless the cache has them; progress is called as in [data.NewDataset].
func (r *Runner) Dataset(ctx context.Context, config metro.Config, progress func(done, total int)) (*data.Dataset, error) {
	o, err := loadOrigins(config)
	if err != nil {
		return nil, err
	}
	return r.dataset(ctx, config.Data, o.tokenizer(), progress)
}

func (r *Runner) dataset(ctx context.Context, d metro.Data, tokenizer tokens.Tokenizer, progress func(done, total int)) (*data.Dataset, error) {
	corpus, err := r.corpus(ctx, d)
	if err != nil {
		return nil, err
	}
	mixture, err := r.mixture(ctx, d, corpus)
	if err != nil {
		return nil, err
	}
	learned := learnedTokenizer(d)
	key := fmt.Sprint(corpus.Hash, d.SeqLen, learned)
	if tokenizer != nil {
		key = fmt.Sprint(corpus.Hash, d.SeqLen, tokenizer.Hash())
	}
	for _, m := range mixture {
		key += fmt.Sprintf(" %s=%d", m.Corpus.Hash, m.Share)
	}
	return r.kept().datasets.get(key, func() (*data.Dataset, error) {
		if tokenizer == nil {
			var err error
			if tokenizer, err = tokens.Learn(ctx, corpus, learned, r.CacheDir); err != nil {
				return nil, err
			}
		}
		dataset, err := data.NewDataset(ctx, corpus, tokenizer, d.SeqLen, r.CacheDir, progress)
		if err != nil {
			return nil, err
		}
		for _, m := range mixture {
			if err := dataset.Mix(ctx, m.Corpus, m.Share, r.CacheDir, progress); err != nil {
				return nil, errors.Join(err, dataset.Close())
			}
		}
		if progress == nil && dataset.Unknown.Share() >= tokens.Considerable {
			log.Print(dataset.Unknown) // whoever watches is told by the dataset
		}
		return dataset, nil
	})
}

// withinBudget returns the user's error for texts that have more words together than training.word_budget says.
func withinBudget(d *data.Dataset, budget int) error {
	words := d.Corpus.Stats.Total().Words
	for _, m := range d.Mixed {
		words += m.Corpus.Stats.Total().Words
	}
	if budget == 0 || words <= int64(budget) {
		return nil
	}
	return usererr.New("the text has %s words, and training.word_budget allows %s; train on less text, or set the budget higher",
		humanize.Comma(words), humanize.Comma(int64(budget)))
}

// learnedTokenizer says what tokenizer d wants to be learned.
func learnedTokenizer(d metro.Data) tokens.Options {
	o := tokens.Options{VocabSize: d.VocabSize, Lowercase: d.Lowercase, Alphabet: d.Alphabet, LongestWord: d.LongestWord}
	if d.Tokenizer != metro.TokenizerWordPiece {
		o.Model, o.SentencePiece = "BPE", d.Tokenizer == metro.TokenizerSentencePiece
	}
	return o
}

// OpenCorpus prepares the text that configs read whose data.corpus is empty, or this one. The runner's cache is used if o
// names none.
func (r *Runner) OpenCorpus(ctx context.Context, spec string, o text.Options) (err error) {
	o.CacheDir = cmp.Or(o.CacheDir, r.CacheDir)
	r.Corpus, err = r.corpora.get(corpusKey(metro.Data{Corpus: spec, Field: o.Field, Files: strings.Join(o.Files, ",")}), func() (*text.Corpus, error) {
		return text.PrepareWith(ctx, spec, o)
	})
	return err
}

func corpusKey(d metro.Data) string {
	return fmt.Sprintf("%q %q %q %g", d.Corpus, d.Field, d.Files, d.NearDuplicates)
}

// corpus is the text that a config names, or the runner's own, without what the config leaves out.
func (r *Runner) corpus(ctx context.Context, d metro.Data) (*text.Corpus, error) {
	return r.oneOf(ctx, d, d.Mixture != "")
}

// oneOf is corpus of a text by itself, or of one among those of a mixture, which share what d.Files says.
func (r *Runner) oneOf(ctx context.Context, d metro.Data, among bool) (*text.Corpus, error) {
	return r.corpora.get(corpusKey(d), func() (*text.Corpus, error) {
		ends, err := text.Ends(d.Files)
		if err != nil {
			return nil, err
		}
		options := text.Options{Field: d.Field, Files: ends, Among: among, CacheDir: r.CacheDir}
		if threshold := d.NearDuplicates; threshold > 0 {
			d.NearDuplicates = 0
			whole, err := r.oneOf(ctx, d, among)
			if err != nil {
				return nil, err
			}
			return whole.WithoutNeighbours(ctx, threshold, options)
		}
		if d.Corpus == "" {
			if r.Corpus == nil {
				return nil, usererr.New("there is no text to train on: data.corpus is empty, and the program has not opened one")
			}
			if d.Files != "" {
				return nil, usererr.New("data.files says which files of data.corpus are text, and data.corpus is empty; name one")
			}
			return r.Corpus, r.Corpus.RequireField(d.Field)
		}
		corpus, err := text.PrepareWith(ctx, d.Corpus, options)
		if err != nil {
			return nil, fmt.Errorf("data.corpus: %w", err)
		}
		for _, note := range corpus.Notes {
			log.Print(note)
		}
		return corpus, nil
	})
}

// mixture is the texts that a config mixes into its own, without what is too much like what is held out of that.
func (r *Runner) mixture(ctx context.Context, d metro.Data, own *text.Corpus) ([]data.Mixed, error) {
	texts, err := metro.ParseMixture(d.Mixture)
	if err != nil {
		return nil, err
	}
	mixture := make([]data.Mixed, len(texts))
	for i, t := range texts {
		corpus, err := r.oneOf(ctx, metro.Data{Corpus: t.Corpus, Field: t.Field, Files: d.Files}, true)
		if err == nil && d.NearDuplicates > 0 {
			key := fmt.Sprintf("%s without %s %g", corpus.Hash, own.Hash, d.NearDuplicates)
			corpus, err = r.corpora.get(key, func() (*text.Corpus, error) {
				return corpus.WithoutNeighboursOf(ctx, own, d.NearDuplicates, text.Options{CacheDir: r.CacheDir})
			})
		}
		if err != nil {
			return nil, fmt.Errorf("data.mixture: %w", err)
		}
		mixture[i] = data.Mixed{Corpus: corpus, Share: t.Share}
	}
	return mixture, nil
}

func (r *Runner) heldOut(dataset *data.Dataset, c metro.Config) (*HeldOut, error) {
	text, err := r.kept().frozenTexts.get(dataset.Corpus.Hash, func() (*data.FrozenText, error) { return data.FreezeText(dataset.Corpus) })
	if err != nil {
		return nil, err
	}
	key := fmt.Sprint(dataset.Corpus.Hash, dataset.Tokenizer.Hash(), c.Data.SeqLen, c.Evaluation.Rows, c.Masking)
	return r.kept().heldOuts.get(key, func() (*HeldOut, error) { return NewHeldOut(c, dataset, text) })
}
