// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"slices"
	"time"

	"metrolab/internal/atomicfile"
	"metrolab/internal/bounded"
)

// sealName is the file of a folder in the cache that holds the checksums of the others, as `sha256sum` prints them.
const sealName = "SHA256SUMS"

// sealed sees to it that a folder of the cache holds the files of these names, whole: it compares those that are there with
// their checksums, and if there are none, or one is not what it was, has fill make them all again. Equal callers make equal
// files, so whoever reads the folder meanwhile comes to no harm.
func sealed(dir string, names []string, fill func(temp string) error) error {
	atomicfile.OS.RemoveOldStrays(filepath.Dir(dir), time.Now())
	damage := verify(dir, names)
	if damage == nil {
		return nil
	}
	if err := atomicfile.MkdirAll(filepath.Dir(dir)); err != nil {
		return err
	}
	filled := func(temp string) error {
		if err := fill(temp); err != nil {
			return err
		}
		return seal(temp, names)
	}
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		err := atomicfile.WriteDir(dir, filled)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if damage = verify(dir, names); damage == nil { // another process was faster
			return nil
		}
	}
	log.Printf("%s is made again, it is damaged: %v", dir, damage)
	return mend(dir, names, filled)
}

// mend puts new files in the place of those of a folder, one by one and the seal last, so that the folder never is away.
func mend(dir string, names []string, fill func(temp string) error) error {
	if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
		if err := os.Remove(dir); err != nil {
			return err
		}
	}
	if err := atomicfile.MkdirAll(dir); err != nil {
		return err
	}
	temp := atomicfile.TempPath(dir)
	if err := atomicfile.OS.Mkdir(temp); err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	if err := fill(temp); err != nil {
		return err
	}
	if err := atomicfile.OS.SyncTree(temp); err != nil {
		return err
	}
	for _, name := range slices.Concat(names, []string{sealName}) {
		path := filepath.Join(dir, name)
		if info, err := os.Lstat(path); err == nil && info.IsDir() {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
		if err := atomicfile.OS.Rename(filepath.Join(temp, name), path); err != nil {
			return err
		}
	}
	return atomicfile.OS.SyncDir(dir)
}

// seal writes the checksums of files.
func seal(dir string, names []string) error {
	sums, err := checksums(dir, names)
	if err != nil {
		return err
	}
	return atomicfile.OS.CreateFile(filepath.Join(dir, sealName), sums)
}

// verify compares the files in a folder with their checksums.
func verify(dir string, names []string) error {
	want, err := bounded.ReadFile(filepath.Join(dir, sealName), 1<<16)
	if err != nil {
		return err
	}
	got, err := checksums(dir, names)
	if err != nil {
		return err
	}
	if bytes.Equal(got, want) {
		return nil
	}
	for i, line := range bytes.SplitAfter(got, []byte("\n")) {
		if i < len(names) && !bytes.Contains(want, line) {
			return fmt.Errorf("%s does not fit its SHA-256 in %s", names[i], sealName)
		}
	}
	return fmt.Errorf("%s is not as it was written", sealName)
}

// checksums is what `sha256sum NAMES` prints in a folder.
func checksums(dir string, names []string) ([]byte, error) {
	var out bytes.Buffer
	for _, name := range names {
		file, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		h := sha256.New()
		_, err = io.Copy(h, file)
		file.Close()
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "%x  %s\n", h.Sum(nil), name)
	}
	return out.Bytes(), nil
}
