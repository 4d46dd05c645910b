// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bufio"
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
)

// The texts of a field are read, in whatever way the objects are put together and the file is named.
func TestFieldOfObjects(t *testing.T) {
	lines := `{"id": 1, "text": "one\n\ntwo", "url": "x"}` + "\n\n" + `{"id": 2, "text": "thr\u00e9e"}` + "\n"
	array := "\xEF\xBB\xBF [" + strings.ReplaceAll(strings.TrimSpace(lines), "\n\n", ",\n") + "]\n"
	for name, content := range map[string]string{
		"a.jsonl": lines, "b.ndjson": lines, "c.json": array, "d.txt": lines, "e.jsonl.gz": gzipped(t, lines), "f": array, "g.jsonl": strings.ReplaceAll(lines, "\n", " "),
	} {
		path := filepath.Join(writeTree(t, map[string]string{name: content}), name)
		c, err := PrepareWith(t.Context(), path, Options{Field: "text", CacheDir: t.TempDir()})
		require.NoError(t, err, name)
		require.Equal(t, map[string]string{"one": name, "two": name, "thrée": name}, documents(t, c))
		require.Equal(t, "text", c.Field)
		require.Empty(t, c.Notes)
	}
}

// A field may lie in an object of the object.
func TestNestedField(t *testing.T) {
	path := filepath.Join(writeTree(t, map[string]string{"a.jsonl": `{"id": 1, "data": {"text": "one", "n": 2}}` + "\n" + `{"data.text": "two", "data": 7}`}), "a.jsonl")
	c, err := PrepareWith(t.Context(), path, Options{Field: "data.text", CacheDir: t.TempDir()})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"one": "a.jsonl", "two": "a.jsonl"}, documents(t, c))
	_, err = prepare(t, path)
	require.ErrorContains(t, err, "its fields are: data.text, id, data;")
}

// In a folder, JSON is read beside text; what has no text in the field is said.
func TestFieldInAFolder(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"a.txt": "prose", "b.jsonl": `{"t": "json"}` + "\n" + `{"u": "x"}` + "\n" + `{"t": null}` + "\n" + `{"t": 7}`, "c.json": `[{"v": 1}]`, "d.csv": "x",
	})
	c, err := PrepareWith(t.Context(), dir, Options{Field: "t", CacheDir: t.TempDir()})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"prose": "a.txt", "json": "b.jsonl"}, documents(t, c))
	require.Len(t, c.Notes, 2)
	require.Contains(t, c.Notes[0], "1 file of another kind (d.csv), 1 file without a word (c.json)")
	require.NotContains(t, c.Notes[0], "JSON is read")
	require.Equal(t, `not every JSON object has a text in the field "t", the others are left out: b.jsonl (3 of 4 objects have no text in that field, the first is object 2), `+
		`c.json (1 of 1 objects have no text in that field, the first is object 1)`, c.Notes[1])
}

// A field that nothing has is refused, and so is JSON that cannot be read.
func TestFieldThatIsNotThere(t *testing.T) {
	prepared := smallCorpus(t)
	dir := writeTree(t, map[string]string{
		"a.jsonl": `{"text": "x", "n": 1}`, "b.txt": "prose", "c.jsonl": `{"text": "x"}` + "\n" + `{"text": `, "d.json": `["x", "y", "z"]`, "e.jsonl": "{}", "f.jsonl": "prose",
		"latin1.jsonl": strings.Repeat(`{"text": "`+strings.Repeat("\xE9t\xE9 ", 10)+`"}`+"\n", 10),
	})
	for name, want := range map[string]string{
		"a.jsonl":      `data.field is "body", and none of 1 JSON objects has a text in such a field; their fields are text, n`,
		"b.txt":        `data.field is "body", and nothing in it is JSON`,
		"c.jsonl":      "object 2, byte",
		"d.json":       "object 1, byte",
		"e.jsonl":      "their fields are none",
		"f.jsonl":      "object 1, byte",
		"latin1.jsonl": "is not UTF-8: 200 of",
	} {
		_, err := PrepareWith(t.Context(), filepath.Join(dir, name), Options{Field: "body", CacheDir: t.TempDir()})
		require.True(t, usererr.Is(err), "%v", err)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, name)
	}
	_, err := PrepareWith(t.Context(), prepared.Dir, Options{Field: "body", CacheDir: t.TempDir()})
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, `data.field is "body", but `+prepared.Source+" was not read from that field")
}

// An object without end does not fill the memory.
func TestEndlessObject(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 64 MB; leave out -short")
	}
	word := strings.Repeat("word ", 1<<20)
	path := filepath.Join(writeTree(t, map[string]string{"a.jsonl": `{"t": "` + strings.Repeat(word, 26) + `"}`}), "a.jsonl")
	_, err := PrepareWith(t.Context(), path, Options{Field: "t", CacheDir: t.TempDir()})
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, "longer than 64 MiB")
}

func FuzzFieldTexts(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"t": "x"}`, `[{"t": "x"}, {"t": "y"}]`, `{"t": "\ud800"}`, "[", "[[", `{"t": {}}`, "\xEF\xBB\xBF{", `{"t":"x"}]`, "[]x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var texts int64
		found, err := fieldTexts(bufio.NewReader(bytes.NewReader(raw)), "t", func(text string) error {
			require.True(t, utf8.ValidString(text))
			texts++
			return nil
		})
		require.Equal(t, found.all-found.without, texts)
		_ = fmt.Sprint(&found, err)
	})
}
