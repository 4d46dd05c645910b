// SPDX-License-Identifier: Apache-2.0

package text

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"metrolab/internal/usererr"
)

// Default is the name of the default corpus: the comments of the Go distribution on this machine.
const Default = "godoc"

// extractorVersion is raised when the rules that make documents of a source change, so that nothing made by the old
// rules is taken from the cache.
const extractorVersion = 3

// Options say how [PrepareWith] reads a source, and where it keeps what it made.
type Options struct {
	// Field names the field of JSON objects, or the column of Parquet, that holds the text. With it, both are read wherever
	// they are met, a .jsonl, .ndjson, .json or .parquet file of a folder included; without, they are refused.
	Field string

	// Files are ends of names, such as ".go", by which further files are taken as text, code say, packed or not: in a folder beside
	// the usual ones, and whatever they look like, if only they are UTF-8. Each begins with a dot, and some file has it.
	Files []string
	// Among says that the source is one of several that Files speaks of: it need not have such files, or be a folder.
	Among bool

	CacheDir string                // [CacheDir] if empty
	Progress func(done, total int) // hears of the bytes of the source read so far and their total, while a corpus is made; nil for none
}

// Prepare is [PrepareWith] for sources that need no options.
func Prepare(ctx context.Context, spec, cacheDir string, progress func(done, total int)) (*Corpus, error) {
	return PrepareWith(ctx, spec, Options{CacheDir: cacheDir, Progress: progress})
}

// PrepareWith returns the corpus that spec names, made on the first call and found in the cache on later ones as long as
// its source holds the same. The spec is
//   - "" or [Default]: the comments of the Go distribution;
//   - a prepared corpus: its folder, which is used where it is, or the .tar.gz that [Corpus.Export] wrote;
//   - text: a file, or a folder, of which all .txt and .md files are taken, in the order of what is in them. Any file may be
//     packed by gzip or zstd. Blank lines part documents; a file without any is one document, cut at [MaxDocumentBytes] where it is
//     longer.
//
// Files of text must hold text, in UTF-8: tables, web pages, JSON without a field to look at, other encodings and binary
// files are refused, by what is in them and by their names. [Corpus.Notes] say what of a folder was passed over.
//
// Whatever comes from the cache is compared with its checksums first. What is damaged there is made again, which package
// log is told. A cancelled ctx ends it with its error and leaves nothing behind. Missing, empty and damaged sources, and a
// cache that cannot be written to, are the user's to mend.
func PrepareWith(ctx context.Context, spec string, o Options) (*Corpus, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	if len(o.Files) > 0 && !o.Among && (spec == "" || spec == Default || isPrepared(spec) || isArchive(spec)) {
		return nil, usererr.New("data.files says which files of a folder of one's own are text, and %q is none; leave it out", cmp.Or(spec, Default))
	}
	if spec != "" && spec != Default && isPrepared(spec) {
		c, err := Open(spec)
		if err == nil {
			err = errors.Join(c.Verify(), c.RequireField(o.Field))
		}
		if err != nil {
			return nil, err
		}
		return c, nil
	}
	src, err := resolve(ctx, spec, o)
	if err != nil {
		return nil, err
	}
	c, err := store{filepath.Join(o.CacheDir, "corpora")}.corpus(ctx, src, o.Progress)
	if err == nil {
		err = c.RequireField(o.Field)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// takes reports whether a file is one that o.Files names.
func (o Options) takes(name string) bool { return slices.Contains(o.Files, extension(name)) }

// MayRead reports whether a file of that name is one that a folder is read for: text, FASTA, what o.Files names, and JSON and Parquet,
// whose field is named when they are read.
func (o Options) MayRead(name string) bool {
	return isText(name) || isFASTA(name) || o.takes(name) || hasFields(name)
}

// Ends takes apart what data.files says: ends of names with commas between them, each with a dot before it or without.
func Ends(files string) ([]string, error) {
	var ends []string
	for end := range strings.SplitSeq(files, ",") {
		if end = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(end), ".")); end == "" || strings.ContainsAny(end, "./*") {
			if files == "" {
				return nil, nil
			}
			return nil, usererr.New("data.files must be ends of names with commas between them, such as go,py; it is %q", files)
		}
		ends = append(ends, "."+end)
	}
	return ends, nil
}

// filled returns o with what is to stand for what was left out.
func (o Options) filled() (Options, error) {
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	if o.CacheDir != "" {
		return o, nil
	}
	var err error
	o.CacheDir, err = CacheDir()
	return o, err
}

func resolve(ctx context.Context, spec string, o Options) (source, error) {
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
		return textSource(spec, o)
	}
}

// RequireField returns the user's error if a field is asked for that the texts are not from; "" asks for none.
func (c *Corpus) RequireField(field string) error {
	if field == "" || field == c.Field {
		return nil
	}
	return usererr.New("data.field is %q, but %s was not read from that field of JSON objects; leave it out", field, c.Source)
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
