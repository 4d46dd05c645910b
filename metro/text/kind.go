// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"metrolab/internal/packed"
)

// kind is what a file holds, in words that follow "is"; "" is text.
type kind string

const (
	kindText    kind = ""
	kindJSON    kind = "JSON"
	kindParquet kind = "a Parquet file"
)

// taken says what a corpus can be made of.
const taken = "what is taken: text or Markdown in UTF-8, sequences in FASTA, files whose names end as data.files says, JSON lines or Parquet whose text is in the field that data.field names, a .gz or .zst of text or JSON, a folder of such files, or a corpus from `metro data export`"

// byName are kinds that a file's name gives away, whatever is in it.
var byName = map[string]kind{
	".csv": "a table (CSV)", ".tsv": "a table (TSV)", ".xls": "a spreadsheet", ".xlsx": "a spreadsheet", ".ods": "a spreadsheet",
	".html": "a web page (HTML)", ".htm": "a web page (HTML)", ".xhtml": "a web page (HTML)", ".xml": "XML",
	".pdf": "a PDF document", ".doc": "a Word document", ".docx": "a Word document", ".odt": "an OpenDocument text",
	".epub": "an e-book (EPUB)", ".rtf": "rich text (RTF)", ".zip": "a ZIP archive", ".tar": "a tar archive",
	".parquet": kindParquet, ".arrow": "an Arrow file",
	".json": kindJSON, ".jsonl": kindJSON, ".ndjson": kindJSON,
}

// magic are the first bytes of kinds that no text begins with.
var magic = []struct {
	start string
	kind  kind
}{
	{"\xFF\xFE\x00\x00", "UTF-32 text (little-endian)"}, {"\x00\x00\xFE\xFF", "UTF-32 text (big-endian)"},
	{"\xFF\xFE", "UTF-16 text (little-endian)"}, {"\xFE\xFF", "UTF-16 text (big-endian)"},
	{"%PDF-", "a PDF document"}, {"%!PS", "PostScript"}, {`{\rtf`, "rich text (RTF)"}, {"\xD0\xCF\x11\xE0", "an old Office document"},
	{"PK\x03\x04", "a ZIP archive, which .docx, .odt and .epub are, too"}, {"\x1F\x8B", "packed twice by gzip"}, {"BZh9", "packed by bzip2"},
	{"\xFD7zXZ", "packed by xz"}, {"\x28\xB5\x2F\xFD", "packed twice by zstd"}, {"7z\xBC\xAF", "a 7-Zip archive"}, {"Rar!", "a RAR archive"},
	{"PAR1", kindParquet}, {"ARROW1", "an Arrow file"}, {"SQLite format 3", "an SQLite database"}, {"\x93NUMPY", "a NumPy array"},
	{"\x89HDF", "an HDF5 file"}, {"\x7FELF", "a binary program (ELF)"}, {"\x89PNG", "a picture (PNG)"}, {"\xFF\xD8\xFF", "a picture (JPEG)"},
	{"GIF89a", "a picture (GIF)"},
}

// headBytes is how much of a file its kind is told by.
const headBytes = 64 << 10

// kindOf tells the kind of a file by its name and its first bytes, all of them if whole.
func kindOf(name string, head []byte, whole bool) kind {
	ext := extension(name)
	if k := byName[ext]; k != kindText {
		return k
	}
	if k := binaryKind(head); k != kindText {
		return k
	}
	head = bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\xEF\xBB\xBF")))
	switch {
	case isJSON(head, whole):
		return kindJSON
	case isMarkup(head, ext == ".md"):
		return "a web page (HTML) or XML"
	}
	return tableKind(head, whole)
}

// binaryKind tells a kind that no text is, by its first bytes.
func binaryKind(head []byte) kind {
	for _, m := range magic {
		if bytes.HasPrefix(head, []byte(m.start)) {
			return m.kind
		}
	}
	if len(head) > 262 && string(head[257:262]) == "ustar" {
		return "a tar archive"
	}
	return zeros(head)
}

// extension is the end of a file's name in lower case, that of what is packed if it is.
func extension(name string) string {
	return filepath.Ext(packed.Trim(strings.ToLower(name)))
}

// zeros tells what has zero bytes near its beginning, as no text has.
func zeros(head []byte) kind {
	start := head[:min(len(head), 1<<10)]
	if bytes.IndexByte(start, 0) < 0 {
		return kindText
	}
	var count [2]int
	for i, c := range start {
		if c == 0 {
			count[i%2]++
		}
	}
	if few, many := min(count[0], count[1]), max(count[0], count[1]); len(start) >= 8 && few == 0 && many > len(start)/8 {
		return "UTF-16 text without a mark, by its zero bytes"
	}
	return "binary, with zero bytes"
}

// isJSON reports whether a text begins as an object with a named value does, or an array of such, or one of strings.
// Later faults do not make it prose.
func isJSON(head []byte, whole bool) bool {
	dec := json.NewDecoder(bytes.NewReader(head))
	next := func() json.Token {
		token, err := dec.Token()
		if !whole && (err == io.EOF || err == io.ErrUnexpectedEOF) {
			return "" // a string that the head cuts
		}
		return token
	}
	isString := func(token json.Token) bool {
		_, ok := token.(string)
		return ok
	}
	token := next()
	if token == json.Delim('[') {
		if token = next(); isString(token) {
			second, third := next(), next()
			return isString(second) && isString(third)
		}
	}
	if token != json.Delim('{') || !isString(next()) {
		return false
	}
	_, err := dec.Token()
	return err == nil || !whole && (err == io.EOF || err == io.ErrUnexpectedEOF)
}

var tag = regexp.MustCompile(`</?[A-Za-z][A-Za-z0-9:._-]*(?:\s[^<>]{0,400})?/?>`)

// isMarkup reports whether a text is HTML or XML: by how it begins or, as Markdown may have tags, too, by how much of
// it is tags, or how many of its lines begin with one.
func isMarkup(head []byte, markdown bool) bool {
	start := bytes.ToLower(head[:min(len(head), 4<<10)])
	for _, s := range []string{"<!doctype", "<html", "<?xml"} {
		if bytes.HasPrefix(start, []byte(s)) {
			return true
		}
	}
	if markdown || len(head) == 0 || head[0] != '<' {
		return false
	}
	tags, closing := 0, 0
	for _, t := range tag.FindAll(head, -1) {
		tags += len(t)
		if t[1] == '/' {
			closing++
		}
	}
	lines, tagged := 0, 0
	for line := range bytes.Lines(head) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			lines++
			if line[0] == '<' {
				tagged++
			}
		}
	}
	return bytes.Contains(start, []byte("<html")) || closing >= 5 && (tags*10 > len(head) || tagged*2 > lines)
}

// tableKind tells tables of values that are separated by tabs, commas or semicolons.
func tableKind(head []byte, whole bool) kind {
	if !whole { // the last line is cut
		head = head[:max(0, bytes.LastIndexByte(head, '\n'))]
	}
	for _, t := range []struct {
		separator rune
		kind      kind
	}{{'\t', "a table of values with tabs between them (TSV)"}, {',', "a table of values with commas between them (CSV)"}, {';', "a table of values with semicolons between them (CSV)"}} {
		if isTable(head, t.separator) {
			return t.kind
		}
	}
	return kindText
}

// isTable reports whether the first records, five at least, all have as many fields. Prose has a space behind a comma, or
// nothing at the end of a line; a table has neither, or a column of numbers.
func isTable(head []byte, separator rune) bool {
	r := csv.NewReader(bytes.NewReader(head))
	r.Comma, r.LazyQuotes, r.ReuseRecord = separator, true, true
	records, prose, unnamed := 0, 0, 0
	var numbers []int // in each column
	for ; records < 100; records++ {
		record, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil { // another number of fields is an error of the reader's
			return false
		}
		if numbers == nil {
			numbers = make([]int, len(record))
		}
		for i, field := range record {
			if _, err := strconv.ParseFloat(strings.TrimSpace(field), 64); err == nil {
				numbers[i]++
			}
		}
		if record[0] == "" {
			unnamed++
		}
		rest := record[1:]
		if strings.Join(rest, "") == "" || slices.ContainsFunc(rest, func(field string) bool { return strings.HasPrefix(field, " ") }) {
			prose++
		}
	}
	if records < 5 || len(numbers) < 2 || unnamed > records/2 {
		return false
	}
	return prose*10 <= records || len(numbers) >= 3 && slices.Max(numbers) >= records-1
}
