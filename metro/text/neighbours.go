// SPDX-License-Identifier: Apache-2.0

package text

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"unicode"
)

// shingleWords is the number of words in a shingle.
const shingleWords = 5

// indexedShingles bounds the shingles of held-out paragraphs that are in memory at a time, at some 30 bytes each.
const indexedShingles = 4 << 20

// Similarity is how much of two paragraphs is the same: the Jaccard index of their sets of 5 words in a row, case and
// punctuation aside; of a shorter paragraph all of it is the one member. It is 1 for equal sets and 0 for those without a
// member in common.
func Similarity(a, b string) float64 {
	index := newShingleIndex()
	index.add(a)
	best := 0.0
	index.compare(b, func(_ int, similarity float64) { best = similarity })
	return best
}

// Neighbours says how many held-out paragraphs have a training paragraph that is like them.
type Neighbours struct {
	Compared map[Split]int64 // paragraphs of the validation and the test split that were looked at: all, or a sample of a large corpus
	Found    map[Split]int64 // those of them with a neighbour
}

// Neighbours looks for the training paragraphs whose [Similarity] to a held-out one is threshold or more. Of a corpus whose
// held-out splits have more than 4 million words it looks at a sample of them, chosen by their hashes, so that memory is
// bounded. The function progress, which may be nil, hears of the bytes of the training split that were compared.
func (c *Corpus) Neighbours(ctx context.Context, threshold float64, progress func(done, total int)) (Neighbours, error) {
	n := Neighbours{Compared: map[Split]int64{}, Found: map[Split]int64{}}
	words := c.Stats.Splits[Validation].Words + c.Stats.Splits[Test].Words
	oneIn := uint64(1 + words/indexedShingles)
	index := newShingleIndex()
	var splits []Split // of each indexed paragraph
	for _, split := range []Split{Validation, Test} {
		var failure error
		for text := range c.Texts(ctx, split, &failure) {
			if textKey(text)/20%oneIn == 0 { // the rest by 20 has chosen the split
				index.add(text)
				splits = append(splits, split)
				n.Compared[split]++
			}
		}
		if failure != nil {
			return Neighbours{}, failure
		}
	}
	found := make([]bool, len(splits))
	err := c.compareTraining(ctx, index, progress, func(_, heldOut int, similarity float64) {
		if similarity >= threshold && !found[heldOut] {
			found[heldOut] = true
			n.Found[splits[heldOut]]++
		}
	})
	return n, err
}

// compareTraining hands over the similarity of every training paragraph to each indexed one that it shares a shingle with,
// both by their numbers.
func (c *Corpus) compareTraining(ctx context.Context, index *shingleIndex, progress func(done, total int), hear func(training, indexed int, similarity float64)) error {
	var failure error
	done, total, at := 0, int(c.Stats.Splits[Train].Bytes), 0
	for text := range c.Texts(ctx, Train, &failure) {
		index.compare(text, func(indexed int, similarity float64) { hear(at, indexed, similarity) })
		at++
		if done += len(text); progress != nil {
			progress(done, total)
		}
	}
	return failure
}

// WithoutNeighbours returns the corpus without the training paragraphs whose [Similarity] to a held-out one is threshold
// or more: made on the first call, found in the cache later. The held-out splits stay as they are.
func (c *Corpus) WithoutNeighbours(ctx context.Context, threshold float64, o Options) (*Corpus, error) {
	return c.WithoutNeighboursOf(ctx, c, threshold, o)
}

// WithoutNeighboursOf is [Corpus.WithoutNeighbours] with the held-out paragraphs of another corpus.
func (c *Corpus) WithoutNeighboursOf(ctx context.Context, heldOut *Corpus, threshold float64, o Options) (*Corpus, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	key := fmt.Sprintf("neighbours %d %v %g", extractorVersion, c.files, threshold)
	if heldOut.Hash != c.Hash {
		key += " of " + heldOut.Hash
	}
	src := source{
		key: key,
		fill: func(ctx context.Context, dir string, progress func(done, total int)) error {
			return c.fillWithoutNeighbours(ctx, heldOut, threshold, dir, progress)
		},
	}
	return store{filepath.Join(o.CacheDir, "corpora")}.corpus(ctx, src, o.Progress)
}

func (c *Corpus) fillWithoutNeighbours(ctx context.Context, heldOut *Corpus, threshold float64, dir string, progress func(done, total int)) error {
	drop, err := c.neighbours(ctx, heldOut, threshold, progress)
	if err != nil {
		return err
	}
	b, err := newBuilder(dir, nil)
	if err != nil {
		return err
	}
	defer b.close()
	b.stats = c.Stats
	for _, split := range Splits {
		at := -1
		for doc, err := range c.Documents(split) {
			if err != nil {
				return err
			}
			if at++; split == Train && drop[at] {
				b.stats.Neighbours++
			} else if err := b.add(doc.Text, doc.Label); err != nil {
				return err
			}
		}
	}
	return b.finish(manifest{
		Name: c.Name, Source: fmt.Sprintf("%s, without the training paragraphs that are near-duplicates (%g) of held-out ones", c.Source, threshold),
		Field: c.Field, Notes: c.Notes,
	})
}

// neighbours marks the training paragraphs that are like a held-out one. It goes through them once for each part of the
// held-out splits that fits the bound on memory.
func (c *Corpus) neighbours(ctx context.Context, heldOut *Corpus, threshold float64, progress func(done, total int)) ([]bool, error) {
	drop := make([]bool, c.Stats.Splits[Train].Documents)
	index := newShingleIndex()
	pass := func() error {
		err := c.compareTraining(ctx, index, progress, func(training, _ int, similarity float64) {
			drop[training] = drop[training] || similarity >= threshold
		})
		index = newShingleIndex()
		return err
	}
	for _, split := range []Split{Validation, Test} {
		var failure error
		for text := range heldOut.Texts(ctx, split, &failure) {
			if index.add(text); len(index.entries) >= indexedShingles {
				if err := pass(); err != nil {
					return nil, err
				}
			}
		}
		if failure != nil {
			return nil, failure
		}
	}
	return drop, pass()
}

// shingleIndex finds the texts that share shingles with another.
type shingleIndex struct {
	first   map[uint64]int32 // shingle → the last entry that was made for it
	entries []shingleEntry
	sizes   []int32 // shingles of each text

	shingles, words []uint64 // of the text at hand
	common          []int32  // shingles that each indexed text shares with it
	touched         []int32  // the texts that share any
}

type shingleEntry struct {
	text int32
	next int32 // the entry before it for the same shingle; −1 if there is none
}

func newShingleIndex() *shingleIndex { return &shingleIndex{first: map[uint64]int32{}} }

func (x *shingleIndex) add(text string) {
	x.cut(text)
	for _, s := range x.shingles {
		next, ok := x.first[s]
		if !ok {
			next = -1
		}
		x.first[s] = int32(len(x.entries))
		x.entries = append(x.entries, shingleEntry{int32(len(x.sizes)), next})
	}
	x.sizes = append(x.sizes, int32(len(x.shingles)))
	x.common = append(x.common, 0)
}

// compare hands over the similarity of text to every indexed one that shares a shingle with it.
func (x *shingleIndex) compare(text string, hear func(indexed int, similarity float64)) {
	x.cut(text)
	for _, s := range x.shingles {
		at, ok := x.first[s]
		for ; ok && at >= 0; at = x.entries[at].next {
			i := x.entries[at].text
			if x.common[i]++; x.common[i] == 1 {
				x.touched = append(x.touched, i)
			}
		}
	}
	for _, i := range x.touched {
		common := x.common[i]
		hear(int(i), float64(common)/float64(x.sizes[i]+int32(len(x.shingles))-common))
		x.common[i] = 0
	}
	x.touched = x.touched[:0]
}

// cut finds the different shingles of a text, as hashes.
func (x *shingleIndex) cut(text string) {
	x.shingles = x.shingles[:0]
	x.cutWords(text)
	for at := 0; at == 0 || at+shingleWords <= len(x.words); at++ {
		h := uint64(0)
		for _, w := range x.words[at:min(at+shingleWords, len(x.words))] {
			h = (h ^ w) * 0x9E3779B97F4A7C15
			h ^= h >> 29
		}
		x.shingles = append(x.shingles, h)
	}
	slices.Sort(x.shingles)
	x.shingles = slices.Compact(x.shingles)
}

// cutWords finds the words of a text, as FNV-1a hashes: runs of letters and digits, and each letter of a script that has no
// spaces.
func (x *shingleIndex) cutWords(text string) {
	const offset, prime = 14695981039346656037, 1099511628211
	x.words = x.words[:0]
	word := uint64(offset)
	end := func() {
		if word != offset {
			x.words = append(x.words, word)
		}
		word = offset
	}
	for _, r := range text {
		alone := r > 0xE00 && unicode.In(r, spaceless...)
		if r = unicode.ToLower(r); alone || !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			end()
		}
		if alone || unicode.IsLetter(r) || unicode.IsDigit(r) {
			word = (word ^ uint64(r)) * prime
		}
		if alone {
			end()
		}
	}
	end()
}

var spaceless = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar}
