// SPDX-License-Identifier: Apache-2.0

package text

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
)

// What of a folder is not read is said, with its number and names; the rest is read.
func TestPassedOverIsSaid(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"a.txt": "some words", "empty.txt": "", "blank.md": "\n \n", ".hidden.txt": "no", ".git/config": "no",
		"data.jsonl": "{}", "b.pdf": "no", "c.pdf": "no", "d.pdf": "no", "e.pdf": "no", "odd\n, name.pdf": "no", "more/x.txt": "more words",
	})
	link := func(to, name string) { require.NoError(t, os.Symlink(to, filepath.Join(dir, name))) }
	link(filepath.Join(dir, "more"), "linked")
	link("nowhere", "dangling.txt")
	link("loop.txt", "loop.txt")
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe.txt"), 0o666))
	c, err := prepare(t, dir)
	require.NoError(t, err)
	require.EqualValues(t, 2, c.Stats.Total().Documents)
	require.Len(t, c.Notes, 1)
	require.Equal(t, "passed over in "+resolved(t, dir)+": 6 files of other kinds (b.pdf, c.pdf, d.pdf, and 3 more), 1 link to a folder (linked), "+
		"2 dangling links (dangling.txt, loop.txt), 2 hidden files and folders (.git, .hidden.txt), 1 device, pipe or socket (pipe.txt), "+
		"2 files without a word (blank.md, empty.txt); JSON is read if data.field names the field that holds the text", c.Notes[0])

	cache := t.TempDir()
	first, err := Prepare(t.Context(), dir, cache, nil)
	require.NoError(t, err)
	again, err := Prepare(t.Context(), dir, cache, nil)
	require.NoError(t, err)
	require.Equal(t, first, again, "the second time, too")
}

func resolved(t *testing.T, path string) string {
	path, err := filepath.EvalSymlinks(path)
	require.NoError(t, err)
	return path
}

// asNobody lets a test that root runs, who may read all, go on as a user who may not.
func asNobody(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	const nobody = 65534
	require.NoError(t, os.Chown(filepath.Dir(t.TempDir()), nobody, nobody))
	require.NoError(t, syscall.Seteuid(nobody))
	t.Cleanup(func() { require.NoError(t, syscall.Seteuid(0)) })
}

func TestUnreadableIsPassedOver(t *testing.T) {
	asNobody(t)
	dir := writeTree(t, map[string]string{"a.txt": "some words", "b.txt": "no", "c/d.txt": "no"})
	require.NoError(t, os.Chmod(filepath.Join(dir, "b.txt"), 0))
	require.NoError(t, os.Chmod(filepath.Join(dir, "c"), 0))
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "c"), 0o777) })
	c, err := prepare(t, dir)
	require.NoError(t, err)
	require.Equal(t, []string{"passed over in " + resolved(t, dir) + ": 2 files and folders that may not be read (b.txt, c)"}, c.Notes)
}

func TestPathsThatHoldNoText(t *testing.T) {
	dir := writeTree(t, map[string]string{"other/a.pdf": "", "other/b.jsonl": "{}", "other/.c.txt": ""})
	require.NoError(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe.txt"), 0o666))
	for name, want := range map[string]string{
		"other":    "2 files of other kinds (passed over: 2 files of other kinds (a.pdf, b.jsonl), 1 hidden file or folder (.c.txt))",
		"loop":     "too many",
		"pipe.txt": "is a device, a pipe or a socket",
	} {
		_, err := prepare(t, filepath.Join(dir, name))
		require.True(t, usererr.Is(err), "%v", err)
		require.ErrorContains(t, err, want)
	}
}

// A name in a message looks like nothing else.
func TestEnumerate(t *testing.T) {
	require.Equal(t, `a, "b\nc", "d, e", and 2 more`, enumerate([]string{"a", "b\nc", "d, e", "f", "g"}, 3))
	require.Less(t, len(enumerate([]string{strings.Repeat("x", 255)}, 3)), 100)
}

// Equal texts are one corpus, however their files are named, ordered, packed, or where they lie, and whatever ends a line.
func TestContentDecides(t *testing.T) {
	text := func(i int) string {
		return rows(40, func(k int) string { return fmt.Sprintf("Paragraph %d\nof file %d.\n", k, i) })
	}
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	cr := func(s string) string { return strings.ReplaceAll(s, "\n", "\r") }
	jsonl := func(s string) string {
		return rows(40, func(k int) string { return fmt.Sprintf(`{"t": %q}`, strings.Split(s, "\n\n")[k]) })
	}
	one := []map[string]string{
		{"a.txt": text(1)}, {"b.md": text(1)}, {"deep/er/ä.txt": text(1)}, {"a.txt.gz": gzipped(t, text(1))}, {"a.txt": crlf(text(1))}, {"a.txt": cr(text(1))},
		{"a.txt": "\xEF\xBB\xBF" + text(1)}, {"a.jsonl": jsonl(text(1))}, {"a.txt": text(1), "b.txt": " \n"},
	}
	two := []map[string]string{
		{"a.txt": text(1), "b.txt": text(2)}, {"a.txt": text(2), "b.txt": text(1)}, {"z/a.md": crlf(text(1)), "b.txt.gz": gzipped(t, text(2))},
		{"a.jsonl": jsonl(text(2)), "b.txt": cr(text(1))},
	}
	hashes := map[string]bool{}
	for _, same := range [][]map[string]string{one, two} {
		var hash string
		for i, files := range same {
			dir, field := writeTree(t, files), ""
			if files["a.jsonl"] != "" {
				field = "t"
			}
			for _, path := range append([]string{dir}, paths(dir, files)...) {
				c, err := PrepareWith(t.Context(), path, Options{Field: field, CacheDir: t.TempDir()})
				require.NoError(t, err)
				if hash == "" {
					hash = c.Hash
				}
				require.Equal(t, hash, c.Hash, "%d", i)
			}
		}
		hashes[hash] = true
	}
	require.Len(t, hashes, 2)
}

// paths is the one file of a folder, if it is one.
func paths(dir string, files map[string]string) []string {
	if len(files) > 1 {
		return nil
	}
	for name := range files {
		return []string{filepath.Join(dir, name)}
	}
	return nil
}

// Lines end with \r, too, as they did on old Macs: a blank one of those parts paragraphs.
func TestLineEnds(t *testing.T) {
	for text, want := range map[string][]string{
		"one\rtwo\r\rthree\r": {"one two", "three"}, "one\r\ntwo\r\n\r\nthree": {"one two", "three"}, "one\n\rtwo": {"one", "two"}, "\r\r\rone\r \rtwo": {"one", "two"},
	} {
		var got []string
		_, err := paragraphs(strings.NewReader(text), func(text string) error {
			got = append(got, text)
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, want, got, "%q", text)
	}
}
