// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	tempPrefix  = ".tmp-"
	longestBase = 200 // bytes of a name that stand in its temporary one, which may have 255 on most systems

	strayAge = 24 * time.Hour
)

// tempName is strict: a file of the user's own in the same folder must not match it.
var tempName = regexp.MustCompile(`^\.tmp-.+-[0-9a-f]{12}$`)

// TempPath gives a name beside path that nobody else has, .tmp- and path's own name and a random number. What bears it is
// not yet, or no longer, what is at path.
func TempPath(path string) string {
	path = filepath.Clean(path)
	base := filepath.Base(path)
	if len(base) > longestBase {
		base = strings.ToValidUTF8(base[:longestBase], "")
	}
	var random [6]byte
	_, _ = rand.Read(random[:]) // never fails: it ends the program instead
	return filepath.Join(filepath.Dir(path), tempPrefix+base+"-"+hex.EncodeToString(random[:]))
}

// IsTemp reports whether a file name is one of [TempPath].
func IsTemp(name string) bool { return tempName.MatchString(name) }

// RemoveStrays removes what interrupted work has left in a folder that only the caller writes to. It is no error if there
// is no such folder.
func (d Disk) RemoveStrays(dir string) error {
	entries, err := d.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		if IsTemp(entry.Name()) {
			err = errors.Join(err, d.RemoveAll(filepath.Join(dir, entry.Name())))
		}
	}
	return err
}

// RemoveOldStrays removes what interrupted work has left in a folder that others may be writing to at this moment: only
// that in which nothing has changed for a day. Failing to remove it hurts nobody.
func (d Disk) RemoveOldStrays(dir string, now time.Time) {
	entries, _ := d.ReadDir(dir)
	for _, entry := range entries {
		if !IsTemp(entry.Name()) {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		if changed, err := d.lastChange(path, entry); err == nil && now.Sub(changed) > strayAge {
			_ = d.RemoveAll(path)
		}
	}
}

// lastChange is the time of the newest change to a file, or to a folder and all in it: a folder's own time says nothing
// of a file in it that still grows.
func (d Disk) lastChange(path string, entry fs.DirEntry) (newest time.Time, err error) {
	info, err := entry.Info()
	if err != nil {
		return newest, err
	}
	newest = info.ModTime()
	if !entry.IsDir() {
		return newest, nil
	}
	entries, err := d.ReadDir(path)
	if err != nil {
		return newest, err
	}
	for _, below := range entries {
		changed, err := d.lastChange(filepath.Join(path, below.Name()), below)
		if err != nil {
			return newest, err
		}
		if changed.After(newest) {
			newest = changed
		}
	}
	return newest, nil
}
