// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"metrolab/internal/usererr"
)

// textSource is the user's own text: a file, or the text files below a folder in lexical order. Hidden files and folders
// are passed over, links to files are followed, links to folders are not.
func textSource(path string) (source, error) {
	root, err := filepath.EvalSymlinks(path)
	if err == nil {
		root, err = filepath.Abs(root)
	}
	if err != nil {
		return source{}, usererr.New("corpus %s: %w", path, err)
	}
	files, others, err := textFiles(root)
	if err != nil {
		return source{}, usererr.New("corpus %s: %w", path, err)
	}
	if len(files) == 0 {
		return source{}, usererr.New("corpus %s: the folder holds no .txt or .md file (.gz of them included), and %d files of other kinds", path, others)
	}
	key := sha256.New()
	fmt.Fprintf(key, "text %d %q\n", extractorVersion, root)
	for _, f := range files {
		fmt.Fprintf(key, "%q %d %d\n", f.path, f.size, f.modified)
	}
	return source{key: hex.EncodeToString(key.Sum(nil)), fill: func(ctx context.Context, dir string, progress func(done, total int)) error {
		return fillFromText(ctx, root, files, dir, progress)
	}}, nil
}

type textFile struct {
	path, label string
	size        int
	modified    int64 // nanoseconds
}

// textFiles lists the file root itself, or the text files below it, and counts the others.
func textFiles(root string) (files []textFile, others int, err error) {
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != root && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			return nil
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() || path != root && !isText(path) {
			others++
			return nil
		}
		label := filepath.Base(path)
		if path != root {
			if label, err = filepath.Rel(root, path); err != nil {
				return err
			}
		}
		label = strings.ToValidUTF8(filepath.ToSlash(label), "\uFFFD")
		files = append(files, textFile{path: path, label: label, size: int(info.Size()), modified: info.ModTime().UnixNano()})
		return nil
	})
	return files, others, err
}

// corpusName is the name of a file or folder without the extensions of text.
func corpusName(root string) string {
	name := strings.TrimSuffix(filepath.Base(root), ".gz")
	return strings.TrimSuffix(strings.TrimSuffix(name, ".txt"), ".md")
}

func isText(path string) bool {
	ext := filepath.Ext(strings.TrimSuffix(strings.ToLower(path), ".gz"))
	return ext == ".txt" || ext == ".md"
}

func fillFromText(ctx context.Context, root string, files []textFile, dir string, progress func(done, total int)) error {
	b, err := newBuilder(dir, false)
	if err != nil {
		return err
	}
	defer b.close()
	total, done := 0, 0
	for _, f := range files {
		total += f.size
	}
	for _, f := range files {
		tracked := func(n int) error {
			done += n
			progress(min(done, total), total)
			return ctx.Err()
		}
		if err := b.addTextFile(f, tracked); err != nil {
			return err
		}
	}
	if b.empty() {
		return usererr.New("corpus %s: %d text files with %d bytes, and not one word in them", root, len(files), total)
	}
	return b.finish(corpusName(root), fmt.Sprintf("%d text files of %s", len(files), root))
}

// addTextFile streams a file into the corpus. The function read hears of the bytes read from disk, a block at a time.
func (b *builder) addTextFile(f textFile, read func(n int) error) error {
	file, err := os.Open(f.path)
	if err != nil {
		return usererr.New("corpus file: %w", err)
	}
	defer file.Close()
	raw := &trackedReader{r: file, read: read}
	var r io.Reader = bufio.NewReaderSize(raw, 256<<10)
	if strings.HasSuffix(strings.ToLower(f.path), ".gz") {
		if r, err = gzip.NewReader(r); err != nil {
			return usererr.New("corpus file %s (%d bytes) is not a gzip file: %w", f.path, f.size, err)
		}
	}
	invalid, err := paragraphs(r, func(text string) error {
		if err := b.add(text, f.label); err != nil {
			return &writeError{err}
		}
		return nil
	})
	b.stats.Files++
	b.stats.InvalidBytes += invalid
	var write *writeError
	switch {
	case err == nil:
		return nil
	case raw.stopped != nil:
		return raw.stopped
	case errors.As(err, &write):
		return write.error
	default:
		return usererr.New("corpus file %s (%d bytes) cannot be read to its end: %w", f.path, f.size, err)
	}
}

// writeError tells a failure of the cache from one of the file that is read.
type writeError struct{ error }

// trackedReader reports what is read and can be stopped.
type trackedReader struct {
	r       io.Reader
	read    func(n int) error
	stopped error
}

func (t *trackedReader) Read(p []byte) (int, error) {
	if t.stopped != nil {
		return 0, t.stopped
	}
	n, err := t.r.Read(p)
	if t.stopped = t.read(n); t.stopped != nil {
		return 0, t.stopped
	}
	return n, err
}

// paragraphs streams the paragraphs of a text: what stands between blank lines, its white space runs turned into single
// spaces, cut at MaxDocumentBytes. It returns the number of bytes that were not UTF-8.
func paragraphs(r io.Reader, emit func(text string) error) (invalid int64, err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	if err := skipByteOrderMark(in); err != nil {
		return 0, err
	}
	text := make([]byte, 0, MaxDocumentBytes+utf8.UTFMax)
	var space, blank bool // white space is due before the next word; the line has no word yet
	flush := func(end int) error {
		head := string(text[:end])
		text = append(text[:0], strings.TrimPrefix(string(text[end:]), " ")...)
		if head == "" {
			return nil
		}
		return emit(head)
	}
	for {
		c, size, err := in.ReadRune()
		if err == io.EOF {
			return invalid, flush(len(text))
		}
		if err != nil {
			return invalid, err
		}
		if c == utf8.RuneError && size == 1 {
			invalid++
		}
		if unicode.IsSpace(c) {
			if c == '\n' && blank {
				if err := flush(len(text)); err != nil {
					return invalid, err
				}
			}
			blank = blank || c == '\n'
			space = true
			continue
		}
		if space && len(text) > 0 {
			text = append(text, ' ')
		}
		space, blank = false, false
		text = utf8.AppendRune(text, c)
		if len(text) > MaxDocumentBytes {
			if err := flush(cutPoint(text[:lastRuneStart(text)])); err != nil {
				return invalid, err
			}
		}
	}
}

// lastRuneStart returns where the last rune of text begins.
func lastRuneStart(text []byte) int {
	_, size := utf8.DecodeLastRune(text)
	return len(text) - size
}

// skipByteOrderMark passes over UTF-8's mark. It refuses those of UTF-16, and zero bytes, which no text has.
func skipByteOrderMark(in *bufio.Reader) error {
	raw, err := in.Peek(1 << 10)
	if err != nil && err != io.EOF {
		return err
	}
	start := string(raw)
	switch {
	case strings.HasPrefix(start, "\xEF\xBB\xBF"):
		_, err := in.Discard(3)
		return err
	case strings.HasPrefix(start, "\xFF\xFE"), strings.HasPrefix(start, "\xFE\xFF"), strings.Contains(start, "\x00"):
		return errors.New("it is binary or UTF-16; text must be UTF-8")
	}
	return nil
}
