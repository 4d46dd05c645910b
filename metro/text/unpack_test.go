// SPDX-License-Identifier: Apache-2.0

package text

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
)

// endless is a text of n bytes that says the same all over.
func endless(n int64) io.Reader {
	return io.LimitReader(readerFunc(func(p []byte) (int, error) { return copy(p, strings.Repeat("word ", len(p)/5+1)), nil }), n)
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A few kilobytes that unpack to gigabytes are refused before they have filled the disk, as text and as an archive.
func TestBombsAreRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("unpacks 64 MB twice; leave out -short")
	}
	const size = 256 << 20
	dir, cache := t.TempDir(), t.TempDir()
	write := func(name string, fill func(zip io.Writer)) string {
		var out bytes.Buffer
		zip := gzip.NewWriter(&out)
		fill(zip)
		require.NoError(t, zip.Close())
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, out.Bytes(), 0o666))
		return path
	}
	for _, path := range []string{
		write("bomb.txt.gz", func(zip io.Writer) {
			_, err := io.Copy(zip, endless(size))
			require.NoError(t, err)
		}),
		write("bomb.tgz", func(zip io.Writer) {
			tape := tar.NewWriter(zip)
			require.NoError(t, tape.WriteHeader(&tar.Header{Name: fileName(Train), Size: size}))
			_, err := io.Copy(tape, endless(size))
			require.NoError(t, err)
			require.NoError(t, tape.Close())
		}),
	} {
		_, err := Prepare(t.Context(), path, cache, nil)
		require.True(t, usererr.Is(err), "%v", err)
		require.ErrorContains(t, err, path)
		require.ErrorContains(t, err, "unpack to more than 64 MiB and more than 200 times their number")
		require.Empty(t, leftovers(t, cache))
	}
}

func FuzzUnpack(f *testing.F) {
	c := smallCorpus(f)
	whole := filepath.Join(f.TempDir(), "whole.tgz")
	require.NoError(f, c.Export(whole))
	raw, err := os.ReadFile(whole)
	require.NoError(f, err)
	f.Add(raw)
	f.Add(raw[:len(raw)/2])
	f.Fuzz(func(t *testing.T, raw []byte) {
		if err := unpackEntries(bytes.NewReader(raw), len(raw), t.TempDir()); err != nil {
			return
		}
	})
}

func FuzzManifest(f *testing.F) {
	c := smallCorpus(f)
	raw, err := os.ReadFile(filepath.Join(c.Dir, manifestName))
	require.NoError(f, err)
	f.Add(raw)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, manifestName), raw, 0o666))
		if _, err := Open(dir); err != nil {
			require.True(t, usererr.Is(err))
		}
	})
}
