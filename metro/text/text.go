// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"metrolab/internal/bounded"
	"metrolab/internal/packed"
	"metrolab/internal/usererr"
)

// textSource is the user's own text: a file, or the text files below a folder, as o says.
func textSource(path string, o Options) (source, error) {
	root, err := filepath.EvalSymlinks(path)
	if err == nil {
		root, err = filepath.Abs(root)
	}
	if err != nil {
		return source{}, usererr.New("corpus %s: %w", path, err)
	}
	l, err := list(root, o)
	switch {
	case err != nil:
		return source{}, usererr.New("corpus %s: %w", path, err)
	case len(l.files) > 0:
	case len(l.passed[noFile]) == 1 && l.passed[noFile][0] == filepath.Base(root):
		return source{}, usererr.New("corpus %s is a device, a pipe or a socket, not a file; %s", path, taken)
	default:
		return source{}, usererr.New("corpus %s: the folder holds no .txt or .md file (.gz and .zst of them included), and %d files of other kinds%s; %s",
			path, len(l.passed[otherKind]), l.passed.inBrackets(), taken)
	}
	for _, end := range o.Files {
		if !o.Among && !slices.ContainsFunc(l.files, func(f textFile) bool { return extension(f.path) == end }) {
			return source{}, usererr.New("corpus %s: data.files names %s, and no file there ends so; leave it out", path, strings.TrimPrefix(end, "."))
		}
	}
	key := sha256.New()
	fmt.Fprintf(key, "text %d %q %q %q\n", extractorVersion, root, o.Field, l.passed)
	if len(o.Files) > 0 {
		fmt.Fprintf(key, "%q\n", o.Files)
	}
	for _, f := range l.files {
		fmt.Fprintf(key, "%q %d %d\n", f.path, f.size, f.modified)
	}
	return source{
		key: hex.EncodeToString(key.Sum(nil)),
		sum: func(ctx context.Context) (string, error) { return contentSum(ctx, l.files) },
		fill: func(ctx context.Context, dir string, progress func(done, total int)) error {
			return fillFromText(ctx, l, o, dir, progress)
		},
	}, nil
}

// contentSum is a SHA-256 of the files as they lie on the disk.
func contentSum(ctx context.Context, files []textFile) (string, error) {
	h := sha256.New()
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		file, err := os.Open(f.path)
		if err != nil {
			return "", err
		}
		n, err := io.Copy(h, file)
		file.Close()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "\n%d\n", n)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// corpusName is the name of a file or folder without the extensions of text.
func corpusName(root string) string {
	name := packed.Trim(filepath.Base(root))
	return strings.TrimSuffix(strings.TrimSuffix(name, ".txt"), ".md")
}

// fillFromText writes the corpus of a file or a folder. Files are read in the order of what is in them: how they are named,
// and whether they are packed, changes nothing.
func fillFromText(ctx context.Context, l listing, o Options, dir string, progress func(done, total int)) error {
	field := o.Field
	b, err := newBuilder(dir, exactly)
	if err != nil {
		return err
	}
	defer b.close()
	size, done, total := 0, 0, 0
	for _, f := range l.files {
		size += f.size
	}
	r := textReader{Options: o, read: func(n int) error {
		done += n
		progress(min(done, total), total)
		return ctx.Err()
	}}
	if total = size; len(l.files) > 1 {
		total *= 2
		if l.files, err = r.inContentOrder(l); err != nil {
			return err
		}
	}
	n := newNotes()
	for _, f := range l.files {
		documents := 0
		found, err := r.each(f, func(text string) error {
			documents++
			return b.add(text, f.label)
		})
		if err != nil {
			return err
		}
		b.stats.Files++
		b.stats.InvalidBytes += found.bytes.bad
		if documents == 0 && len(l.files) > 1 {
			l.passed[wordless] = append(l.passed[wordless], f.label)
		}
		n.add(f, found)
	}
	switch {
	case n.bytes.considerable():
		return usererr.New("corpus %s is not UTF-8: %v; %s", l.root, &n.bytes, convert("FILE"))
	case field != "" && n.objects.all == 0:
		return usererr.New("corpus %s: data.field is %q, and nothing in it is JSON or Parquet (%d files of text); leave data.field out, or give JSON lines", l.root, field, len(l.files))
	case field != "" && n.objects.without == n.objects.all:
		return usererr.New("corpus %s: data.field is %q, and none of %d %ss has a text in such a field; their fields are %v", l.root, field, n.objects.all, n.objects.noun, &n.objects)
	case b.empty():
		return usererr.New("corpus %s: %d text files with %d bytes, and not one word in them%s", l.root, len(l.files), size, l.passed.inBrackets())
	}
	slices.Sort(l.passed[wordless])
	return b.finish(manifest{
		Name: corpusName(l.root), Source: fmt.Sprintf("%d text files of %s", len(l.files), l.root), Field: field, Notes: n.lines(l, field, b.stats.Duplicates),
	})
}

// textReader reads files of text. The function read hears of the bytes read from disk, a block at a time.
type textReader struct {
	Options
	read func(n int) error
}

// found is what is to be said of a file that was read.
type found struct {
	bytes   tally
	objects objects
}

// inContentOrder reads the files of a folder and returns them in the order of the hashes of their documents. It refuses
// all at once that cannot be taken.
func (r textReader) inContentOrder(l listing) ([]textFile, error) {
	var refused []string
	var first error
	sums := map[string][]byte{}
	for _, f := range l.files {
		h := sha256.New()
		_, err := r.each(f, func(text string) error {
			_, err := io.WriteString(h, text+"\n")
			return err
		})
		if refusal, ok := errors.AsType[*refusal](err); ok {
			refused, first = append(refused, f.label), cmp.Or(first, refusal.error)
			continue
		}
		if err != nil {
			return nil, err
		}
		sums[f.path] = h.Sum(nil)
	}
	switch len(refused) {
	case 0:
		return slices.SortedStableFunc(slices.Values(l.files), func(a, b textFile) int { return bytes.Compare(sums[a.path], sums[b.path]) }), nil
	case 1:
		return nil, usererr.New("%w; or move it out of the folder", first)
	}
	return nil, usererr.New("%d of the %d files of %s cannot be taken (%s): the first, %w; mend them, or move them out of the folder",
		len(refused), len(l.files), l.root, enumerate(refused, 5), first)
}

// refusal is an error of a file that is read to its end, or known, and yet not taken.
type refusal struct{ error }

func (r *refusal) Unwrap() error { return r.error }

func refuse(f textFile, format string, args ...any) error {
	return &refusal{usererr.New("corpus file %s %s", f.path, fmt.Sprintf(format, args...))}
}

// each streams the documents of a file.
func (r textReader) each(f textFile, emit func(text string) error) (found, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return found{}, usererr.New("corpus file: %w", err)
	}
	defer file.Close()
	raw := &trackedReader{r: file, at: file, read: r.read}
	buffered := bufio.NewReaderSize(raw, 256<<10)
	if start, _ := buffered.Peek(bounded.PointerBytes); bounded.ErrPointer(f.path, string(start)) != nil {
		return found{}, refuse(f, "is a pointer that Git LFS has left in the place of the file; git lfs pull fetches it")
	}
	start, _ := buffered.Peek(packed.StartBytes)
	if string(start) == "PAR1" || strings.HasSuffix(strings.ToLower(f.path), ".parquet") {
		return r.rows(f, raw, emit)
	}
	var in io.Reader = buffered
	if p := packed.Of(f.path, start); p != nil {
		if in, err = unpacked(p, buffered, f.size); err != nil {
			return found{}, r.failed(raw, usererr.New("corpus file %s (%d bytes) is not a %s file: %w", f.path, f.size, p.Name, err))
		}
	}
	what := found{bytes: tally{r: in}}
	err = r.texts(f, &what, marked(emit))
	if err == nil && what.bytes.considerable() {
		err = refuse(f, "is not UTF-8: %v; %s", &what.bytes, convert(f.path))
	}
	return what, r.ended(f, raw, err)
}

// rows streams the documents of a Parquet file.
func (r textReader) rows(f textFile, raw *trackedReader, emit func(text string) error) (found, error) {
	var what found
	p := newParagraph(marked(emit))
	objects := &what.objects
	objects.noun = "row"
	var err error
	objects.fields, objects.all, objects.without, objects.first, err = readColumn(raw, int64(f.size), r.Field, func(text string) error {
		what.bytes.count([]byte(text))
		return p.addAll(text)
	})
	switch {
	case err != nil:
	case r.Field == "":
		err = refuse(f, "is a Parquet file, whose columns are: %v; name the one with the text, as --set data.field=NAME (of metro data, --field NAME)", objects)
	case what.bytes.considerable():
		err = refuse(f, "is not UTF-8: %v; it cannot be converted as it stands", &what.bytes)
	}
	return what, r.ended(f, raw, err)
}

// marked has the errors of emit known as such.
func marked(emit func(text string) error) func(text string) error {
	return func(text string) error {
		if err := emit(text); err != nil {
			return &writeError{err}
		}
		return nil
	}
}

// ended says what it means that reading a file ended with err.
func (r textReader) ended(f textFile, raw *trackedReader, err error) error {
	if err == nil {
		return nil
	}
	if write, ok := errors.AsType[*writeError](err); ok {
		return write.error
	}
	if refused, ok := errors.AsType[*refusal](err); ok {
		return refused
	}
	return r.failed(raw, usererr.New("corpus file %s (%d bytes) cannot be read to its end: %w", f.path, f.size, err))
}

// failed returns err unless reading was stopped.
func (textReader) failed(raw *trackedReader, err error) error {
	if raw.stopped != nil {
		return raw.stopped
	}
	return err
}

// texts streams the documents of an open file, of which what counts the bytes, according to its kind.
func (r textReader) texts(f textFile, what *found, emit func(text string) error) error {
	in := bufio.NewReaderSize(&what.bytes, headBytes)
	head, err := in.Peek(headBytes)
	if err != nil && err != io.EOF {
		return err
	}
	if isFASTA(f.path) {
		return fastaTexts(in, emit)
	}
	k := kindOf(f.path, head, err == io.EOF)
	if r.takes(f.path) {
		k = binaryKind(head) // what else it looks like, the user has called it text
	}
	switch {
	case k == kindJSON && r.Field != "":
		p := newParagraph(emit)
		what.objects, err = fieldTexts(in, r.Field, p.addAll)
		return err
	case k == kindJSON:
		objects, _ := fieldTexts(bufio.NewReader(bytes.NewReader(head)), "", func(string) error { return nil })
		if len(objects.fields) == 0 {
			return refuse(f, "holds JSON that begins with no object that has fields, of which one could name that of the text; %s", taken)
		}
		return refuse(f, "holds JSON, whose keys and numbers are no text; its fields are: %v; name the one with the text, as --set data.field=NAME (of metro data, --field NAME)", &objects)
	case k != kindText:
		return refuse(f, "is %s; %s", k, taken)
	}
	_, err = paragraphs(in, emit)
	return err
}

// convert says how to make UTF-8 of a file.
func convert(path string) string {
	return fmt.Sprintf("if it is in another encoding (GBK, Latin-1, …), convert it: iconv -f ENCODING -t UTF-8 %s", path)
}

// writeError tells a failure of the cache from one of the file that is read.
type writeError struct{ error }
