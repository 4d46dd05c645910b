// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/text/internal/columns"
)

func zstandard(t testing.TB, text string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return string(w.EncodeAll([]byte(text), nil))
}

// page is a row of a Parquet file as others write them: a text that may be null, one in a group, a list of texts, a number.
type page struct {
	Text   *string `parquet:"text,optional"`
	Nested struct {
		Body string `parquet:"body"`
	} `parquet:"nested"`
	Lines []string `parquet:"lines,list"`
	Year  int64    `parquet:"year"`
}

func parquetFile(t testing.TB, codec compress.Codec, rows []page) string {
	t.Helper()
	var out bytes.Buffer
	w := parquet.NewGenericWriter[page](&out, parquet.Compression(codec), parquet.PageBufferSize(256), parquet.MaxRowsPerRowGroup(7))
	_, err := w.Write(rows)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.String()
}

// pages are n rows; every tenth has no text.
func pages(n int) []page {
	rows := make([]page, n)
	for i := range rows {
		text := fmt.Sprintf("text number %d", i)
		if i%10 != 3 {
			rows[i].Text = &text
		}
		rows[i].Nested.Body = fmt.Sprintf("body number %d", i)
		rows[i].Lines = []string{fmt.Sprintf("first line %d", i), fmt.Sprintf("second line %d", i)}[:i%3]
		rows[i].Year = int64(i)
	}
	return rows
}

// However a text is packed, it is one corpus.
func TestZstd(t *testing.T) {
	const content = "one paragraph\n\nanother, with café\n\n"
	var hashes []string
	for name, raw := range map[string]string{
		"a.txt": content, "b.txt.gz": gzipped(t, content), "c.txt.zst": zstandard(t, content), "d": zstandard(t, content),
		"e.txt.zst": zstandard(t, content[:20]) + "\x50\x2A\x4D\x18\x01\x00\x00\x00x" + zstandard(t, content[20:]), // frames, and one to skip
	} {
		dir := writeTree(t, map[string]string{name: raw})
		c, err := prepare(t, filepath.Join(dir, name))
		require.NoError(t, err, name)
		hashes = append(hashes, c.Hash)
	}
	for _, hash := range hashes[1:] {
		require.Equal(t, hashes[0], hash)
	}
}

// A column is read in whatever way its pages are packed; a list holds a text each, and nulls are said.
func TestParquet(t *testing.T) {
	rows := pages(50)
	for name, codec := range map[string]compress.Codec{"none": &parquet.Uncompressed, "snappy": &parquet.Snappy, "zstd": &parquet.Zstd, "gzip": &parquet.Gzip} {
		path := filepath.Join(writeTree(t, map[string]string{"a.parquet": parquetFile(t, codec, rows)}), "a.parquet")
		for field, want := range map[string]int64{"text": 45, "nested.body": 50, "lines": 49} {
			c, err := PrepareWith(t.Context(), path, Options{Field: field, CacheDir: t.TempDir()})
			require.NoError(t, err, name)
			require.Equal(t, want, c.Stats.Total().Documents, "%s %s", name, field)
			if field == "text" {
				require.Equal(t, []string{`not every row has a text in the field "text", the others are left out: a.parquet (5 of 50 rows have no text in that field, the first is row 4)`}, c.Notes)
			}
		}
		_, err := prepare(t, path)
		require.True(t, usererr.Is(err))
		require.ErrorContains(t, err, "whose columns are: text, nested.body, lines, year; name the one with the text, as --set data.field=NAME")
		_, err = PrepareWith(t.Context(), path, Options{Field: "year", CacheDir: t.TempDir()})
		require.ErrorContains(t, err, `data.field is "year", and none of 50 rows has a text in such a field; their fields are text, nested.body, lines, year`)
	}
}

// In a folder Parquet is read beside JSON, once a field is named.
func TestParquetInAFolder(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"a.parquet": parquetFile(t, &parquet.Snappy, pages(5)), "b.jsonl.zst": zstandard(t, `{"text": "json"}`), "c.txt.zst": zstandard(t, "prose"),
	})
	c, err := PrepareWith(t.Context(), dir, Options{Field: "text", CacheDir: t.TempDir()})
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"prose": "c.txt.zst", "json": "b.jsonl.zst", "text number 0": "a.parquet", "text number 1": "a.parquet", "text number 2": "a.parquet", "text number 4": "a.parquet",
	}, documents(t, c))
	c, err = prepare(t, dir)
	require.NoError(t, err)
	require.Equal(t, []string{"passed over in " + c.Source[len("1 text files of "):] + ": 2 files of other kinds (a.parquet, b.jsonl.zst); JSON and Parquet are read if data.field names the field that holds the text"}, c.Notes)
}

// A file that ends early, at whatever byte, is refused in one sentence with its path; nothing of it becomes a corpus.
func TestTruncatedFilesAreRefused(t *testing.T) {
	prose := ""
	for i := range 300 {
		prose += fmt.Sprintf("Paragraph %d says something of its own, %x.\n\n", i, i*i*7919)
	}
	for name, whole := range map[string]string{
		"a.txt.gz": gzipped(t, prose), "a.txt.zst": zstandard(t, prose), "a.parquet": parquetFile(t, &parquet.Zstd, pages(40)),
	} {
		for cut := 0; cut < len(whole); cut += max(1, len(whole)/15) {
			path := filepath.Join(t.TempDir(), name)
			require.NoError(t, os.WriteFile(path, []byte(whole[:cut]), 0o666))
			field := ""
			if name == "a.parquet" {
				field = "text"
			}
			cache := t.TempDir()
			_, err := PrepareWith(t.Context(), path, Options{Field: field, CacheDir: cache})
			require.True(t, usererr.Is(err), "%s cut at %d of %d: %v", name, cut, len(whole), err)
			require.ErrorContains(t, err, path)
			require.NotContains(t, err.Error(), "\n")
			require.Empty(t, leftovers(t, cache))
		}
	}
}

// A file of several frames, or members, that ends inside a later one, at whatever byte, is refused; one that ends between two is
// whole, for all that can be known.
func TestTruncatedLaterFramesAreRefused(t *testing.T) {
	for name, pack := range map[string]func(testing.TB, string) string{"a.txt.gz": gzipped, "a.txt.zst": zstandard} {
		first := pack(t, "The first frame says this.\n\n")
		whole := first + pack(t, "The second frame says that.\n\n")
		path := filepath.Join(t.TempDir(), name)
		for cut := len(first); cut <= len(whole); cut++ {
			require.NoError(t, os.WriteFile(path, []byte(whole[:cut]), 0o666))
			r := textReader{read: func(int) error { return nil }}
			documents := 0
			_, err := r.each(textFile{path: path, label: name, size: cut}, func(string) error { documents++; return nil })
			switch cut {
			case len(first), len(whole):
				require.NoError(t, err)
			default:
				require.True(t, usererr.Is(err), "%s cut at %d of %d: %v", name, cut, len(whole), err)
				require.ErrorContains(t, err, path)
			}
		}
	}
}

// One flipped bit anywhere is an error, or changes nothing that is read; it never is another text.
func TestFlippedBitsOfPackedFiles(t *testing.T) {
	prose := "A paragraph of its own.\n\nAnd one more, number 17.\n\n"
	dir := t.TempDir()
	read := func(name, raw string) (texts []string, err error) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(raw), 0o666))
		r := textReader{Options: Options{Field: "text"}, read: func(int) error { return nil }}
		_, err = r.each(textFile{path: path, label: name, size: len(raw)}, func(text string) error {
			texts = append(texts, text)
			return nil
		})
		return texts, err
	}
	for name, whole := range map[string]string{"a.txt.gz": gzipped(t, prose), "a.txt.zst": zstandard(t, prose), "a.parquet": parquetFile(t, &parquet.Zstd, pages(5))} {
		right, err := read(name, whole)
		require.NoError(t, err)
		for at := 0; at < len(whole); at += 1 + len(whole)/200 {
			flipped := []byte(whole)
			flipped[at] ^= 1 << (at % 8)
			if texts, err := read(name, string(flipped)); err != nil {
				require.True(t, usererr.Is(errors.Unwrap(err)) || usererr.Is(err), "%s bit of byte %d: %v", name, at, err)
			} else if name != "a.parquet" { // whose footer has no checksum
				require.Equal(t, right, texts, "%s bit of byte %d", name, at)
			}
		}
	}
}

func init() {
	RegisterParquet(func(r io.ReaderAt, size int64, column string, emit func(string) error) ([]string, int64, int64, int64, error) {
		found, err := columns.Texts(r, size, column, emit)
		return found.Names, found.Rows, found.Without, found.First, err
	})
}

func FuzzParquet(f *testing.F) {
	whole := parquetFile(f, &parquet.Snappy, pages(12))
	f.Add([]byte(whole))
	f.Add([]byte(whole[len(whole)/2:]))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, _ = columns.Texts(bytes.NewReader(raw), int64(len(raw)), "text", func(string) error { return nil })
	})
}
