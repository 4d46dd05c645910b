// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"metrolab/internal/atomicfile"
)

const (
	manifestFile    = "manifest.json"
	manifestVersion = 1
)

// manifest says what belongs to a checkpoint. Files that it does not name are nobody's concern.
type manifest struct {
	Version int            `json:"version"`
	Step    int            `json:"step"`
	Files   []manifestItem `json:"files"`
}

type manifestItem struct {
	Name   string `json:"name"` // with slashes, from the checkpoint's directory
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// seal adds the manifest to what was written into dir, and makes all of it durable.
func seal(d atomicfile.Disk, dir string, step int) error {
	m := manifest{Version: manifestVersion, Step: step}
	if err := m.add(d, dir, ""); err != nil {
		return err
	}
	if len(m.Files) == 0 {
		return errors.New("nothing was written")
	}
	text, err := indented(m)
	if err != nil {
		return err
	}
	if err := d.CreateFile(filepath.Join(dir, manifestFile), text); err != nil {
		return err
	}
	return d.SyncTree(dir)
}

// add takes up the files below a folder of the checkpoint.
func (m *manifest) add(d atomicfile.Disk, dir, folder string) error {
	entries, err := d.ReadDir(filepath.Join(dir, filepath.FromSlash(folder)))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := path.Join(folder, entry.Name())
		where := filepath.Join(dir, filepath.FromSlash(name))
		switch {
		case entry.IsDir():
			err = m.add(d, dir, name)
		case !entry.Type().IsRegular() || name == manifestFile:
			err = fmt.Errorf("%s cannot be part of a checkpoint", where)
		default:
			item := manifestItem{Name: name}
			item.Size, item.SHA256, err = sum(d, where)
			m.Files = append(m.Files, item)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sum reads a file through.
func sum(d atomicfile.Disk, path string) (size int64, hash string, err error) {
	file, err := d.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	hasher := sha256.New()
	size, err = io.Copy(hasher, file)
	return size, hex.EncodeToString(hasher.Sum(nil)), err
}

func parseManifest(text []byte, step int) (manifest, error) {
	var m manifest
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decodeWhole(decoder, text, &m); err != nil {
		return m, err
	}
	if m.Version != manifestVersion {
		return m, fmt.Errorf("it has format %d, this program reads %d", m.Version, manifestVersion)
	}
	if m.Step != step {
		return m, fmt.Errorf("it is of step %d, not %d", m.Step, step)
	}
	if len(m.Files) == 0 {
		return m, errors.New("it names no file")
	}
	seen := map[string]bool{}
	for _, item := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(item.Name)) || seen[item.Name] {
			return m, fmt.Errorf("the name %.80q is repeated or leads out of the checkpoint", item.Name)
		}
		seen[item.Name] = true
	}
	return m, nil
}

// checkSizes reads the manifest of a checkpoint and looks whether its files are there with their sizes.
func checkSizes(d atomicfile.Disk, dir string, step int) (manifest, error) {
	where := filepath.Join(dir, manifestFile)
	text, err := readFile(d, where)
	if err != nil {
		return manifest{}, err
	}
	m, err := parseManifest(text, step)
	if err != nil {
		return m, fmt.Errorf("%s, %d bytes: %w", where, len(text), err)
	}
	for _, item := range m.Files {
		where := filepath.Join(dir, filepath.FromSlash(item.Name))
		info, err := d.Lstat(where)
		if err != nil {
			return m, err
		}
		if !info.Mode().IsRegular() || info.Size() != item.Size {
			return m, fmt.Errorf("%s has %d bytes where %d were saved", where, info.Size(), item.Size)
		}
	}
	return m, nil
}

// verify says what is wrong with a checkpoint, if anything is.
func verify(d atomicfile.Disk, dir string, step int) error {
	m, err := checkSizes(d, dir, step)
	if err != nil {
		return err
	}
	for _, item := range m.Files {
		where := filepath.Join(dir, filepath.FromSlash(item.Name))
		_, hash, err := sum(d, where)
		if err != nil {
			return err
		}
		if hash != item.SHA256 {
			return fmt.Errorf("%s, %d bytes, has the SHA-256 sum %s where %s was saved", where, item.Size, hash, item.SHA256)
		}
	}
	return nil
}
