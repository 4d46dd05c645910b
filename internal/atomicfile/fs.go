// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"syscall"
)

// FS is all that this package asks of a file system. Tests put one in that fails, or loses what was not synced.
type FS interface {
	Mkdir(path string) error                      // with the permissions that the umask leaves of 0777
	OpenFile(path string, flag int) (File, error) // a new one with what it leaves of 0666
	Rename(from, to string) error                 // an error if to is a folder
	Remove(path string) error                     // of a file or an empty folder
	RemoveAll(path string) error                  // no error if there is nothing
	ReadDir(path string) ([]fs.DirEntry, error)   // in the order of names
	Lstat(path string) (fs.FileInfo, error)
	SyncDir(path string) error // makes the names in a folder durable
}

// File is an open file of an [FS].
type File interface {
	io.ReadWriteCloser
	Truncate(size int64) error
	Sync() error
}

// osFS is the operating system's.
type osFS struct{}

func (osFS) Mkdir(path string) error                    { return os.Mkdir(path, 0o777) }
func (osFS) Rename(from, to string) error               { return os.Rename(from, to) }
func (osFS) Remove(path string) error                   { return os.Remove(path) }
func (osFS) RemoveAll(path string) error                { return os.RemoveAll(path) }
func (osFS) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }
func (osFS) Lstat(path string) (fs.FileInfo, error)     { return os.Lstat(path) }

func (osFS) OpenFile(path string, flag int) (File, error) {
	file, err := os.OpenFile(path, flag, 0o666)
	if err != nil {
		return nil, err // not the nil *os.File inside an interface
	}
	return file, nil
}

// SyncDir lets be what cannot be mended: some file systems cannot sync a folder, and say so with EINVAL or ENOTSUP, and
// Windows has no such call.
func (osFS) SyncDir(path string) error {
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
