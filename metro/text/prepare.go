// SPDX-License-Identifier: Apache-2.0

package text

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"metrolab/internal/usererr"
)

// Default is the name of the default corpus: the comments of the Go distribution on this machine.
const Default = "godoc"

// extractorVersion is raised when the rules that make documents of a source change, so that nothing made by the old
// rules is taken from the cache.
const extractorVersion = 1

// Prepare returns the corpus that spec names, made on the first call and found in cacheDir on later ones as long as its
// source is unchanged. The spec is
//   - "" or [Default]: the comments of the Go distribution;
//   - a prepared corpus: its folder, which is used where it is, or the .tar.gz that [Corpus.Export] wrote;
//   - text: a file, or a folder, of which all .txt, .md, .txt.gz and .md.gz files are taken in lexical order. Blank lines
//     part documents; a file without any is one document, cut at [MaxDocumentBytes] where it is longer.
//
// An empty cacheDir stands for [CacheDir]. While a corpus is being made, progress (nil for none) is called from one
// goroutine with the bytes of the source read so far and their total. A cancelled ctx ends Prepare with its error and
// leaves nothing behind. Missing, empty and damaged sources are the user's mistakes.
func Prepare(ctx context.Context, spec, cacheDir string, progress func(done, total int)) (*Corpus, error) {
	if cacheDir == "" {
		var err error
		if cacheDir, err = CacheDir(); err != nil {
			return nil, err
		}
	}
	if progress == nil {
		progress = func(int, int) {}
	}
	if spec != "" && spec != Default && isPrepared(spec) {
		return Open(spec)
	}
	src, err := resolve(ctx, spec)
	if err != nil {
		return nil, err
	}
	s := store{filepath.Join(cacheDir, "corpora")}
	if c, ok := s.lookup(src.key); ok {
		return c, nil
	}
	return s.build(ctx, src, progress)
}

func resolve(ctx context.Context, spec string) (source, error) {
	if spec == "" || spec == Default {
		return goSource(ctx)
	}
	info, err := os.Stat(spec)
	switch {
	case err != nil:
		return source{}, usererr.New("corpus %q: %w; give %q, a text file, or a folder of text files", spec, err, Default)
	case !info.IsDir() && isArchive(spec):
		return archiveSource(spec, info), nil
	default:
		return textSource(spec)
	}
}

// isPrepared reports whether dir looks like a prepared corpus, whole or damaged.
func isPrepared(dir string) bool {
	for _, name := range []string{manifestName, fileName(Train)} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.Mode().IsRegular() {
			return false
		}
	}
	return true
}

func isArchive(path string) bool {
	path = strings.ToLower(path)
	return strings.HasSuffix(path, ".tar.gz") || strings.HasSuffix(path, ".tgz")
}
