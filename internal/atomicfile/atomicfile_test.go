// SPDX-License-Identifier: Apache-2.0

package atomicfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/internal/atomicfile"
)

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func fill(name, text string) func(string) error {
	return func(temp string) error { return os.WriteFile(filepath.Join(temp, name), []byte(text), 0o666) }
}

func TestFailedWritersChangeNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	require.NoError(t, atomicfile.WriteFile(path, []byte("old")))
	broken := errors.New("broken")
	require.ErrorIs(t, atomicfile.WriteFunc(path, func(w io.Writer) error {
		_, err := io.WriteString(w, "half of the n")
		return errors.Join(err, broken)
	}), broken)
	require.ErrorIs(t, atomicfile.WriteDir(filepath.Join(dir, "folder"), func(temp string) error {
		return errors.Join(fill("one", "1")(temp), broken)
	}), broken)
	require.Panics(t, func() { _ = atomicfile.WriteFunc(path, func(io.Writer) error { panic("no") }) })
	require.Panics(t, func() { _ = atomicfile.WriteDir(path+"s", func(string) error { panic("no") }) })
	require.ErrorIs(t, atomicfile.WriteFile(filepath.Join(dir, "absent", "file"), nil), fs.ErrNotExist)
	require.ErrorIs(t, atomicfile.WriteDir(filepath.Join(dir, "absent", "folder"), fill("one", "1")), fs.ErrNotExist)
	require.Equal(t, []string{"file"}, names(t, dir))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "old", string(text))
}

func TestFoldersGiveWayOnlyIfEmpty(t *testing.T) {
	dir := t.TempDir()
	full, empty, file, link := filepath.Join(dir, "full"), filepath.Join(dir, "empty"), filepath.Join(dir, "file"), filepath.Join(dir, "link")
	require.NoError(t, atomicfile.WriteDir(full, fill("old", "1")))
	require.NoError(t, os.Mkdir(empty, 0o777))
	require.NoError(t, os.WriteFile(file, nil, 0o666))
	require.NoError(t, os.Symlink(empty, link))

	require.NoError(t, atomicfile.WriteDir(empty+string(filepath.Separator), fill("new", "2")))
	for _, taken := range []string{full, empty, file, link} {
		require.ErrorIs(t, atomicfile.WriteDir(taken, fill("new", "3")), fs.ErrExist, taken)
	}
	require.Error(t, atomicfile.WriteFile(full, nil), "a folder does not give way to a file")
	require.Equal(t, []string{"empty", "file", "full", "link"}, names(t, dir))
	require.Equal(t, []string{"old"}, names(t, full))
	require.Equal(t, []string{"new"}, names(t, empty))
}

func TestLinksAreReplaced(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	require.NoError(t, os.WriteFile(target, []byte("old"), 0o666))
	require.NoError(t, os.Symlink(target, link))
	require.NoError(t, atomicfile.WriteFile(link, []byte("new")))
	text, err := os.ReadFile(target)
	require.NoError(t, err)
	require.Equal(t, "old", string(text))
}

func TestLongNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{strings.Repeat("n", 255), "a" + strings.Repeat("ü", 127)} {
		require.NoError(t, atomicfile.WriteFile(filepath.Join(dir, name), nil))
		require.FileExists(t, filepath.Join(dir, name))
		temp := filepath.Base(atomicfile.TempPath(filepath.Join(dir, name)))
		require.True(t, atomicfile.IsTemp(temp), temp)
		require.True(t, strings.ToValidUTF8(temp, "?") == temp, temp)
	}
}

// Only what a killed writer has left goes, and only if nothing in it has changed for a day.
func TestOldStraysGo(t *testing.T) {
	dir := t.TempDir()
	at := func(age time.Duration, path string) string {
		when := time.Now().Add(-age)
		require.NoError(t, os.Chtimes(path, when, when))
		return path
	}
	file := func(age time.Duration, path string) string {
		path = filepath.Join(dir, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, []byte("half"), 0o666))
		return at(age, path)
	}
	const old, young = 25 * time.Hour, 23 * time.Hour
	file(old, ".tmp-a-0123456789ab")
	file(young, ".tmp-b-0123456789ab")
	file(old, ".tmp-c-0123456789ab/sub/file")
	file(young, ".tmp-d-0123456789ab/sub/file") // still being written
	for _, below := range []string{".tmp-c-0123456789ab/sub", ".tmp-c-0123456789ab", ".tmp-d-0123456789ab/sub", ".tmp-d-0123456789ab"} {
		at(old, filepath.Join(dir, below))
	}
	file(old, ".tmp-of-the-user")
	file(old, ".tmp-0123456789ab")
	file(old, "tmp-e-0123456789ab")

	left := []string{".tmp-0123456789ab", ".tmp-b-0123456789ab", ".tmp-d-0123456789ab", ".tmp-of-the-user", "tmp-e-0123456789ab"}
	require.NoError(t, atomicfile.WriteFile(filepath.Join(dir, "z"), nil))
	require.Equal(t, append(left, "z"), names(t, dir))
	file(old, ".tmp-a-0123456789ab")
	require.NoError(t, atomicfile.WriteDir(filepath.Join(dir, "zz"), fill("one", "1")))
	require.Equal(t, append(left, "z", "zz"), names(t, dir))

	require.NoError(t, atomicfile.OS.RemoveStrays(dir))
	require.Equal(t, []string{".tmp-0123456789ab", ".tmp-of-the-user", "tmp-e-0123456789ab", "z", "zz"}, names(t, dir))
	require.NoError(t, atomicfile.OS.RemoveStrays(filepath.Join(dir, "absent")))
}

// Many write to one path while others read it: what is read is always one of what was written.
func TestManyWritersOfOnePath(t *testing.T) {
	const size, each = 64 << 10, 20
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	content := func(w int) []byte { return bytes.Repeat([]byte{byte('a' + w)}, size+w) }
	require.NoError(t, atomicfile.WriteFile(path, content(0)))
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for w := range 4 {
		writers.Go(func() {
			for range each {
				if err := atomicfile.WriteFile(path, content(w)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	readers.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			text, err := os.ReadFile(path)
			if err != nil || len(text) < size || !bytes.Equal(text, content(int(text[0]-'a'))) {
				t.Errorf("read %d bytes: %v", len(text), err)
			}
		}
	})
	writers.Wait()
	close(done)
	readers.Wait()
	require.Equal(t, []string{"file"}, names(t, dir))
}

// Of many who bring a folder to one name, one wins, and the folder is all its own.
func TestManyWritersOfOneFolder(t *testing.T) {
	dir := t.TempDir()
	for round := range 10 {
		var all sync.WaitGroup
		var errs [6]error
		folder := filepath.Join(dir, fmt.Sprint(round))
		for w := range errs {
			all.Go(func() { errs[w] = atomicfile.WriteDir(folder, fill(fmt.Sprint(w), "whole")) })
		}
		all.Wait()
		var winners []string
		for w, err := range errs {
			if err == nil {
				winners = append(winners, fmt.Sprint(w))
			} else {
				require.ErrorIs(t, err, fs.ErrExist)
			}
		}
		require.Len(t, winners, 1)
		require.Equal(t, winners, names(t, folder))
	}
	require.Len(t, names(t, dir), 10)
}
