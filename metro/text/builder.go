// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"strings"

	"metrolab/internal/atomicfile"
)

// builder writes documents into the splits of a new corpus in dir. It keeps nothing of them but, where duplicates are to
// be dropped, their keys.
type builder struct {
	dir   string
	out   map[Split]*splitWriter
	stats Stats
	once  repeats // nil where duplicates are kept
	seen  *keySet
}

type splitWriter struct {
	file  atomicfile.File
	buf   *bufio.Writer
	size  int64
	sum   hash.Hash // of the file
	texts hash.Hash // of the texts, a line each
	enc   *json.Encoder
	count Count
}

// Write writes a line of the file.
func (w *splitWriter) Write(line []byte) (int, error) {
	w.sum.Write(line)
	w.size += int64(len(line))
	return w.buf.Write(line)
}

// newBuilder drops what once says came before; nothing if it is nil.
func newBuilder(dir string, once repeats) (*builder, error) {
	b := &builder{dir: dir, out: map[Split]*splitWriter{}, once: once, seen: newKeySet(dir)}
	for _, split := range Splits {
		file, err := atomicfile.OS.OpenFile(filepath.Join(dir, fileName(split)), os.O_CREATE|os.O_EXCL|os.O_WRONLY)
		if err != nil {
			b.close()
			return nil, err
		}
		w := &splitWriter{file: file, buf: bufio.NewWriterSize(file, 256<<10), sum: sha256.New(), texts: sha256.New()}
		w.enc = json.NewEncoder(w)
		w.enc.SetEscapeHTML(false)
		b.out[split] = w
	}
	return b, nil
}

// add writes one document into the split that its text falls in.
func (b *builder) add(text, label string) error {
	key := textKey(text)
	if again, err := b.again(text, key); again || err != nil {
		return err
	}
	w := b.out[splitOf(key)]
	w.count.add(Count{Documents: 1, Words: int64(strings.Count(text, " ") + 1), Bytes: int64(len(text))})
	fmt.Fprintln(w.texts, text)
	return w.enc.Encode(Document{Text: text, Label: label})
}

// again reports whether the text is one that came before and is to stand once, and counts it.
func (b *builder) again(text string, key uint64) (bool, error) {
	if b.once == nil {
		return false, nil
	}
	key, once := b.once(text, key)
	if !once {
		return false, nil
	}
	added, err := b.seen.add(key)
	if !added && err == nil {
		b.stats.Duplicates++
	}
	return !added, err
}

// finish completes the files and writes the manifest, of which it is given what to say of the source.
func (b *builder) finish(m manifest) error {
	if err := b.seen.close(); err != nil {
		return err
	}
	m.Format, m.Name, m.Files, m.Stats = manifestFormat, safeName(m.Name), map[Split]fileSum{}, b.stats
	m.Stats.Splits = map[Split]Count{}
	for split, w := range b.out {
		if err := w.buf.Flush(); err != nil {
			return err
		}
		m.Files[split] = fileSum{Bytes: w.size, SHA256: hex.EncodeToString(w.sum.Sum(nil)), Texts: hex.EncodeToString(w.texts.Sum(nil))}
		m.Stats.Splits[split] = w.count
	}
	m.Hash = contentHash(m.Files)
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("manifest of corpus %s: %w", m.Name, err)
	}
	return atomicfile.OS.CreateFile(filepath.Join(b.dir, manifestName), append(raw, '\n'))
}

// close closes the files; what finish wrote stays.
func (b *builder) close() error {
	errs := []error{b.seen.close()}
	for _, w := range b.out {
		errs = append(errs, w.file.Close())
	}
	return errors.Join(errs...)
}

func (b *builder) empty() bool {
	for _, w := range b.out {
		if w.count.Documents > 0 {
			return false
		}
	}
	return true
}
