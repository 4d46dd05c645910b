// SPDX-License-Identifier: Apache-2.0

package corruptions

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"

	"github.com/gomlx/compute/dtypes/float16"

	"metrolab/internal/atomicfile"
	"metrolab/internal/shards"
	"metrolab/internal/usererr"
)

// Writer writes corruptions row by row. What was written before a program was killed stays: the next one goes on behind the last
// whole shard.
type Writer struct {
	dir  string
	ix   index
	rows []byte // of the shard under way
	done bool
}

// Create begins to write what made says to dir, or goes on with it. A folder with anything else in it, other corruptions say, is the
// user's error, and is left as it is.
func Create(dir string, made Made) (*Writer, error) {
	w := &Writer{dir: dir, ix: newIndex(made)}
	for _, file := range []string{indexFile, partialFile} {
		ix, err := readIndex(filepath.Join(dir, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, usererr.New("%w; remove the folder, or write to another", err)
		}
		if path := difference(ix.Made, made); path != "" {
			return nil, usererr.New("%s holds other corruptions: %s; write to another folder", dir, path)
		}
		w.ix.Loss = ix.Loss
		w.ix.Length, w.ix.Shards, w.done = ix.Length, ix.Shards, file == indexFile
		return w, w.keepWhole()
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, usererr.New("%s is not empty, and holds no corruptions; write to another folder", dir)
	}
	return w, atomicfile.MkdirAll(dir)
}

// keepWhole forgets the shards from the first damaged one on, which are made again.
func (w *Writer) keepWhole() error {
	for i, s := range w.ix.Shards {
		if err := shards.Verify(shardPath(w.dir, i), s.SHA256); err != nil {
			if errors.Is(err, fs.ErrPermission) {
				return usererr.New("%w", err)
			}
			w.ix.Shards, w.done = w.ix.Shards[:i], false
			break
		}
	}
	return nil
}

// difference says in what two are unlike, the backend aside; "" if in nothing.
func difference(there, here Made) string {
	for path := range here.Settings {
		if a, b := there.Settings[path], here.Settings[path]; a != b {
			return path + " is " + orNothing(a) + " there, and " + orNothing(b) + " here"
		}
	}
	for path, a := range there.Settings {
		if _, ok := here.Settings[path]; !ok {
			return path + " is " + a + " there, and not set here"
		}
	}
	there.Settings, here.Settings = nil, nil
	switch {
	case there.Generator != here.Generator:
		return "they are of another generator"
	case there.Corpus != here.Corpus || !reflect.DeepEqual(there.Mixture, here.Mixture):
		return "they are of another text"
	case there.Tokenizer != here.Tokenizer:
		return "they are of another tokenizer"
	case there.Backend != here.Backend:
		return "they were begun on the backend " + there.Backend + ", and this one is " + here.Backend
	case !reflect.DeepEqual(there, here):
		return "they have other sizes, or are of another version of this program"
	}
	return ""
}

func orNothing(value string) string {
	if value == "" {
		return "not set"
	}
	return value
}

// Rows returns how many rows are written, from the first on: those that need not be made again.
func (w *Writer) Rows() int { return w.ix.rows() + len(w.rows)/w.ix.rowSize() }

// Done reports whether all rows are written.
func (w *Writer) Done() bool { return w.done }

// Add writes further rows: positions and samples, [n, P], weights, [n, P], being 0 at slots that hold nothing.
func (w *Writer) Add(positions, samples []int32, weights []float32) error {
	return w.slots(positions, weights, func(i int) {
		id := samples[i]
		if weights[i] == 0 {
			id = 0
		}
		w.id(id)
	})
}

// AddDistributions is [Writer.Add] where logits are kept, [n, P]; of slots that hold nothing, the zero Distribution will do.
func (w *Writer) AddDistributions(positions []int32, slots []Distribution, weights []float32) error {
	return w.slots(positions, weights, func(i int) {
		d := slots[i]
		w.rows = binary.LittleEndian.AppendUint32(w.rows, math.Float32bits(d.Tail))
		for k := range w.ix.Made.Top {
			if k < len(d.IDs) {
				w.id(d.IDs[k])
				w.rows = binary.LittleEndian.AppendUint16(w.rows, float16.FromFloat32(d.LogP[k]).Bits())
			} else {
				w.id(0)
				w.rows = binary.LittleEndian.AppendUint16(w.rows, 0)
			}
		}
	})
}

// SetLoss writes down what is lost by leaving logits out.
func (w *Writer) SetLoss(loss Loss) { w.ix.Loss = loss }

// slots writes a position for each slot, and what add adds to it.
func (w *Writer) slots(positions []int32, weights []float32, add func(i int)) error {
	for i, at := range positions {
		if weights[i] == 0 {
			at = noPosition
		}
		w.rows = binary.LittleEndian.AppendUint16(w.rows, uint16(at))
		add(i)
		if len(w.rows) == w.ix.Length*w.ix.rowSize() {
			if err := w.cut(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *Writer) id(id int32) {
	if w.ix.Width == 2 {
		w.rows = binary.LittleEndian.AppendUint16(w.rows, uint16(id))
	} else {
		w.rows = binary.LittleEndian.AppendUint32(w.rows, uint32(id))
	}
}

// Finish writes the rest, and the index.
func (w *Writer) Finish() error {
	if w.done {
		return nil
	}
	if len(w.rows) > 0 {
		if err := w.cut(); err != nil {
			return err
		}
	}
	if err := w.write(indexFile); err != nil {
		return err
	}
	w.done = true
	return atomicfile.OS.RemoveAll(filepath.Join(w.dir, partialFile))
}

// cut ends a shard.
func (w *Writer) cut() error {
	if err := atomicfile.WriteFile(shardPath(w.dir, len(w.ix.Shards)), w.rows); err != nil {
		return err
	}
	sum := sha256.Sum256(w.rows)
	w.ix.Shards = append(w.ix.Shards, shard{len(w.rows) / w.ix.rowSize(), hex.EncodeToString(sum[:])})
	w.rows = w.rows[:0]
	return w.write(partialFile)
}

func (w *Writer) write(file string) error {
	raw, err := w.ix.encode()
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(w.dir, file), raw)
}
