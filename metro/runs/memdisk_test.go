// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// memDisk is a disk in memory that fails or dies at a chosen operation, and knows what a power failure may leave: of
// each directory the names as they were at its last sync or after any of the changes since; of each file its content at
// its last sync, the present one, or some of the bytes that came since.
type memDisk struct {
	root    *node
	ops     int
	failAt  int  // the operation that fails with ENOSPC, half done if it is a write; 0 for none
	forever bool // and all that follow
	dieAt   int  // the operation in the middle of which the process dies; 0 for never
}

type node struct {
	isDir   bool
	names   map[string]*node
	history []map[string]*node // since the last sync, which is the first; the present is not among them
	data    []byte
	synced  []byte
}

var errDead = errors.New("the process is dead")

func newMemDisk() *memDisk { return &memDisk{root: newDir()} }

func newDir() *node { return &node{isDir: true, names: map[string]*node{}} }

// operation counts and says whether this one fails.
func (m *memDisk) operation(name, path string) error {
	m.ops++
	switch {
	case m.dieAt > 0 && m.ops >= m.dieAt:
		return errDead
	case m.failAt > 0 && (m.ops == m.failAt || m.forever && m.ops > m.failAt):
		return &fs.PathError{Op: name, Path: path, Err: syscall.ENOSPC}
	}
	return nil
}

// heal makes it a disk like any other again.
func (m *memDisk) heal() { m.failAt, m.forever, m.dieAt = 0, false, 0 }

// after returns the disk as it may be found after a power failure at this moment.
func (m *memDisk) after(rng *rand.Rand) *memDisk { return &memDisk{root: m.root.after(rng)} }

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
	for _, name := range sortedKeys(names) {
		found.names[name] = names[name].after(rng)
	}
	return found
}

func (n *node) change() { n.history = append(n.history, maps.Clone(n.names)) }

func (m *memDisk) find(op, path string) (*node, error) {
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

func (m *memDisk) parent(op, path string) (*node, string, error) {
	dir, err := m.find(op, filepath.Dir(path))
	if err == nil && !dir.isDir {
		err = &fs.PathError{Op: op, Path: path, Err: syscall.ENOTDIR}
	}
	return dir, filepath.Base(path), err
}

func (m *memDisk) Mkdir(path string) error {
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

func (m *memDisk) OpenFile(path string, flag int) (diskFile, error) {
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
	return &memFile{disk: m, path: path, node: found}, nil
}

func (m *memDisk) Rename(from, to string) error {
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

func (m *memDisk) Remove(path string) error {
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
func (m *memDisk) RemoveAll(path string) error {
	if err := m.operation("remove", path); err != nil {
		return err
	}
	dir, name, err := m.parent("remove", path)
	if err != nil || dir.names[name] == nil {
		return nil
	}
	for _, below := range sortedKeys(dir.names[name].names) {
		if err := m.RemoveAll(filepath.Join(path, below)); err != nil {
			return err
		}
	}
	dir.change()
	delete(dir.names, name)
	return nil
}

func (m *memDisk) ReadDir(path string) ([]fs.DirEntry, error) {
	dir, err := m.find("readdir", path)
	if err = errors.Join(m.operation("readdir", path), err); err != nil {
		return nil, err
	}
	var entries []fs.DirEntry
	for _, name := range sortedKeys(dir.names) {
		entries = append(entries, fs.FileInfoToDirEntry(memInfo{name, dir.names[name]}))
	}
	return entries, nil
}

func (m *memDisk) Lstat(path string) (fs.FileInfo, error) {
	found, err := m.find("stat", path)
	if err = errors.Join(m.operation("stat", path), err); err != nil {
		return nil, err
	}
	return memInfo{filepath.Base(path), found}, nil
}

func (m *memDisk) SyncDir(path string) error {
	dir, err := m.find("syncdir", path)
	if err = errors.Join(m.operation("syncdir", path), err); err != nil {
		return err
	}
	dir.history = nil
	return nil
}

type memInfo struct {
	name string
	node *node
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return int64(len(i.node.data)) }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) IsDir() bool        { return i.node.isDir }
func (i memInfo) Sys() any           { return nil }
func (i memInfo) Mode() fs.FileMode {
	if i.node.isDir {
		return fs.ModeDir | 0o777
	}
	return 0o666
}

// memFile reads from its start and writes at the end, which is all that the package does.
type memFile struct {
	disk *memDisk
	path string
	node *node
	read int
}

func (f *memFile) Read(p []byte) (int, error) {
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

func (f *memFile) Write(p []byte) (int, error) {
	err := f.disk.operation("write", f.path)
	if err != nil {
		p = p[:len(p)/2]
	}
	if !errors.Is(err, errDead) || f.disk.ops == f.disk.dieAt {
		f.node.data = append(f.node.data[:len(f.node.data):len(f.node.data)], p...)
	}
	return len(p), err
}

func (f *memFile) Truncate(size int64) error {
	if err := f.disk.operation("truncate", f.path); err != nil {
		return err
	}
	f.node.data = f.node.data[:size:size]
	return nil
}

func (f *memFile) Sync() error {
	if err := f.disk.operation("sync", f.path); err != nil {
		return err
	}
	f.node.synced = f.node.data
	return nil
}

func (f *memFile) Close() error { return f.disk.operation("close", f.path) }
