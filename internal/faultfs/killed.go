// SPDX-License-Identifier: Apache-2.0

package faultfs

import (
	"encoding/json"
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
	real := atomicfile.OS
	defer func() { atomicfile.OS = real }()
	m := &mortal{FS: real.FS, dieAt: at}
	atomicfile.OS = atomicfile.Disk{FS: m}
	err = f()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changes, err
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

// mortal is a file system that dies at its change number dieAt.
type mortal struct {
	atomicfile.FS
	dieAt int

	mu      sync.Mutex
	changes int
}

// change counts and says whether this one is not to be; dying, if it is the one in whose middle that happens.
func (m *mortal) change() (dying bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	if m.changes >= m.dieAt {
		err = errDead
	}
	return m.changes == m.dieAt, err
}

func (m *mortal) do(change func() error) error {
	if _, err := m.change(); err != nil {
		return err
	}
	return change()
}

func (m *mortal) Mkdir(path string) error {
	return m.do(func() error { return m.FS.Mkdir(path) })
}

func (m *mortal) Rename(from, to string) error {
	return m.do(func() error { return m.FS.Rename(from, to) })
}

func (m *mortal) Remove(path string) error {
	return m.do(func() error { return m.FS.Remove(path) })
}

func (m *mortal) RemoveAll(path string) error {
	return m.do(func() error { return m.FS.RemoveAll(path) })
}

func (m *mortal) OpenFile(path string, flag int) (atomicfile.File, error) {
	if flag&os.O_CREATE != 0 {
		if _, err := m.change(); err != nil {
			return nil, err
		}
	}
	file, err := m.FS.OpenFile(path, flag)
	if err != nil {
		return nil, err
	}
	return &mortalFile{file, m}, nil
}

// SyncDir and Sync do nothing, for speed: what a process has written outlives it.
func (m *mortal) SyncDir(string) error { return nil }

func (f *mortalFile) Sync() error { return nil }

type mortalFile struct {
	atomicfile.File
	disk *mortal
}

func (f *mortalFile) Write(p []byte) (int, error) {
	dying, err := f.disk.change()
	if err == nil {
		return f.File.Write(p)
	}
	n := 0
	if dying {
		n, _ = f.File.Write(p[:len(p)/2])
	}
	return n, err
}

func (f *mortalFile) Truncate(size int64) error {
	return f.disk.do(func() error { return f.File.Truncate(size) })
}
