// SPDX-License-Identifier: Apache-2.0

// Package faultfs is a file system for tests of what must survive faults, crashes and power failures.
package faultfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"metrolab/internal/atomicfile"
)

// FS is a file system in memory that fails or dies at a chosen operation, and knows what a power failure may leave: of
// each directory the names as they were at its last sync or after any of the changes since; of each file its content at
// its last sync, the present one, or some of the bytes that came since.
type FS struct {
	Ops     int  // operations so far
	FailAt  int  // the operation that fails with ENOSPC, half done if it is a write; 0 for none
	Forever bool // and all that follow
	Short   bool // a write that fails says only how little it has written, and gives no error
	DieAt   int  // the operation in the middle of which the process dies; 0 for never

	StopAt    int    // the operation before which the process is stopped; 0 for never
	Meanwhile func() // what others do until it wakes up

	root *node
}

var _ atomicfile.FS = (*FS)(nil)

type node struct {
	isDir   bool
	names   map[string]*node
	history []map[string]*node // since the last sync, which is the first; the present is not among them
	data    []byte
	synced  []byte
}

var errDead = errors.New("the process is dead")

// New returns an empty file system without faults. Its root is "/"; paths are absolute, or below it.
func New() *FS { return &FS{root: newDir()} }

// Disk returns it as something to write to.
func (m *FS) Disk() atomicfile.Disk { return atomicfile.Disk{FS: m} }

// Content returns the bytes of a file, the ones that it has: changing one damages the file. It is nil if there is none.
func (m *FS) Content(path string) []byte {
	found, err := m.find("read", path)
	if err != nil {
		return nil
	}
	return found.data
}

func newDir() *node { return &node{isDir: true, names: map[string]*node{}} }

// operation counts and says whether this one fails.
func (m *FS) operation(name, path string) error {
	m.Ops++
	if m.Ops == m.StopAt {
		m.Meanwhile()
	}
	switch {
	case m.DieAt > 0 && m.Ops >= m.DieAt:
		return errDead
	case m.FailAt > 0 && (m.Ops == m.FailAt || m.Forever && m.Ops > m.FailAt):
		return &fs.PathError{Op: name, Path: path, Err: syscall.ENOSPC}
	}
	return nil
}

// Heal makes it a file system like any other again.
func (m *FS) Heal() { m.FailAt, m.Forever, m.Short, m.DieAt = 0, false, false, 0 }

// After returns the file system as it may be found after a power failure at this moment.
func (m *FS) After(rng *rand.Rand) *FS { return &FS{root: m.root.after(rng)} }

func (n *node) after(rng *rand.Rand) *node {
	if !n.isDir {
		left := n.data
		switch rng.IntN(3) {
		case 0:
			left = n.synced
		case 1:
			sure := 0
			for sure < min(len(n.data), len(n.synced)) && n.data[sure] == n.synced[sure] {
				sure++
			}
			left = n.data[:sure+rng.IntN(len(n.data)-sure+1)]
		}
		left = append([]byte{}, left...)
		return &node{data: left, synced: left}
	}
	names := n.names
	if pick := rng.IntN(len(n.history) + 1); pick < len(n.history) {
		names = n.history[pick]
	}
	found := newDir()
	for _, name := range sorted(names) {
		found.names[name] = names[name].after(rng)
	}
	return found
}

func (n *node) change() { n.history = append(n.history, maps.Clone(n.names)) }

func (m *FS) find(op, path string) (*node, error) {
	at := m.root
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if part == "" {
			continue
		}
		if at = at.names[part]; at == nil {
			return nil, &fs.PathError{Op: op, Path: path, Err: syscall.ENOENT}
		}
	}
	return at, nil
}

func (m *FS) parent(op, path string) (*node, string, error) {
	dir, err := m.find(op, filepath.Dir(path))
	if err == nil && !dir.isDir {
		err = &fs.PathError{Op: op, Path: path, Err: syscall.ENOTDIR}
	}
	return dir, filepath.Base(path), err
}

// Mkdir implements [atomicfile.FS].
func (m *FS) Mkdir(path string) error {
	dir, name, err := m.parent("mkdir", path)
	if err = errors.Join(m.operation("mkdir", path), err); err != nil {
		return err
	}
	if dir.names[name] != nil {
		return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.EEXIST}
	}
	dir.change()
	dir.names[name] = newDir()
	return nil
}

// OpenFile implements [atomicfile.FS].
func (m *FS) OpenFile(path string, flag int) (atomicfile.File, error) {
	dir, name, err := m.parent("open", path)
	if err = errors.Join(m.operation("open", path), err); err != nil {
		return nil, err
	}
	found := dir.names[name]
	switch {
	case found == nil && flag&os.O_CREATE == 0:
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
	case found != nil && flag&os.O_EXCL != 0:
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.EEXIST}
	case found == nil:
		dir.change()
		found = &node{}
		dir.names[name] = found
	}
	return &file{disk: m, path: path, node: found}, nil
}

// Rename implements [atomicfile.FS].
func (m *FS) Rename(from, to string) error {
	source, oldName, err := m.parent("rename", from)
	target, newName, err2 := m.parent("rename", to)
	if err = errors.Join(m.operation("rename", from), err, err2); err != nil {
		return err
	}
	moved, there := source.names[oldName], target.names[newName]
	switch {
	case moved == nil:
		return &fs.PathError{Op: "rename", Path: from, Err: syscall.ENOENT}
	case there != nil && there.isDir:
		return &fs.PathError{Op: "rename", Path: to, Err: syscall.EEXIST}
	case source != target:
		return fmt.Errorf("rename %s to %s: between directories is not modelled", from, to)
	}
	source.change()
	delete(source.names, oldName)
	source.names[newName] = moved
	return nil
}

// Remove implements [atomicfile.FS].
func (m *FS) Remove(path string) error {
	dir, name, err := m.parent("remove", path)
	if err = errors.Join(m.operation("remove", path), err); err != nil {
		return err
	}
	if dir.names[name] == nil || len(dir.names[name].names) > 0 {
		return &fs.PathError{Op: "remove", Path: path, Err: syscall.ENOTEMPTY}
	}
	dir.change()
	delete(dir.names, name)
	return nil
}

// RemoveAll takes one name away at a time, so that a power failure may leave half of a directory.
func (m *FS) RemoveAll(path string) error {
	if err := m.operation("remove", path); err != nil {
		return err
	}
	dir, name, err := m.parent("remove", path)
	if err != nil || dir.names[name] == nil {
		return nil
	}
	for _, below := range sorted(dir.names[name].names) {
		if err := m.RemoveAll(filepath.Join(path, below)); err != nil {
			return err
		}
	}
	dir.change()
	delete(dir.names, name)
	return nil
}

// ReadDir implements [atomicfile.FS].
func (m *FS) ReadDir(path string) ([]fs.DirEntry, error) {
	dir, err := m.find("readdir", path)
	if err = errors.Join(m.operation("readdir", path), err); err != nil {
		return nil, err
	}
	var entries []fs.DirEntry
	for _, name := range sorted(dir.names) {
		entries = append(entries, fs.FileInfoToDirEntry(info{name, dir.names[name]}))
	}
	return entries, nil
}

// Lstat implements [atomicfile.FS].
func (m *FS) Lstat(path string) (fs.FileInfo, error) {
	found, err := m.find("stat", path)
	if err = errors.Join(m.operation("stat", path), err); err != nil {
		return nil, err
	}
	return info{filepath.Base(path), found}, nil
}

// SyncDir implements [atomicfile.FS].
func (m *FS) SyncDir(path string) error {
	dir, err := m.find("syncdir", path)
	if err = errors.Join(m.operation("syncdir", path), err); err != nil {
		return err
	}
	dir.history = nil
	return nil
}

func sorted(names map[string]*node) []string { return slices.Sorted(maps.Keys(names)) }

type info struct {
	name string
	node *node
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return int64(len(i.node.data)) }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.node.isDir }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.node.isDir {
		return fs.ModeDir | 0o777
	}
	return 0o666
}

// file reads from its start and writes at the end, which is all that is asked of it.
type file struct {
	disk *FS
	path string
	node *node
	read int
}

func (f *file) Read(p []byte) (int, error) {
	if err := f.disk.operation("read", f.path); err != nil {
		return 0, err
	}
	if f.read == len(f.node.data) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[f.read:])
	f.read += n
	return n, nil
}

func (f *file) Write(p []byte) (int, error) {
	err := f.disk.operation("write", f.path)
	if err != nil {
		p = p[:len(p)/2]
	}
	if !errors.Is(err, errDead) || f.disk.Ops == f.disk.DieAt {
		f.node.data = append(f.node.data[:len(f.node.data):len(f.node.data)], p...)
	}
	if f.disk.Short && !errors.Is(err, errDead) {
		err = nil
	}
	return len(p), err
}

func (f *file) Truncate(size int64) error {
	if err := f.disk.operation("truncate", f.path); err != nil {
		return err
	}
	f.node.data = f.node.data[:size:size]
	return nil
}

func (f *file) Sync() error {
	if err := f.disk.operation("sync", f.path); err != nil {
		return err
	}
	f.node.synced = f.node.data
	return nil
}

func (f *file) Close() error { return f.disk.operation("close", f.path) }
