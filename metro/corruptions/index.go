// SPDX-License-Identifier: Apache-2.0

package corruptions

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"

	"metrolab/internal/bounded"
	"metrolab/internal/shards"
)

// Made says what corruptions were made of and for which rows. Two that are equal, of one generator, are the same corruptions.
type Made struct {
	Generator string            `json:"generator"` // hash of its weights
	Corpus    string            `json:"corpus"`    // content hashes
	Mixture   []Mixed           `json:"mixture,omitempty"`
	Tokenizer string            `json:"tokenizer"`
	Settings  map[string]string `json:"settings"` // by path, what of the config decides rows, positions and draws
	Backend   string            `json:"backend"`  // kind of the engine that they were drawn on
	Numerics  int               `json:"numerics_version"`

	Vocab   int `json:"vocab"` // rows of the token table; every id is below it
	Steps   int `json:"steps"`
	Batch   int `json:"batch_size"` // B, rows of a step
	Slots   int `json:"slots"`      // P, of a row
	HeldOut int `json:"held_out"`   // rows of the validation split

	// Top is the number of logits of a slot that are kept, in the place of a sample: then the rows are a [Distribution] a slot,
	// from which any temperature draws. 0 keeps samples.
	Top int `json:"top,omitempty"`
}

// Mixed is a text that is mixed into the corpus.
type Mixed struct {
	Corpus string `json:"corpus"`
	Share  int    `json:"share"`
}

// Rows is the number of rows: those of all steps, and those that are held out.
func (m Made) Rows() int { return m.Steps*m.Batch + m.HeldOut }

// index is the file that says what lies in a folder.
type index struct {
	Format string  `json:"format"`
	Made   Made    `json:"made"`
	Loss   Loss    `json:"loss,omitempty"`
	Width  int     `json:"id_bytes"`
	Length int     `json:"shard_rows"` // of every shard but the last
	Shards []shard `json:"shards"`
	Sum    string  `json:"sha256"` // of the index without it
}

type shard struct {
	Rows   int    `json:"rows"`
	SHA256 string `json:"sha256"`
}

const (
	indexFormat  = "metrolab corruptions 1"
	indexFile    = "corruptions.json"
	partialFile  = "corruptions.partial.json"
	indexLimit   = 64 << 20 // bytes
	widest16bits = math.MaxUint16 + 1
	noPosition   = math.MaxUint16
	shardBytes   = 4 << 20 // at most, but for one step that is longer
	leastShards  = 64      // so that a stop loses little
	positionSize = 2
)

func newIndex(m Made) index {
	ix := index{Format: indexFormat, Made: m, Width: 2}
	if m.Vocab > widest16bits {
		ix.Width = 4
	}
	ix.Length = max(1, min(shardBytes/ix.rowSize(), m.Rows()/leastShards)/m.Batch) * m.Batch // whole steps
	return ix
}

// rowSize is in bytes.
func (ix index) rowSize() int { return ix.Made.Slots * ix.slotSize() }

func (ix index) slotSize() int {
	if top := ix.Made.Top; top > 0 {
		return positionSize + tailSize + top*(ix.Width+halfSize)
	}
	return positionSize + ix.Width
}

func (ix index) rows() (n int) {
	for _, s := range ix.Shards {
		n += s.Rows
	}
	return n
}

func shardPath(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("%05d.rows", i)) }

// encode is the file of an index.
func (ix index) encode() ([]byte, error) { return shards.Seal(&ix, &ix.Sum) }

func readIndex(path string) (index, error) {
	raw, err := bounded.ReadFile(path, indexLimit)
	if err != nil {
		return index{}, err
	}
	ix, err := decode(raw)
	if err != nil {
		return index{}, fmt.Errorf("%s %w", path, err)
	}
	return ix, nil
}

// decode reads an index as it was written; any other is an error.
func decode(raw []byte) (index, error) {
	var ix index
	if err := json.Unmarshal(raw, &ix); err != nil {
		return index{}, fmt.Errorf("is no index of corruptions: %w", err)
	}
	if ix.Format != indexFormat {
		return index{}, fmt.Errorf("has the format %q, this program reads %q", ix.Format, indexFormat)
	}
	if err := shards.CheckSeal(raw, &ix, &ix.Sum); err != nil {
		return index{}, err
	}
	m := ix.Made
	whole := func(n int) bool { return n >= 1 && n <= math.MaxInt32 }
	if !whole(m.Vocab) || !whole(m.Steps) || !whole(m.Batch) || !whole(m.Slots) || m.HeldOut < 0 || m.HeldOut > math.MaxInt32 {
		return index{}, fmt.Errorf("says %d steps of %d rows of %d slots over %d tokens, and %d rows held out", m.Steps, m.Batch, m.Slots, m.Vocab, m.HeldOut)
	}
	if m.Top < 0 || m.Top > m.Vocab {
		return index{}, fmt.Errorf("says the logits of %d of %d tokens", m.Top, m.Vocab)
	}
	if same := newIndex(m); ix.Width != same.Width || !whole(ix.Length) {
		return index{}, fmt.Errorf("says shards of %d rows, with ids of %d bytes", ix.Length, ix.Width)
	}
	for i, s := range ix.Shards {
		if last := i == len(ix.Shards)-1; s.Rows < 1 || s.Rows > ix.Length || !last && s.Rows < ix.Length {
			return index{}, fmt.Errorf("says %d rows of shard %d", s.Rows, i)
		}
	}
	return ix, nil
}
