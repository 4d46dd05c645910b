// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// WriteDir makes a folder. It calls fill with the path of an empty one beside it to put files and folders into, none of
// which fill need sync, and then does as [Disk.RenameDir]. The folder above must be there.
func (d Disk) WriteDir(dir string, fill func(temp string) error) error {
	d.RemoveOldStrays(filepath.Dir(filepath.Clean(dir)), time.Now())
	temp := TempPath(dir)
	if err := d.Mkdir(temp); err != nil {
		return err
	}
	defer d.RemoveAll(temp) // there is nothing left of it once it has its name
	if err := fill(temp); err != nil {
		return err
	}
	return d.RenameDir(temp, dir)
}

// RenameDir gives a finished folder its name, beside the one that it has, when it is on the disk with all that is in it.
// An empty folder of that name gives way. Anything else of that name stays, and is an error that wraps [fs.ErrExist]: of
// several who bring a folder to one name, exactly one succeeds.
func (d Disk) RenameDir(temp, dir string) error {
	if err := d.SyncTree(temp); err != nil {
		return err
	}
	switch info, err := d.Lstat(dir); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case info.IsDir():
		_ = d.Remove(dir) // if it is not empty, renaming says so
	default:
		return &fs.PathError{Op: "rename", Path: dir, Err: fs.ErrExist}
	}
	if err := d.Rename(temp, dir); err != nil {
		return err
	}
	return d.SyncDir(filepath.Dir(filepath.Clean(dir)))
}

// SyncTree makes a folder durable with all files and folders in it, but for its own name.
func (d Disk) SyncTree(dir string) error {
	entries, err := d.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		switch {
		case entry.IsDir():
			err = d.SyncTree(path)
		case entry.Type().IsRegular():
			err = d.syncFile(path)
		}
		if err != nil {
			return err
		}
	}
	return d.SyncDir(dir)
}

func (d Disk) syncFile(path string) error {
	file, err := d.OpenFile(path, os.O_RDWR) // some systems sync no file that is open for reading only
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// MkdirAll makes a folder and those above it, durably: a file is as lost as the name of any folder on its path.
func (d Disk) MkdirAll(dir string) error {
	dir = filepath.Clean(dir)
	there, err := d.Exists(dir)
	if there || err != nil {
		return err
	}
	parent := filepath.Dir(dir)
	if err := d.MkdirAll(parent); err != nil {
		return err
	}
	if err := d.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.SyncDir(parent)
}

// Exists reports whether there is anything at path.
func (d Disk) Exists(path string) (bool, error) {
	_, err := d.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
