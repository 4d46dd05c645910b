// SPDX-License-Identifier: Apache-2.0

package data

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"metrolab/internal/usererr"
	"metrolab/metro/text"
	"metrolab/metro/tokens/wordpiece"
)

// Dataset is a corpus read through a tokenizer: token rows of each split.
type Dataset struct {
	Corpus    *text.Corpus
	Tokenizer *wordpiece.Tokenizer

	Train, Validation, Test *Rows

	Vocab         int // V; every id is below it
	PadID, MaskID int32

	counts func() (*Counts, error)
}

// LearnTokenizer returns the WordPiece tokenizer learned from the training split of corpus, from cacheDir if it was
// learned before. vocabSize is what is asked for: the whole alphabet is kept, so a small one comes out larger.
func LearnTokenizer(ctx context.Context, corpus *text.Corpus, vocabSize int, lowercase bool, cacheDir string) (*wordpiece.Tokenizer, error) {
	path := filepath.Join(cacheDir, "tokenizers", fmt.Sprintf("%s-%d-%t.json", corpus.Hash[:16], vocabSize, lowercase))
	if t, err := wordpiece.Load(path); err == nil {
		return t, nil
	}
	var reading error
	t, err := wordpiece.Train(corpus.Texts(ctx, text.Train, &reading), wordpiece.Options{VocabSize: vocabSize, Lowercase: lowercase})
	if err = errors.Join(reading, err); err != nil {
		return nil, fmt.Errorf("learn a tokenizer from %s: %w", corpus.Name, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("keep the tokenizer: %w", err)
	}
	if err := t.Save(path); err != nil {
		return nil, err
	}
	return t, nil
}

// NewDataset opens the rows of corpus under tokenizer, seqLen tokens each. The first call for a pair of them writes
// its token files to cacheDir, calling progress (nil for none) with the bytes of text done and their total; they are
// used again later. A split without a single row is the user's mistake.
func NewDataset(ctx context.Context, corpus *text.Corpus, tokenizer *wordpiece.Tokenizer, seqLen int, cacheDir string, progress func(done, total int)) (*Dataset, error) {
	dir := filepath.Join(cacheDir, "tokens", corpus.Hash[:16]+"-"+tokenizer.Hash()[:16])
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := writeTokens(ctx, corpus, tokenizer, dir, progress); err != nil {
			return nil, fmt.Errorf("tokenize %s: %w", corpus.Name, err)
		}
	}
	special := tokenizer.Special()
	d := &Dataset{
		Corpus: corpus, Tokenizer: tokenizer,
		Vocab: tokenizer.VocabSize(), PadID: special.PAD, MaskID: special.MASK,
	}
	for i, rows := range []**Rows{&d.Train, &d.Validation, &d.Test} {
		split := text.Splits[i]
		var err error
		if *rows, err = OpenRows(tokenPath(dir, split), seqLen, special.CLS, special.PAD); err != nil {
			return nil, err
		}
		if (*rows).Len() == 0 {
			return nil, usererr.New("the %s split of %s is empty: the corpus has %d documents, which is too few", split, corpus.Source, corpus.Stats.Total().Documents)
		}
	}
	d.counts = sync.OnceValues(func() (*Counts, error) { return CountTokens(d.Train, d.Vocab, d.Maskable) })
	return d, nil
}

// Close closes the token files. The dataset must not be read any more.
func (d *Dataset) Close() error {
	return errors.Join(d.Train.Close(), d.Validation.Close(), d.Test.Close())
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
			return usererr.New("this corpus is too small (%s): its %s split has %d rows of %d tokens, %s asks for %d; use more text, or set it lower",
				d.Corpus.Source, need.split, have, need.rows.SeqLen, need.field, need.want)
		}
	}
	return nil
}

func tokenPath(dir string, split text.Split) string { return filepath.Join(dir, string(split)+".u32") }

// writeTokens makes the token files of all splits aside and moves them into dir at once.
func writeTokens(ctx context.Context, corpus *text.Corpus, tokenizer *wordpiece.Tokenizer, dir string, progress func(done, total int)) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), "tmp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	done, total := 0, int(corpus.Stats.Total().Bytes)
	for _, split := range text.Splits {
		err := writeSplit(ctx, corpus, split, tokenizer, tokenPath(temp, split), func(n int) {
			if done += n; progress != nil {
				progress(done, total)
			}
		})
		if err != nil {
			return err
		}
	}
	if err := os.Rename(temp, dir); err != nil {
		if _, found := os.Stat(dir); found == nil {
			return nil // another process was faster; equal inputs give equal files
		}
		return err
	}
	return nil
}

func writeSplit(ctx context.Context, corpus *text.Corpus, split text.Split, tokenizer *wordpiece.Tokenizer, path string, wrote func(textBytes int)) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriterSize(file, 1<<18)
	special := tokenizer.Special()
	var ids []int32
	var buf []byte
	var reading error
	for t := range corpus.Texts(ctx, split, &reading) {
		ids = tokenizer.EncodeIDs(ids[:0], t)
		for i, id := range ids {
			if tokenizer.IsSpecial(id) {
				ids[i] = special.UNK // text that spells [PAD] or [MASK] must not act as one
			}
		}
		ids = append(ids, special.SEP)
		buf = buf[:0]
		for _, id := range ids {
			buf = binary.LittleEndian.AppendUint32(buf, uint32(id))
		}
		if _, err := out.Write(buf); err != nil {
			return err
		}
		wrote(len(t))
	}
	return errors.Join(reading, out.Flush(), file.Sync(), file.Close())
}
