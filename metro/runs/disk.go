// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// disk is all that this package asks of a file system. Tests put one in that fails, or loses what was not synced.
type disk interface {
	Mkdir(path string) error
	OpenFile(path string, flag int) (diskFile, error)
	Rename(from, to string) error // an error if to is a directory
	Remove(path string) error     // of a file or an empty directory
	RemoveAll(path string) error
	ReadDir(path string) ([]fs.DirEntry, error)
	Lstat(path string) (fs.FileInfo, error)
	SyncDir(path string) error
}

type diskFile interface {
	io.ReadWriteCloser
	Truncate(size int64) error
	Sync() error
}

// osDisk is the real one.
type osDisk struct{}

func (osDisk) Mkdir(path string) error                    { return os.Mkdir(path, 0o777) }
func (osDisk) Rename(from, to string) error               { return os.Rename(from, to) }
func (osDisk) Remove(path string) error                   { return os.Remove(path) }
func (osDisk) RemoveAll(path string) error                { return os.RemoveAll(path) }
func (osDisk) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }
func (osDisk) Lstat(path string) (fs.FileInfo, error)     { return os.Lstat(path) }

func (osDisk) OpenFile(path string, flag int) (diskFile, error) {
	file, err := os.OpenFile(path, flag, 0o666)
	if err != nil {
		return nil, err // not the nil *os.File inside an interface
	}
	return file, nil
}

// SyncDir makes the names in a directory durable. Some file systems cannot, and say so with EINVAL or ENOTSUP; there
// is nothing better to do on them, nor on Windows, which has no such call.
func (osDisk) SyncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	err = dir.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, dir.Close())
}

// ensureDir makes a directory and those above it, durably: a file is as lost as the name of any directory on its path.
func ensureDir(d disk, path string) error {
	there, err := exists(d, path)
	if there || err != nil {
		return err
	}
	parent := filepath.Dir(path)
	if err := ensureDir(d, parent); err != nil {
		return err
	}
	if err := d.Mkdir(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.SyncDir(parent)
}

func exists(d disk, path string) (bool, error) {
	_, err := d.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

const tempPrefix = ".tmp-"

// tempPath gives a name beside path that nobody else has. What bears it is not yet, or no longer, part of a run.
func tempPath(path string) string {
	var random [6]byte
	_, _ = rand.Read(random[:]) // never fails: it ends the program instead
	return filepath.Join(filepath.Dir(path), tempPrefix+filepath.Base(path)+"-"+hex.EncodeToString(random[:]))
}

// removeStrays removes what interrupted work has left in a directory that only the caller writes to.
func removeStrays(d disk, dir string) error {
	entries, err := d.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), tempPrefix) {
			err = errors.Join(err, d.RemoveAll(filepath.Join(dir, entry.Name())))
		}
	}
	return err
}

// createFile writes a new file and has it on the disk when it returns.
func createFile(d disk, path string, data []byte) error {
	file, err := d.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY)
	if err != nil {
		return err
	}
	n, err := file.Write(data)
	if err == nil && n < len(data) {
		err = fmt.Errorf("write %s: %w", path, io.ErrShortWrite)
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// replaceFile puts a file in the place of another, or of none: readers see the one or the other, whole.
func replaceFile(d disk, path string, data []byte) error {
	temp := tempPath(path)
	err := createFile(d, temp, data)
	if err == nil {
		err = d.Rename(temp, path)
	}
	if err != nil {
		_ = d.RemoveAll(temp)
		return err
	}
	return d.SyncDir(filepath.Dir(path))
}

// maxDocument bounds the JSON documents of a run, so that a wrong file in their place cannot fill the memory.
const maxDocument = 64 << 20

func readFile(d disk, path string) ([]byte, error) {
	file, err := d.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxDocument+1))
	if err == nil && len(data) > maxDocument {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxDocument)
	}
	return data, err
}
