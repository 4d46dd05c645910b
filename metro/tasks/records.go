// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"metrolab/internal/jsonlines"
	"metrolab/internal/packed"
	"metrolab/internal/usererr"
	"metrolab/metro/runs"
)

// record is a row of a file: its fields by the names of their columns. Those of a file without a header have the numbers of
// their columns for names, from 1.
type record struct {
	line   int
	fields map[string]any // of JSON as [jsonlines.Line.Decode] reads it, else strings
}

// find is the field of a name, of a nested object with points: "target.span1_text".
func (r record) find(column string) (any, bool) {
	if v, ok := r.fields[column]; ok {
		return v, v != nil
	}
	outer, rest, nested := strings.Cut(column, ".")
	if object, ok := r.fields[outer].(map[string]any); ok && nested {
		return record{fields: object}.find(rest)
	}
	return nil, false
}

// text is a field that must hold text.
func (r record) text(column string) (string, error) {
	v, ok := r.find(column)
	if !ok {
		return "", fmt.Errorf("there is no field %q", column)
	}
	text, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("the field %q is no text", column)
	}
	if strings.TrimSpace(text) == "" {
		return "", fmt.Errorf("the field %q is empty", column)
	}
	return text, nil
}

// label is a field that is a text, a number or a truth value, as text. Numbers that are equal are one label.
func (r record) label(column string) (string, error) {
	v, ok := r.find(column)
	if !ok {
		return "", fmt.Errorf("there is no field %q", column)
	}
	switch v := v.(type) {
	case string:
		if v = strings.TrimSpace(v); v == "" {
			return "", fmt.Errorf("the field %q is empty", column)
		}
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case json.Number:
		number, err := runs.Canonical(v)
		return string(number), err
	}
	return "", fmt.Errorf("the field %q is no text, number or truth value", column)
}

// kind is what a label is written as: a string, a number or a truth value.
func (r record) kind(column string) string {
	v, _ := r.find(column)
	switch v.(type) {
	case bool:
		return "truth value"
	case json.Number:
		return "number"
	}
	return "string"
}

// badRows are the rows of a task's files that cannot be read. They are refused all together, or passed over and counted, as
// the user says.
type badRows struct {
	skip    bool
	rows    int      // of all files, good and bad
	reasons []string // of the bad ones: file, line, and why
	whole   error    // of no row, and not passed over
	remarks []string // of the task, that no row is refused for
}

// fail takes note of what is wrong with the rows together.
func (b *badRows) fail(err error) { b.whole = cmp.Or(b.whole, err) }

// remark takes note of what is to be known of the examples, unless it is nothing.
func (b *badRows) remark(text string) {
	if text != "" {
		b.remarks = append(b.remarks, text)
	}
}

// add takes note of a row.
func (b *badRows) add(path string, line int, err error) {
	b.reasons = append(b.reasons, fmt.Sprintf("%s:%d: %v", path, line, err))
}

// reasonsShown is how many of the bad rows are named.
const reasonsShown = 5

// String counts the bad rows and names the first.
func (b *badRows) String() string {
	s := fmt.Sprintf("%d of %d rows cannot be read: %s", len(b.reasons), b.rows, strings.Join(b.reasons[:min(len(b.reasons), reasonsShown)], "; "))
	if more := len(b.reasons) - reasonsShown; more > 0 {
		s += fmt.Sprintf("; and %d more", more)
	}
	return s
}

// err is the user's error if there are bad rows that are not to be passed over.
func (b *badRows) err() error {
	if b.whole != nil || len(b.reasons) == 0 || b.skip {
		return b.whole
	}
	return usererr.New("%s. Mend them, or pass them over with --skip-bad-rows", b)
}

// notes says what was passed over, and what else is to be known.
func (b *badRows) notes() []string {
	if len(b.reasons) == 0 {
		return b.remarks
	}
	return append([]string{b.String() + "; they are passed over"}, b.remarks...)
}

// open opens a file of examples, which may be packed: of a name that is not there, the same with .gz or .zst behind it is.
func open(path string) (io.ReadCloser, error) {
	file, err := packed.Open(path)
	for _, end := range packedEnds {
		if !errors.Is(err, os.ErrNotExist) {
			break
		}
		if other, e := packed.Open(path + end); !errors.Is(e, os.ErrNotExist) {
			file, err = other, e
		}
	}
	if err != nil {
		return nil, usererr.New("examples: %w", err)
	}
	return file, nil
}

// packedEnds may stand behind the name of a file that a task names.
var packedEnds = []string{".gz", ".zst"}

// format is how a file says its rows: "jsonl", "tsv" or "csv", by its name.
func format(path string) (string, error) {
	switch ext := filepath.Ext(packed.Trim(path)); ext {
	case ".jsonl", ".tsv", ".csv":
		return ext[1:], nil
	default:
		return "", usererr.New("%s: rows are read from files that end in .jsonl, .tsv or .csv (and .gz or .zst behind it)", path)
	}
}

// readRecords calls visit with the rows of a file; its error makes a bad row. columns are those that every row must have. TSV
// is read as GLUE writes it: a line is a row and quotes are characters like others; CSV has quotes as RFC 4180 says.
func readRecords(path string, header bool, columns []string, bad *badRows, visit func(record) error) error {
	kind, err := format(path)
	if err != nil {
		return err
	}
	file, err := open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	take := func(r record, err error) {
		bad.rows++
		if err == nil {
			err = visit(r)
		}
		if err != nil {
			bad.add(path, r.line, err)
		}
	}
	switch kind {
	case "jsonl":
		err = readJSONLines(file, take)
	case "tsv":
		err = readRows(path, &tabbed{lines: newLines(file)}, header, columns, take)
	default:
		err = readRows(path, newCommas(file), header, columns, take)
	}
	if err != nil {
		return usererr.New("%s: %w", path, err)
	}
	return nil
}

func readJSONLines(file io.Reader, take func(record, error)) error {
	for line, err := range jsonlines.Lines(file) {
		if err != nil {
			return err
		}
		r := record{line: line.Number}
		err := line.Decode(&r.fields)
		if err != nil {
			err = fmt.Errorf("no JSON object: %w", err)
		}
		take(r, err)
	}
	return nil
}

// rowReader gives one row after the other; io.EOF ends them. A bad row has an error and does not end them.
type rowReader interface {
	next() (fields []string, line int, bad, err error)
}

// readRows reads a table.
func readRows(path string, rows rowReader, header bool, columns []string, take func(record, error)) error {
	var names []string
	for {
		fields, line, bad, err := rows.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if bad == nil {
			bad = areUTF8(fields)
		}
		if names == nil && header {
			if bad != nil {
				return fmt.Errorf("line %d: %w", line, bad)
			}
			names = fields
			if err := haveColumns(names, columns); err != nil {
				return err
			}
			continue
		}
		if names == nil {
			for i := range fields {
				names = append(names, strconv.Itoa(i+1))
			}
			if err := haveColumns(names, columns); err != nil {
				return err
			}
		}
		if bad == nil && len(fields) != len(names) {
			bad = fmt.Errorf("%d columns where the first line has %d", len(fields), len(names))
		}
		r := record{line: line, fields: make(map[string]any, len(names))}
		for i := range min(len(fields), len(names)) {
			r.fields[names[i]] = fields[i]
		}
		take(r, bad)
	}
}

// haveColumns is the error for a table that lacks a column, or has two of its name.
func haveColumns(names, columns []string) error {
	for _, column := range columns {
		first := slices.Index(names, column)
		switch {
		case first < 0:
			return fmt.Errorf("there is no column %q; there are %s%s", column, strings.Join(names, ", "), otherwiseParted(names))
		case slices.Contains(names[first+1:], column):
			return fmt.Errorf("there are two columns %q; name one of them otherwise", column)
		}
	}
	return nil
}

// otherwiseParted is a hint for a table whose first line is one column with other separators in it.
func otherwiseParted(names []string) string {
	if len(names) == 1 && strings.ContainsAny(names[0], "\t;,|") {
		return "; columns are parted by commas in a .csv and by tabs in a .tsv"
	}
	return ""
}

// errNotUTF8 is said of a line.
var errNotUTF8 = errors.New("it is not UTF-8; save the file as UTF-8, or convert it: iconv -f ENCODING -t UTF-8")

// areUTF8 is the error for fields in another encoding, whose letters would be lost.
func areUTF8(fields []string) error {
	for _, field := range fields {
		if !utf8.ValidString(field) {
			return errNotUTF8
		}
	}
	return nil
}

// tabbed reads TSV.
type tabbed struct {
	lines *bufio.Scanner
	n     int
}

func newLines(r io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 64<<10), jsonlines.MaxLine)
	return s
}

func (t *tabbed) next() (fields []string, line int, bad, err error) {
	for t.lines.Scan() {
		t.n++
		text := strings.TrimSuffix(t.lines.Text(), "\r")
		if t.n == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		if text != "" {
			return strings.Split(text, "\t"), t.n, nil, nil
		}
	}
	if err := t.lines.Err(); err != nil {
		return nil, t.n, nil, fmt.Errorf("line %d: %w", t.n+1, err)
	}
	return nil, t.n, nil, io.EOF
}

// commas reads CSV.
type commas struct{ *csv.Reader }

func newCommas(r io.Reader) commas {
	buffered := bufio.NewReader(r)
	if mark, _ := buffered.Peek(3); string(mark) == "\ufeff" {
		_, _ = buffered.Discard(3)
	}
	reader := csv.NewReader(buffered)
	reader.FieldsPerRecord = -1
	return commas{reader}
}

func (c commas) next() (fields []string, line int, bad, err error) {
	fields, err = c.Read()
	if syntax, ok := errors.AsType[*csv.ParseError](err); ok {
		return nil, syntax.StartLine, syntax.Err, nil
	}
	if err != nil {
		return nil, 0, nil, err
	}
	line, _ = c.FieldPos(0)
	return fields, line, nil, nil
}
