// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Growing is a file that is made aside piece by piece, such as line by line, and is worth keeping before it is finished: it
// holds whole pieces whenever it has a name. What becomes of it its writer says: [Growing.Place] or [Growing.Remove].
type Growing struct {
	disk Disk
	temp string
	file File
	size int64 // of the pieces that are whole
	torn bool  // whether a part of another stands behind them
}

// Grow makes an empty file aside, beside path, where it may come to lie.
func (d Disk) Grow(path string) (*Growing, error) {
	d.RemoveOldStrays(filepath.Dir(path), time.Now())
	g := &Growing{disk: d, temp: TempPath(path)}
	var err error
	g.file, err = d.OpenFile(g.temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND)
	return g, err
}

// Append adds a piece, or nothing of it. After an error no more may be added.
func (g *Growing) Append(piece []byte) error {
	n, err := g.file.Write(piece)
	if err == nil && n < len(piece) {
		err = io.ErrShortWrite
	}
	if err != nil {
		g.torn = g.file.Truncate(g.size) != nil
		return err
	}
	g.size += int64(len(piece))
	return nil
}

// Place gives the file its name at path, in the folder where it was begun, once it is on the disk. Anything that is there
// already stays, which is an error that wraps [fs.ErrExist], and the file may be placed elsewhere.
func (g *Growing) Place(path string) error {
	if there, err := g.disk.Exists(path); there || err != nil {
		return errors.Join(err, &fs.PathError{Op: "rename", Path: path, Err: fs.ErrExist})
	}
	if g.torn {
		if err := g.file.Truncate(g.size); err != nil {
			return err
		}
		g.torn = false
	}
	if err := g.file.Sync(); err != nil {
		return err
	}
	if err := g.disk.Rename(g.temp, path); err != nil {
		return err
	}
	return errors.Join(g.file.Close(), g.disk.SyncDir(filepath.Dir(path)))
}

// Remove gives the file up.
func (g *Growing) Remove() error { return errors.Join(g.file.Close(), g.disk.RemoveAll(g.temp)) }
