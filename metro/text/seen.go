// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"

	"metrolab/internal/atomicfile"
)

// refrainBytes is the length from which a paragraph of one's own text must not stand twice. What is shorter fits a line: a refrain,
// a heading, an answer, which the text has as often as it says so.
const refrainBytes = 64

// repeats says by what key a paragraph is known when it comes again; false if it may. The other key is its [textKey].
type repeats func(text string, key uint64) (uint64, bool)

// anyCase has paragraphs stand once that are equal but for the case of their letters.
func anyCase(_ string, key uint64) (uint64, bool) { return key, true }

// exactly has paragraphs stand once that are equal, but for short ones.
func exactly(text string, _ uint64) (uint64, bool) {
	if len(text) < refrainBytes {
		return 0, false
	}
	sum := sha256.Sum256([]byte(text))
	return binary.BigEndian.Uint64(sum[:]), true
}

// keySet is a set of keys that takes the same memory however large it is, some 400 MB at most: the last keys, and, of all
// before, one in keyBlock. These lie in files, sorted.
type keySet struct {
	dir    string // for the files
	most   int    // keys in memory
	recent map[uint64]struct{}
	runs   []*keyRun
}

const (
	keysInMemory = 1 << 24
	keyBlock     = 512 // keys, that are read at a time
)

func newKeySet(dir string) *keySet {
	return &keySet{dir: dir, most: keysInMemory, recent: map[uint64]struct{}{}}
}

// add puts a key into the set and reports whether it was not in there.
func (s *keySet) add(key uint64) (added bool, err error) {
	if _, found := s.recent[key]; found {
		return false, nil
	}
	for _, run := range s.runs {
		if found, err := run.contains(key); found || err != nil {
			return false, err
		}
	}
	s.recent[key] = struct{}{}
	if len(s.recent) < s.most {
		return true, nil
	}
	return true, s.spill()
}

// spill writes the keys in memory to a file.
func (s *keySet) spill() error {
	keys := make([]uint64, 0, len(s.recent))
	for key := range s.recent {
		keys = append(keys, key)
	}
	clear(s.recent)
	slices.Sort(keys)
	path := filepath.Join(s.dir, fmt.Sprintf("keys-%d", len(s.runs)))
	if err := atomicfile.WriteFunc(path, func(w io.Writer) error {
		out := bufio.NewWriterSize(w, 1<<18)
		for _, key := range keys {
			if err := binary.Write(out, binary.LittleEndian, key); err != nil {
				return err
			}
		}
		return out.Flush()
	}); err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	run := &keyRun{file: file, n: len(keys)}
	for at := 0; at < len(keys); at += keyBlock {
		run.first = append(run.first, keys[at])
	}
	s.runs = append(s.runs, run)
	return nil
}

// close removes the files.
func (s *keySet) close() error {
	var errs []error
	for _, run := range s.runs {
		errs = append(errs, run.file.Close(), os.Remove(run.file.Name()))
	}
	s.runs = nil
	return errors.Join(errs...)
}

// keyRun is a file of n sorted keys.
type keyRun struct {
	file  *os.File
	n     int
	first []uint64 // of each block
	block [8 * keyBlock]byte
}

// contains looks for a key in the one block where it can be.
func (r *keyRun) contains(key uint64) (bool, error) {
	at := sort.Search(len(r.first), func(i int) bool { return r.first[i] > key }) - 1
	if at < 0 {
		return false, nil
	}
	n := min(keyBlock, r.n-at*keyBlock)
	if _, err := r.file.ReadAt(r.block[:8*n], int64(at*keyBlock)*8); err != nil {
		return false, err
	}
	_, found := sort.Find(n, func(i int) int {
		switch have := binary.LittleEndian.Uint64(r.block[8*i:]); {
		case key < have:
			return -1
		case key > have:
			return 1
		}
		return 0
	})
	return found, nil
}
