// SPDX-License-Identifier: Apache-2.0

package faultfs

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"metrolab/internal/atomicfile"
)

// Killed runs f as in a process that is killed in the middle of change number at to the operating system's files (1, 2, …):
// a write is half done, nothing else is, and nothing after it. It returns the number of changes that f has tried and its
// error, or, if there were fewer, what f returned untouched. Only what [atomicfile.OS] writes counts; tests that call Killed
// must not run in parallel to others.
func Killed(at int, f func() error) (changes int, err error) {
	return watched(f, func(change int, op, _ string) (half bool, err error) {
		if change >= at {
			err = errDead
		}
		return change == at, err
	}, false)
}

// Failing is [Killed] for a process that lives on: change number at fails with the error, after half of it if it is a write,
// and what comes after it works. Syncs are changes, too. [io.ErrShortWrite] is a write of which half is done and no error
// given; at another change nothing fails.
func Failing(at int, fault error, f func() error) (changes int, err error) {
	return watched(f, func(change int, op, path string) (half bool, err error) {
		switch {
		case change != at:
			return false, nil
		case errors.Is(fault, io.ErrShortWrite):
			return op == "write", nil
		}
		return op == "write", &fs.PathError{Op: op, Path: path, Err: fault}
	}, true)
}

// Bury makes the leases below dir those of a process that is no more, which the process of a test cannot be.
func Bury(dir string) error {
	const nobody = 1 << 30 // above the largest number that any system gives
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && atomicfile.IsTemp(entry.Name()):
			return filepath.SkipDir // never a lease, or half of one
		case entry.Name() != "lease.json":
			return nil
		}
		var record map[string]any
		text, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(text, &record)
		}
		if err != nil {
			return err
		}
		record["pid"] = nobody
		if text, err = json.Marshal(record); err != nil {
			return err
		}
		return os.WriteFile(path, text, 0o600)
	})
}

// watched runs f on files of which each change is asked about before it is made.
func watched(f func() error, ask func(change int, op, path string) (half bool, err error), syncs bool) (changes int, err error) {
	real := atomicfile.OS
	defer func() { atomicfile.OS = real }()
	w := &watch{FS: real.FS, ask: ask, syncs: syncs}
	atomicfile.OS = atomicfile.Disk{FS: w}
	err = f()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changes, err
}

// watch is a file system that asks about its changes.
type watch struct {
	atomicfile.FS
	ask   func(change int, op, path string) (half bool, err error)
	syncs bool // whether a sync counts

	mu      sync.Mutex
	changes int
}

func (w *watch) change(op, path string) (half bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes++
	return w.ask(w.changes, op, path)
}

func (w *watch) do(op, path string, change func() error) error {
	if _, err := w.change(op, path); err != nil {
		return err
	}
	return change()
}

func (w *watch) Mkdir(path string) error {
	return w.do("mkdir", path, func() error { return w.FS.Mkdir(path) })
}

func (w *watch) Rename(from, to string) error {
	return w.do("rename", to, func() error { return w.FS.Rename(from, to) })
}

func (w *watch) Remove(path string) error {
	return w.do("remove", path, func() error { return w.FS.Remove(path) })
}

func (w *watch) RemoveAll(path string) error {
	return w.do("remove", path, func() error { return w.FS.RemoveAll(path) })
}

func (w *watch) OpenFile(path string, flag int) (atomicfile.File, error) {
	if flag&os.O_CREATE != 0 {
		if _, err := w.change("open", path); err != nil {
			return nil, err
		}
	}
	file, err := w.FS.OpenFile(path, flag)
	if err != nil {
		return nil, err
	}
	return &watchedFile{file, w, path}, nil
}

// SyncDir syncs nothing, for speed: what a process has written outlives it.
func (w *watch) SyncDir(path string) error {
	if !w.syncs {
		return nil
	}
	return w.do("sync", path, func() error { return nil })
}

type watchedFile struct {
	atomicfile.File
	disk *watch
	path string
}

func (f *watchedFile) Sync() error { return f.disk.SyncDir(f.path) }

func (f *watchedFile) Write(p []byte) (int, error) {
	half, err := f.disk.change("write", f.path)
	switch {
	case half:
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	case err != nil:
		return 0, err
	}
	return f.File.Write(p)
}

func (f *watchedFile) Truncate(size int64) error {
	return f.disk.do("truncate", f.path, func() error { return f.File.Truncate(size) })
}
