// SPDX-License-Identifier: Apache-2.0

package corruptions

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/gomlx/compute/dtypes/float16"

	"metrolab/internal/shards"
	"metrolab/internal/usererr"
)

// About is what the index of a folder says.
type About struct {
	Made
	Loss  Loss   // of logits that were kept
	Hash  string // of the index, which holds the checksums of all shards: equal hashes, equal corruptions
	Bytes int64  // of the shards
}

// Look reads the index of the corruptions in dir. A folder that holds none, or not all of them yet, is the user's error.
func Look(dir string) (About, error) {
	ix, err := look(dir)
	if err != nil {
		return About{}, err
	}
	return ix.about(), nil
}

func (ix index) about() About {
	return About{Made: ix.Made, Loss: ix.Loss, Hash: ix.Sum, Bytes: int64(ix.rows()) * int64(ix.rowSize())}
}

func look(dir string) (index, error) {
	ix, err := readIndex(filepath.Join(dir, indexFile))
	if errors.Is(err, fs.ErrNotExist) {
		if part, err := readIndex(filepath.Join(dir, partialFile)); err == nil {
			return ix, usererr.New("the corruptions in %s have %d of %d rows; give the metro corrupt command again, which goes on", dir, part.rows(), part.Made.Rows())
		}
		return ix, usererr.New("%s holds no corruptions: there is no %s in it; metro corrupt writes such a folder", dir, indexFile)
	}
	if err == nil && ix.rows() != ix.Made.Rows() {
		err = fmt.Errorf("%s says %d rows in its shards, and %d in all", filepath.Join(dir, indexFile), ix.rows(), ix.Made.Rows())
	}
	if err != nil {
		return ix, damaged(dir, err)
	}
	return ix, nil
}

// damaged says what can be done about it.
func damaged(dir string, err error) error {
	if errors.Is(err, os.ErrPermission) {
		return usererr.New("%w", err)
	}
	return usererr.New("the corruptions in %s are damaged: %w; give the metro corrupt command that made them again, which mends them", dir, err)
}

// Reader reads corruptions, which are mapped into memory where the system can do that. It may be used from several goroutines.
type Reader struct {
	About
	dir   string
	ix    index
	files shards.Files
}

// Open opens the corruptions in dir, after a look at their checksums. The caller closes them.
func Open(dir string) (*Reader, error) {
	ix, err := look(dir)
	if err != nil {
		return nil, err
	}
	r := &Reader{About: ix.about(), dir: dir, ix: ix}
	for i, s := range ix.Shards {
		path := shardPath(dir, i)
		err := shards.Verify(path, s.SHA256)
		if err == nil {
			err = r.files.Open(path, s.Rows*ix.rowSize())
		}
		if err != nil {
			return nil, errors.Join(damaged(dir, err), r.Close())
		}
	}
	return r, nil
}

// Step returns what was drawn for the rows of a training step, 0, 1, …: samples, [B, P]. Its positions must be those of the rows that
// they are for, [B, P], where weights, [B, P], are not 0.
func (r *Reader) Step(step int, positions []int32, weights []float32) ([]int32, error) {
	if step < 0 || step >= r.Steps {
		return nil, fmt.Errorf("step %d of %s: it has %d", step, r.dir, r.Steps)
	}
	return r.samples(step*r.Batch, positions, weights)
}

// HeldOutRows is [Reader.Step] of rows of the validation split, from one on.
func (r *Reader) HeldOutRows(first int, positions []int32, weights []float32) ([]int32, error) {
	if n := len(positions) / r.Slots; first < 0 || first+n > r.HeldOut {
		return nil, fmt.Errorf("held-out rows %d to %d of %s: it has %d", first, first+n, r.dir, r.HeldOut)
	}
	return r.samples(r.Steps*r.Batch+first, positions, weights)
}

// samples reads from one row on.
func (r *Reader) samples(row int, positions []int32, weights []float32) ([]int32, error) {
	if r.Top > 0 {
		return nil, usererr.New("%s holds logits, from which nothing is drawn yet; name it as --source of metro corrupt", r.dir)
	}
	samples := make([]int32, len(positions))
	err := r.slots(row, positions, weights, func(i int, slot []byte) (err error) {
		samples[i], err = r.id(slot)
		return err
	})
	return samples, err
}

// Distributions returns what was kept of the logits of rows, from one on, whose positions and weights are those of
// [Reader.Step]. The rows of the validation split come behind those of all steps.
func (r *Reader) Distributions(row int, positions []int32, weights []float32) ([]Distribution, error) {
	if n := len(positions) / r.Slots; r.Top == 0 || row < 0 || row+n > r.Rows() {
		return nil, fmt.Errorf("logits of rows %d to %d of %s: it has %d logits a slot of %d rows", row, row+n, r.dir, r.Top, r.Rows())
	}
	list := make([]Distribution, len(positions))
	err := r.slots(row, positions, weights, func(i int, slot []byte) (err error) {
		d := Distribution{Tail: math.Float32frombits(binary.LittleEndian.Uint32(slot)), IDs: make([]int32, r.Top), LogP: make([]float32, r.Top)}
		slot = slot[tailSize:]
		for k := range r.Top {
			if d.IDs[k], err = r.id(slot); err != nil {
				return err
			}
			d.LogP[k] = float16.FromBits(binary.LittleEndian.Uint16(slot[r.ix.Width:])).Float32()
			slot = slot[r.ix.Width+halfSize:]
		}
		list[i] = d
		return nil
	})
	return list, err
}

// slots visits the slots of rows from one on, whose positions must be those that they were made for.
func (r *Reader) slots(row int, positions []int32, weights []float32, visit func(i int, slot []byte) error) error {
	raw, err := r.read(row, len(positions)/r.Slots)
	if err != nil {
		return err
	}
	for i, want := range positions {
		slot := raw[i*r.ix.slotSize():]
		if weights[i] == 0 {
			want = noPosition
		}
		if at := int32(binary.LittleEndian.Uint16(slot)); at != want {
			return usererr.New("row %d of %s was drawn for other masked positions (%d where the run has %d): the text, the seed or the masks are not those that it was made with",
				row+i/r.Slots, r.dir, at, positions[i])
		}
		if err := visit(i, slot[positionSize:]); err != nil {
			return damaged(r.dir, fmt.Errorf("row %d: %w", row+i/r.Slots, err))
		}
	}
	return nil
}

// id reads a token, which must be in the vocabulary.
func (r *Reader) id(raw []byte) (int32, error) {
	id := uint32(binary.LittleEndian.Uint16(raw))
	if r.ix.Width == 4 {
		id = binary.LittleEndian.Uint32(raw)
	}
	if uint64(id) >= uint64(r.Vocab) {
		return 0, fmt.Errorf("it has the token %d, and the vocabulary has %d", id, r.Vocab)
	}
	return int32(id), nil
}

// read returns the bytes of n rows.
func (r *Reader) read(row, n int) ([]byte, error) {
	size := r.ix.rowSize()
	raw := make([]byte, n*size)
	for done := 0; done < n; {
		i, at := (row+done)/r.ix.Length, (row+done)%r.ix.Length
		some := min(n-done, r.ix.Shards[i].Rows-at)
		if err := r.files.ReadAt(raw[done*size:(done+some)*size], i, at*size); err != nil {
			return nil, fmt.Errorf("corruptions in %s: %w", r.dir, err)
		}
		done += some
	}
	return raw, nil
}

// Close releases the files.
func (r *Reader) Close() error {
	if err := r.files.Close(); err != nil {
		return fmt.Errorf("close %s: %w", r.dir, err)
	}
	return nil
}
