// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// WriteFile puts a file with this content in the place of another, or of none. Its folder must be there.
//
// After an error the old file is there, or, if only the sync of the folder failed, the new one.
func (d Disk) WriteFile(path string, data []byte) error { return d.WriteFunc(path, whole(data)) }

// WriteFunc is [Disk.WriteFile] for content that write hands over bit by bit, in pieces of its own choice. An error of
// write leaves the old file in place, and so does a failed write to its argument, whether or not it returns that one.
func (d Disk) WriteFunc(path string, write func(io.Writer) error) error {
	dir := filepath.Dir(path)
	d.RemoveOldStrays(dir, time.Now())
	temp := TempPath(path)
	placed := false
	defer func() {
		if !placed {
			_ = d.RemoveAll(temp)
		}
	}()
	if err := d.create(temp, write); err != nil {
		return err
	}
	if err := d.Rename(temp, path); err != nil {
		return err
	}
	placed = true
	return d.SyncDir(dir)
}

// CreateFile writes a new file, not atomically: it is for those in a folder made aside. It has it on the disk, but for
// its name, when it returns.
func (d Disk) CreateFile(path string, data []byte) error { return d.create(path, whole(data)) }

func whole(data []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

func (d Disk) create(path string, write func(io.Writer) error) (err error) {
	file, err := d.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	out := &stickyWriter{path: path, w: file}
	if err := write(out); err != nil {
		return err
	}
	if out.err != nil {
		return out.err
	}
	return file.Sync()
}

// stickyWriter remembers the first failure, so that none can be overlooked, and writes nothing after it.
type stickyWriter struct {
	path string
	w    io.Writer
	err  error
}

func (s *stickyWriter) Write(p []byte) (n int, err error) {
	if s.err != nil {
		return 0, s.err
	}
	n, s.err = s.w.Write(p)
	if s.err == nil && n < len(p) {
		s.err = fmt.Errorf("write %s: %w", s.path, io.ErrShortWrite)
	}
	return n, s.err
}
