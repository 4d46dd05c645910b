// SPDX-License-Identifier: Apache-2.0

package text

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
)

// CacheDir returns the folder that prepared corpora are kept in: $METROLAB_CACHE, else the folder metrolab in
// [os.UserCacheDir]. It does not make it.
func CacheDir() (string, error) {
	if dir := os.Getenv("METROLAB_CACHE"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", usererr.New("no folder to keep prepared corpora in: %w; set METROLAB_CACHE to one", err)
	}
	return filepath.Join(dir, "metrolab"), nil
}

// store is a folder of prepared corpora:
//
//	NAME-HASH/      a corpus; HASH begins the SHA-256 of its manifest, which holds those of its files
//	index/KEY       the name of the corpus that was made of the source with that key
//	.tmp-…/         one being made
//
// A corpus appears whole, by a rename, or not at all. Processes need no lock: two that prepare the same corpus both do
// the work, and the second finds the first one's result in its place and uses it.
type store struct{ dir string }

// source is something a corpus can be made of.
type source struct {
	key  string                                                                      // identifies it without reading it; "" if nothing does
	fill func(ctx context.Context, dir string, progress func(done, total int)) error // writes a corpus into dir
}

// lookup returns the corpus made of the source with this key before, if it is whole.
func (s store) lookup(key string) (*Corpus, bool) {
	if key == "" {
		return nil, false
	}
	name, err := os.ReadFile(s.indexPath(key))
	if err != nil || len(name) == 0 || string(name) != filepath.Base(string(name)) {
		return nil, false
	}
	return s.open(string(name))
}

// open returns the named corpus if its manifest is the one it was named after and its files have their sizes.
func (s store) open(name string) (*Corpus, bool) {
	dir := filepath.Join(s.dir, name)
	m, raw, err := readManifest(dir)
	if err != nil || name != corpusDirName(m, raw) {
		return nil, false
	}
	c, err := Open(dir)
	return c, err == nil
}

// build makes a corpus and puts it in its place. Whatever ends it early leaves nothing behind but, after a kill, a
// temporary folder that a build a day later removes.
func (s store) build(ctx context.Context, src source, progress func(done, total int)) (*Corpus, error) {
	if err := atomicfile.MkdirAll(filepath.Join(s.dir, "index")); err != nil {
		return nil, usererr.New("cannot keep prepared corpora: %w; set METROLAB_CACHE to a folder that can be written to", err)
	}
	atomicfile.OS.RemoveOldStrays(s.dir, time.Now())
	tmp := s.tempPath()
	if err := os.Mkdir(tmp, 0o777); err != nil {
		return nil, usererr.New("cannot keep prepared corpora: %w; set METROLAB_CACHE to a folder that can be written to", err)
	}
	defer os.RemoveAll(tmp)
	if err := src.fill(ctx, tmp, progress); err != nil {
		return nil, err
	}
	m, raw, err := readManifest(tmp)
	if err != nil {
		return nil, err
	}
	name := corpusDirName(m, raw)
	c, err := s.install(tmp, name)
	if err != nil {
		return nil, fmt.Errorf("keep the prepared corpus %s: %w", name, err)
	}
	if src.key != "" {
		if err := s.remember(src.key, name); err != nil {
			return nil, fmt.Errorf("index of prepared corpora: %w", err)
		}
	}
	return c, nil
}

// install renames tmp to its final name, unless a whole corpus is there already. A damaged one gives way.
func (s store) install(tmp, name string) (*Corpus, error) {
	final := filepath.Join(s.dir, name)
	var err error
	for range 3 {
		if err = atomicfile.OS.RenameDir(tmp, final); err == nil {
			return Open(final)
		}
		if c, ok := s.open(name); ok && c.Verify() == nil {
			return c, nil
		}
		away := s.tempPath()
		if atomicfile.OS.Rename(final, away) == nil {
			defer os.RemoveAll(away)
		}
	}
	return nil, err
}

// remember notes that the named corpus was made of the source with this key.
func (s store) remember(key, name string) error {
	return atomicfile.WriteFile(s.indexPath(key), []byte(name))
}

func (s store) tempPath() string { return atomicfile.TempPath(filepath.Join(s.dir, "corpus")) }

func (s store) indexPath(key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(s.dir, "index", hex.EncodeToString(sum[:16]))
}

func corpusDirName(m *manifest, raw []byte) string {
	sum := sha256.Sum256(raw)
	return m.Name + "-" + hex.EncodeToString(sum[:8])
}
