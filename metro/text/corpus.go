// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"metrolab/internal/usererr"
)

// Corpus is a prepared corpus: a folder with the documents of each split, one JSON object a line, and a manifest. It
// holds no text in memory and may be read from many goroutines.
type Corpus struct {
	Dir    string // where it lies
	Name   string // "godoc", or the name of the user's file or folder
	Source string // what it was made of, for people: names the Go version, or the path
	Field  string // the field of JSON objects that its texts were in; "" for text as such
	Hash   string // SHA-256 in hex of all texts, their order and their splits: equal hashes, equal texts, whatever their labels
	Stats  Stats
	// Notes say what a person should know of the source before a model is trained on it, a sentence each: what of a folder
	// was passed over, and what could not be read as it stood.
	Notes []string

	files map[Split]fileSum
}

// Open returns the prepared corpus in dir. It checks that the files are there and as long as their manifest says; for
// their content see [Corpus.Verify]. What is wrong with dir is the user's to mend.
func Open(dir string) (*Corpus, error) {
	m, _, err := readManifest(dir)
	if err != nil {
		return nil, usererr.New("corpus %s is not a prepared corpus, or a damaged one: %w", dir, err)
	}
	for _, split := range Splits {
		path := filepath.Join(dir, fileName(split))
		info, err := os.Stat(path)
		if err != nil {
			return nil, usererr.New("corpus %s is damaged: %w", dir, err)
		}
		if want := m.Files[split].Bytes; info.Size() != want {
			return nil, usererr.New("corpus %s is damaged: %s has %d bytes, its manifest says %d; prepare or copy it again",
				dir, path, info.Size(), want)
		}
	}
	c := &Corpus{Dir: dir, Name: m.Name, Source: m.Source, Field: m.Field, Hash: m.Hash, Stats: m.Stats, Notes: m.Notes, files: m.Files}
	if m.Format == firstFormat {
		err = c.hashTexts()
	}
	return c, err
}

// hashTexts finds the hash of a corpus whose manifest does not have it.
func (c *Corpus) hashTexts() error {
	files := map[Split]fileSum{}
	for _, split := range Splits {
		h := sha256.New()
		for doc, err := range c.Documents(split) {
			if err != nil {
				return usererr.New("corpus %s is damaged: %w", c.Dir, err)
			}
			fmt.Fprintln(h, doc.Text)
		}
		files[split] = fileSum{Texts: hex.EncodeToString(h.Sum(nil))}
	}
	c.Hash = contentHash(files)
	return nil
}

// Verify reads all files and compares them with the SHA-256 of the manifest.
func (c *Corpus) Verify() error {
	for _, split := range Splits {
		path := filepath.Join(c.Dir, fileName(split))
		f, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("corpus %s: %w", c.Dir, err)
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return fmt.Errorf("corpus %s: %w", c.Dir, err)
		}
		if got, want := hex.EncodeToString(h.Sum(nil)), c.files[split].SHA256; got != want {
			return usererr.New("corpus %s is damaged: the SHA-256 of %s is %.12s…, its manifest says %.12s…; remove the folder and prepare or copy it again",
				c.Dir, path, got, want)
		}
	}
	return nil
}

// maxLine bounds a line of a split: a text of MaxDocumentBytes and a label, each byte escaped as \u0000.
const maxLine = 6 * (MaxDocumentBytes + 8<<10)

// Documents streams the documents of a split in their fixed order: file by file, then by place in the file. An error ends the
// stream and comes with an empty document; so does a stream with fewer documents than [Stats] says.
func (c *Corpus) Documents(split Split) iter.Seq2[Document, error] {
	return c.documents(split, 0)
}

// documents streams those behind the first skip ones.
func (c *Corpus) documents(split Split, skip int64) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		path := filepath.Join(c.Dir, fileName(split))
		want, ok := c.Stats.Splits[split]
		if !ok {
			yield(Document{}, fmt.Errorf("corpus %s has no split %q: there are %v", c.Dir, split, Splits))
			return
		}
		f, err := os.Open(path)
		if err != nil {
			yield(Document{}, fmt.Errorf("corpus %s: %w", c.Dir, err))
			return
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(make([]byte, 0, 64<<10), maxLine)
		var n int64
		for lines.Scan() {
			if n++; n <= skip {
				continue
			}
			var doc Document
			if err := json.Unmarshal(lines.Bytes(), &doc); err != nil {
				yield(Document{}, fmt.Errorf("%s:%d: %w", path, n, err))
				return
			}
			if !yield(doc, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(Document{}, fmt.Errorf("%s:%d: %w", path, n+1, err))
		} else if n != want.Documents {
			yield(Document{}, fmt.Errorf("%s: %d documents, the manifest says %d", path, n, want.Documents))
		}
	}
}

// Texts yields the texts of a split; what ends it early is left in *failure.
func (c *Corpus) Texts(ctx context.Context, split Split, failure *error) iter.Seq[string] {
	return c.TextsFrom(ctx, split, 0, failure)
}

// TextsFrom is [Corpus.Texts] behind the first skip documents, which are passed over at a gigabyte a second.
func (c *Corpus) TextsFrom(ctx context.Context, split Split, skip int, failure *error) iter.Seq[string] {
	return func(yield func(string) bool) {
		for d, err := range c.documents(split, int64(skip)) {
			if err = errors.Join(err, ctx.Err()); err != nil {
				*failure = err
				return
			}
			if !yield(d.Text) {
				return
			}
		}
	}
}
