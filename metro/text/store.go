// SPDX-License-Identifier: Apache-2.0

package text

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"metrolab/internal/atomicfile"
	"metrolab/internal/bounded"
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

// CacheError makes the failure to write to the cache in dir the user's error, who can give it another folder, or room. Any
// other error is returned as it is.
func CacheError(dir string, err error) error {
	var at string
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		at = e.Path
	} else if e, ok := errors.AsType[*os.LinkError](err); ok {
		at = e.New
	}
	if at == "" || !strings.HasPrefix(at, dir) || usererr.Is(err) {
		return err
	}
	return usererr.New("cannot keep prepared text: %w; set METROLAB_CACHE to a folder that can be written to and has room", err)
}

// store is a folder of prepared corpora:
//
//	NAME-HASH/      a corpus; HASH begins the SHA-256 of its manifest, which holds those of its files
//	index/KEY       which corpus was made of the source with that key, and what was in the source then
//	.tmp-…/         one being made
//
// A corpus appears whole, by a rename, or not at all: what was begun when a process was killed is begun anew, at 37 MB a
// processor second, since keeping parts would have every text written twice. Processes need no lock: two that prepare the same corpus both do
// the work, and the second finds the first one's result in its place and uses it.
type store struct{ dir string }

// source is something a corpus can be made of.
type source struct {
	key  string                                                                      // identifies it without reading it; "" if nothing does
	sum  func(ctx context.Context) (string, error)                                   // a hash of what it holds; nil where the key says enough
	fill func(ctx context.Context, dir string, progress func(done, total int)) error // writes a corpus into dir
}

func (s source) content(ctx context.Context) (string, error) {
	if s.sum == nil {
		return "", nil
	}
	return s.sum(ctx)
}

// entry is a file of the index.
type entry struct {
	Corpus string `json:"corpus"` // its folder
	Source string `json:"source"` // see [source]
}

// corpus returns the corpus of a source, made now if need be.
func (s store) corpus(ctx context.Context, src source, progress func(done, total int)) (*Corpus, error) {
	s.sweep()
	if c, ok := s.lookup(ctx, src); ok {
		return c, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.build(ctx, src, progress)
}

// lookup returns the corpus that was made of a source before, if the source holds what it held then and the corpus is
// whole. One that was damaged is told.
func (s store) lookup(ctx context.Context, src source) (*Corpus, bool) {
	if src.key == "" {
		return nil, false
	}
	path := s.indexPath(src.key)
	raw, err := bounded.ReadFile(path, 1<<16)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false
	}
	var e entry
	if err != nil || json.Unmarshal(raw, &e) != nil || e.Corpus == "" || e.Corpus != filepath.Base(e.Corpus) {
		log.Printf("the prepared text is read again: its entry %s in the cache is damaged", path)
		_ = atomicfile.OS.RemoveAll(path) // it may be no file, which none would replace
		return nil, false
	}
	if sum, err := src.content(ctx); err != nil || sum != e.Source {
		log.Printf("the text is read again: it is not what %s was made of, though its size and its time are", e.Corpus)
		return nil, false
	}
	c, err := s.open(e.Corpus)
	if err != nil {
		log.Printf("the prepared text is made again: %v", err)
		return nil, false
	}
	return c, true
}

// open returns the named corpus if its manifest is the one it was named after and its files are those of the manifest.
func (s store) open(name string) (*Corpus, error) {
	dir := filepath.Join(s.dir, name)
	m, raw, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	if name != corpusDirName(m, raw) {
		return nil, fmt.Errorf("%s is damaged: its name does not fit its manifest", dir)
	}
	c, err := Open(dir)
	if err != nil {
		return nil, err
	}
	return c, c.Verify()
}

// build makes a corpus and puts it in its place. Whatever ends it early leaves nothing behind but, after a kill, a
// temporary folder that is removed a day later.
func (s store) build(ctx context.Context, src source, progress func(done, total int)) (*Corpus, error) {
	if err := atomicfile.MkdirAll(filepath.Join(s.dir, "index")); err != nil {
		return nil, CacheError(filepath.Dir(s.dir), err)
	}
	before, err := src.content(ctx)
	if err != nil {
		return nil, usererr.New("corpus: %w", err)
	}
	tmp := s.tempPath()
	if err := atomicfile.OS.Mkdir(tmp); err != nil {
		return nil, CacheError(filepath.Dir(s.dir), err)
	}
	defer os.RemoveAll(tmp)
	if err := src.fill(ctx, tmp, progress); err != nil {
		return nil, CacheError(filepath.Dir(s.dir), err)
	}
	m, raw, err := readManifest(tmp)
	if err != nil {
		return nil, err
	}
	name := corpusDirName(m, raw)
	c, err := s.install(tmp, name)
	if err != nil {
		return nil, CacheError(filepath.Dir(s.dir), fmt.Errorf("keep the prepared corpus %s: %w", name, err))
	}
	if src.key != "" {
		raw, err := json.Marshal(entry{name, before})
		if err == nil {
			err = atomicfile.WriteFile(s.indexPath(src.key), raw)
		}
		if err != nil {
			return nil, CacheError(filepath.Dir(s.dir), fmt.Errorf("index of prepared corpora: %w", err))
		}
	}
	return c, nil
}

// sweep removes what killed processes have left, a day later.
func (s store) sweep() {
	for _, dir := range []string{s.dir, filepath.Join(s.dir, "index")} {
		atomicfile.OS.RemoveOldStrays(dir, time.Now())
	}
}

// install renames tmp to its final name, unless a whole corpus is there already. A damaged one gives way.
func (s store) install(tmp, name string) (*Corpus, error) {
	final := filepath.Join(s.dir, name)
	var err error
	for range 3 {
		if err = atomicfile.OS.RenameDir(tmp, final); err == nil {
			return Open(final)
		}
		if c, err := s.open(name); err == nil {
			return c, nil
		}
		away := s.tempPath()
		if atomicfile.OS.Rename(final, away) == nil {
			defer os.RemoveAll(away)
		}
	}
	return nil, err
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
