// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log"
	"os"
	"path/filepath"
	"time"

	"metrolab/internal/atomicfile"
	"metrolab/metro/text"
)

// Tokenized is a corpus as ids.
type Tokenized struct {
	Paths   map[text.Split]string // what [OpenStream] opens, of each split
	Unknown Unknown               // of the training split
}

// Tokenize returns the tokens of each split of corpus under tokenizer. The first call for a pair of them writes them to
// cacheDir, on all cores, calling progress (nil for none) with the bytes of text done and their total. One that was ended, by
// whatever, goes on in the next call behind the shards that are whole; its files are those of one that was not. Later calls
// use what is there if it is what it was, and make it anew from the first shard that is not. A cache that cannot be written to
// is the user's error.
func Tokenize(ctx context.Context, corpus *text.Corpus, tokenizer Tokenizer, cacheDir string, progress func(done, total int)) (Tokenized, error) {
	dir := filepath.Join(cacheDir, "tokens", corpus.Hash[:16]+"-"+tokenizer.Hash()[:16])
	for _, below := range []string{filepath.Dir(dir), dir} {
		atomicfile.OS.RemoveOldStrays(below, time.Now())
	}
	if progress == nil {
		progress = func(int, int) {}
	}
	t := Tokenized{Paths: map[text.Split]string{}}
	p := pass{corpus: corpus, tokenizer: tokenizer, progress: progress}
	for _, split := range text.Splits {
		path := filepath.Join(dir, string(split)+indexExt)
		ix, err := p.split(ctx, split, path)
		if err != nil {
			return Tokenized{}, fmt.Errorf("tokenize %s: %w", corpus.Name, text.CacheError(cacheDir, err))
		}
		if split == text.Train {
			t.Unknown = *ix.Unknown
		}
		t.Paths[split] = path
		p.before += corpus.Stats.Splits[split].Bytes
	}
	return t, nil
}

// pass is one call of [Tokenize].
type pass struct {
	corpus    *text.Corpus
	tokenizer Tokenizer
	progress  func(done, total int)
	before    int64 // bytes of the splits that are done
}

// split sees to it that the tokens of a split are there and whole, and returns their index.
func (p *pass) split(ctx context.Context, split text.Split, path string) (index, error) {
	ix, damage := readIndex(path)
	if damage == nil && ix.Length != shardTokens {
		damage = fmt.Errorf("%s is of another length", path)
	}
	n := 0
	if damage == nil {
		if n, damage = ix.whole(path); damage == nil {
			_ = os.Remove(partialPath(path)) // there is one if its writer was killed between the two
			return ix, nil
		}
	}
	w := &shardWriter{path: path, tokenizer: p.tokenizer, ix: newIndex(p.tokenizer.VocabSize())}
	if errors.Is(damage, fs.ErrNotExist) && ix.Shards == nil { // there is no index
		if begun, err := readIndex(partialPath(path)); err == nil && begun.Length == shardTokens {
			ix = begun
			n, _ = ix.whole(path)
		}
	} else {
		log.Printf("%s is made again, it is damaged: %v", path, damage)
	}
	if n > 0 {
		w.ix.Shards = ix.Shards[:n:n]
		w.now.Open = ix.Shards[n-1].Open
	}
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return index{}, err
	}
	if err := p.write(ctx, split, w); err != nil {
		return index{}, err
	}
	if split == text.Train {
		u, err := unknownOf(ctx, p.corpus, p.tokenizer, w.ix)
		if err != nil {
			return index{}, err
		}
		w.ix.Unknown = &u
	}
	return w.ix, w.place()
}

// write writes the shards of a split that are not there yet, the same on any number of cores.
func (p *pass) write(ctx context.Context, split text.Split, w *shardWriter) error {
	of, done := p.corpus.Stats.Splits[split], w.ix.documents()
	total := int(p.corpus.Stats.Total().Bytes)
	there := w.now.Open // tokens of the next document that are in a shard already
	end := []int32{p.tokenizer.Special().SEP}
	var reading error
	err := encoded(p.tokenizer, p.corpus.TextsFrom(ctx, split, done, &reading), func(_ string, ids []int32) error {
		ids = ids[there:]
		there = 0
		if err := w.add(ids); err != nil {
			return err
		}
		if err := w.add(end); err != nil {
			return err
		}
		done++
		p.progress(int(p.before+of.Bytes*int64(done)/max(of.Documents, 1)), total)
		return nil
	})
	if err := errors.Join(reading, err); err != nil {
		return err
	}
	return w.finish()
}

// WriteStream writes ids, a [SEP] behind each document, as [OpenStream] reads them.
func WriteStream(path string, tokenizer Tokenizer, ids iter.Seq[int32]) error {
	w := &shardWriter{path: path, tokenizer: tokenizer, ix: newIndex(tokenizer.VocabSize())}
	for id := range ids {
		if err := w.add([]int32{id}); err != nil {
			return err
		}
	}
	if err := w.finish(); err != nil {
		return err
	}
	return w.place()
}
