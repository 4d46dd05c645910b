// SPDX-License-Identifier: Apache-2.0

// Package shards is what data in several files with an index beside them has in common: an index that holds its own checksum, a
// look at the checksums of files, and files that are mapped into memory, where the system can do that, and read by place.
package shards

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"

	"golang.org/x/exp/mmap"
)

// Seal returns index, a pointer to a struct, as a file of JSON. sum points to the struct's field for the SHA-256 of the index without
// it, which is set.
func Seal(index any, sum *string) ([]byte, error) {
	*sum = ""
	raw, err := json.Marshal(index)
	if err != nil {
		return nil, err
	}
	*sum = hash(raw)
	raw, err = json.MarshalIndent(index, "", " ")
	return append(raw, '\n'), err
}

// CheckSeal looks whether index, as it was read from raw, is what [Seal] returned it in.
func CheckSeal(raw []byte, index any, sum *string) error {
	if again, err := Seal(index, sum); err != nil || !bytes.Equal(again, raw) {
		return errors.New("does not fit its own SHA-256")
	}
	return nil
}

func hash(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// Verify compares the content of a file with its SHA-256.
func Verify(path, want string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("the SHA-256 of %s is %.12s…, its index says %.12s…", path, got, want)
	}
	return nil
}

// Files are files that are read by place, from several goroutines.
type Files struct {
	mu     sync.RWMutex // a map that is closed must not be read
	paths  []string
	maps   []*mmap.ReaderAt
	closed bool
}

// Open adds a file, which must have size bytes.
func (f *Files) Open(path string, size int) error {
	m, err := mmap.Open(path)
	if err != nil {
		return err
	}
	f.paths, f.maps = append(f.paths, path), append(f.maps, m)
	if m.Len() != size {
		return fmt.Errorf("%s has %d bytes, its index says %d", path, m.Len(), size)
	}
	return nil
}

// ReadAt fills raw from a place of the i-th file. What a disk fails to give, or a file that was cut meanwhile, is a fault of memory
// where files are mapped, and would end the process; it is an error. Of files that are closed, the error wraps [os.ErrClosed].
func (f *Files) ReadAt(raw []byte, i, from int) (err error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return os.ErrClosed
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if _, fault := p.(interface{ Addr() uintptr }); fault {
			err = fmt.Errorf("read %s: it is shorter than it was, or its disk fails", f.paths[i])
		} else if p != nil {
			panic(p)
		}
	}()
	if _, err := f.maps[i].ReadAt(raw, int64(from)); err != nil {
		return fmt.Errorf("read %s: %w", f.paths[i], err)
	}
	return nil
}

// Close releases the files. Closed again, the error is [os.ErrClosed].
func (f *Files) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return os.ErrClosed
	}
	f.closed = true
	var errs []error
	for _, m := range f.maps {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}
