// SPDX-License-Identifier: Apache-2.0

package text

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
)

// A record is a document, and a residue a word; headers, comments and the ends of lines are no part of it.
func TestFASTA(t *testing.T) {
	const file = "; a comment\n>sp|P1 first protein\nMKT\r\nay*\n\n>second\nG-V\n>empty\n>last\nW"
	for name, raw := range map[string]string{"a.fasta": file, "b.fa.gz": gzipped(t, file), "c.FAA.zst": zstandard(t, file)} {
		path := filepath.Join(writeTree(t, map[string]string{name: raw}), name)
		for _, spec := range []string{path, filepath.Dir(path)} {
			c, err := prepare(t, spec)
			require.NoError(t, err, name)
			require.Equal(t, map[string]string{"M K T a y *": name, "G - V": name, "W": name}, documents(t, c))
			require.Empty(t, c.Notes)
		}
	}
	long := ">one\n" + strings.Repeat("ACDEFGHIKL\n", 1000)
	c, err := prepare(t, filepath.Join(writeTree(t, map[string]string{"a.fa": long}), "a.fa"))
	require.NoError(t, err)
	require.Equal(t, int64(10000), c.Stats.Total().Words, "no residue is lost where a record is cut")
	require.Equal(t, int64(3), c.Stats.Total().Documents)
	for content, want := range map[string]string{
		"MKT\n":          "line 1: a sequence without a header before it",
		">a\nMK\nM4T\n":  "line 3: '4' is no residue",
		">a\nMK\n\nM>T":  "line 4: '>' is no residue",
		">a\nMK\nMKÄT\n": "line 3: 'Ä' is no residue",
	} {
		path := filepath.Join(writeTree(t, map[string]string{"a.fa": content}), "a.fa")
		_, err := prepare(t, path)
		require.True(t, usererr.Is(err), content)
		require.ErrorContains(t, err, path)
		require.ErrorContains(t, err, want)
	}
}

// Code is taken where it is named, whatever it looks like, and passed over where it is not.
func TestNamedFiles(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"a.txt": "prose", "b.go": "package b\n\nfunc B() {\n\treturn\n}\n", "c.py": "def c():\n    pass\n", "d.csv": "x,1\n", "e.html": "<!doctype html><p>page</p>",
		"f.go.gz": gzipped(t, "package f"), "g.rs": "fn main() {}",
	})
	c, err := PrepareWith(t.Context(), dir, Options{Files: []string{".go", ".py", ".html"}, CacheDir: t.TempDir()})
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"prose": "a.txt", "package b": "b.go", "func B() { return }": "b.go", "def c(): pass": "c.py", "package f": "f.go.gz", "<!doctype html><p>page</p>": "e.html",
	}, documents(t, c))
	require.Len(t, c.Notes, 1)
	require.Contains(t, c.Notes[0], "2 files of other kinds (d.csv, g.rs)")
	_, err = PrepareWith(t.Context(), filepath.Join(dir, "e.html"), Options{CacheDir: t.TempDir()})
	require.ErrorContains(t, err, "is a web page (HTML)")
	binary := writeTree(t, map[string]string{"a.go": "\x7FELF\x02\x01"})
	_, err = PrepareWith(t.Context(), binary, Options{Files: []string{".go"}, CacheDir: t.TempDir()})
	require.ErrorContains(t, err, "is a binary program (ELF)")
	_, err = PrepareWith(t.Context(), Default, Options{Files: []string{".go"}, CacheDir: t.TempDir()})
	require.ErrorContains(t, err, "data.files says which files of a folder of one's own are text")
	for _, path := range []string{dir, filepath.Join(dir, "a.txt")} {
		_, err = PrepareWith(t.Context(), path, Options{Files: []string{".txt", ".jl"}, CacheDir: t.TempDir()})
		require.ErrorContains(t, err, "data.files names jl, and no file there ends so")
		require.True(t, usererr.Is(err))
	}
}

func TestEnds(t *testing.T) {
	ends, err := Ends("go, .PY")
	require.NoError(t, err)
	require.Equal(t, []string{".go", ".py"}, ends)
	ends, err = Ends("")
	require.NoError(t, err)
	require.Empty(t, ends)
	for _, wrong := range []string{"go,", "*.go", "a/b", "tar.gz"} {
		_, err := Ends(wrong)
		require.True(t, usererr.Is(err), wrong)
	}
}
