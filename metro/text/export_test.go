// SPDX-License-Identifier: Apache-2.0

package text

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
)

// smallCorpus has documents in all splits.
func smallCorpus(t testing.TB) *Corpus {
	t.Helper()
	var text strings.Builder
	for i := range 200 {
		text.WriteString(strings.Repeat("word ", i+1) + "\n\n")
	}
	c, err := prepare(t, filepath.Join(writeTree(t, map[string]string{"words.txt": text.String()}), "words.txt"))
	require.NoError(t, err)
	for _, split := range Splits {
		require.NotZero(t, c.Stats.Splits[split].Documents)
	}
	return c
}

func TestExportAndImport(t *testing.T) {
	c := smallCorpus(t)
	for _, name := range []string{"words.tar.gz", "words.TGZ", "folder"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			dst := filepath.Join(dir, name)
			require.NoError(t, c.Export(dst))
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, entries, 1, "no temporary files stay")

			cache := t.TempDir()
			got, err := Prepare(t.Context(), dst, cache, nil)
			require.NoError(t, err)
			require.NoError(t, got.Verify())
			require.Equal(t, documents(t, c), documents(t, got))
			got.Dir = c.Dir
			require.Equal(t, c, got)

			progress, calls := count()
			_, err = Prepare(t.Context(), dst, cache, progress)
			require.NoError(t, err)
			require.Zero(t, *calls)

			before, err := os.Stat(dst)
			require.NoError(t, err)
			err = c.Export(dst)
			require.ErrorContains(t, err, dst)
			require.True(t, usererr.Is(err))
			after, err := os.Stat(dst)
			require.NoError(t, err)
			require.Equal(t, before.ModTime(), after.ModTime())
		})
	}
	err := c.Export(filepath.Join(t.TempDir(), "no", "such", "folder.tgz"))
	require.True(t, usererr.Is(err))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestEqualCorporaMakeEqualArchives(t *testing.T) {
	c := smallCorpus(t)
	dir := t.TempDir()
	require.NoError(t, c.Export(filepath.Join(dir, "a.tgz")))
	again, err := prepare(t, filepath.Join(dir, "a.tgz"))
	require.NoError(t, err)
	require.NoError(t, again.Export(filepath.Join(dir, "b.tgz")))
	a, err := os.ReadFile(filepath.Join(dir, "a.tgz"))
	require.NoError(t, err)
	b, err := os.ReadFile(filepath.Join(dir, "b.tgz"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(a, b))
}

// corpusEntries are the entries of a good archive, without a folder in front.
func corpusEntries(t testing.TB) []tarEntry {
	t.Helper()
	c := smallCorpus(t)
	var entries []tarEntry
	for _, name := range corpusFiles() {
		raw, err := os.ReadFile(filepath.Join(c.Dir, name))
		require.NoError(t, err)
		entries = append(entries, tarEntry{tar.Header{Name: name, Mode: 0o600}, string(raw)})
	}
	return entries
}

type tarEntry struct {
	header  tar.Header
	content string
}

func writeTar(t testing.TB, path string, entries []tarEntry) {
	t.Helper()
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	tape := tar.NewWriter(zip)
	for _, e := range entries {
		e.header.Size = int64(len(e.content))
		require.NoError(t, tape.WriteHeader(&e.header))
		_, err := tape.Write([]byte(e.content))
		require.NoError(t, err)
	}
	require.NoError(t, tape.Close())
	require.NoError(t, zip.Close())
	require.NoError(t, os.WriteFile(path, buf.Bytes(), 0o666))
}

func TestArchivesPackedByHand(t *testing.T) {
	good := corpusEntries(t)
	prefixed := []tarEntry{{tar.Header{Name: "./corpus/", Typeflag: tar.TypeDir}, ""}}
	for _, e := range slices.Backward(good) {
		e.header.Name = "./corpus/" + e.header.Name
		prefixed = append(prefixed, e)
	}
	for name, entries := range map[string][]tarEntry{"no folder": good, "folder, other order": prefixed} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.tar.gz")
			writeTar(t, path, entries)
			c, err := prepare(t, path)
			require.NoError(t, err)
			require.Equal(t, int64(200), c.Stats.Total().Documents)
		})
	}
}

func TestHostileArchives(t *testing.T) {
	good := corpusEntries(t)
	with := func(header tar.Header, content string) []tarEntry {
		return append(slices.Clone(good), tarEntry{header, content})
	}
	renamed := func(from, to string) []tarEntry {
		entries := slices.Clone(good)
		for i, e := range entries {
			entries[i].content = strings.Replace(e.content, from, to, 1)
		}
		return entries
	}
	for name, c := range map[string]struct {
		entries []tarEntry
		want    string
	}{
		"parent":         {with(tar.Header{Name: "../../train.jsonl"}, "x"), "does not belong"},
		"hidden parent":  {with(tar.Header{Name: "a/../../manifest.json"}, "x"), "does not belong"},
		"absolute":       {with(tar.Header{Name: "/tmp/train.jsonl"}, "x"), "does not belong"},
		"deep":           {with(tar.Header{Name: "a/b/train.jsonl"}, "x"), "does not belong"},
		"other file":     {with(tar.Header{Name: "run.sh"}, "x"), "does not belong"},
		"link":           {with(tar.Header{Name: "a/train.jsonl", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, ""), "does not belong"},
		"hard link":      {with(tar.Header{Name: "a/train.jsonl", Typeflag: tar.TypeLink, Linkname: "test.jsonl"}, ""), "does not belong"},
		"device":         {with(tar.Header{Name: "train.jsonl", Typeflag: tar.TypeChar}, ""), "does not belong"},
		"twice":          {with(tar.Header{Name: "b/train.jsonl"}, "x"), "exists"},
		"nothing":        {nil, "not a prepared corpus"},
		"no manifest":    {good[1:], "not a prepared corpus"},
		"no test split":  {good[:3], "damaged"},
		"changed text":   {renamed(`{"text":"word`, `{"text":"wart`), "SHA-256"},
		"changed size":   {renamed(`"bytes": `, `"bytes": 1`), "damaged"},
		"name is a path": {renamed(`"name": "words"`, `"name": "../../words"`), "does not fit"},
		"other format":   {renamed(manifestFormat, "metrolab corpus 99"), "metrolab corpus 99"},
		"huge manifest":  {[]tarEntry{{tar.Header{Name: manifestName}, strings.Repeat(" ", maxManifestSize) + "{}"}}, "not a prepared corpus"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, cache := t.TempDir(), t.TempDir()
			path := filepath.Join(dir, "x.tar.gz")
			writeTar(t, path, c.entries)
			_, err := Prepare(t.Context(), path, cache, nil)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, path)
			require.True(t, usererr.Is(err))
			require.Empty(t, leftovers(t, cache))
		})
	}
}

func TestDamagedArchiveAnywhere(t *testing.T) {
	c := smallCorpus(t)
	whole := filepath.Join(t.TempDir(), "whole.tgz")
	require.NoError(t, c.Export(whole))
	raw, err := os.ReadFile(whole)
	require.NoError(t, err)
	for at := 10; at < len(raw); at += len(raw)/20 + 1 {
		path := filepath.Join(t.TempDir(), "x.tgz")
		require.NoError(t, os.WriteFile(path, raw[:at], 0o666))
		_, err := prepare(t, path)
		require.True(t, usererr.Is(err), "cut at %d: %v", at, err)
	}
	require.NoError(t, os.WriteFile(whole, append(raw[:len(raw)-8:len(raw)-8], 0, 0, 0, 0, 0, 0, 0, 0), 0o666))
	_, err = prepare(t, whole)
	require.ErrorContains(t, err, "checksum")
}

func TestCancelledImportLeavesNothing(t *testing.T) {
	c := smallCorpus(t)
	path := filepath.Join(t.TempDir(), "x.tgz")
	require.NoError(t, c.Export(path))
	cache := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Prepare(ctx, path, cache, func(int, int) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, usererr.Is(err))
	require.Empty(t, leftovers(t, cache))
}
