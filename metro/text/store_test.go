// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
)

// leftovers lists what lies in a cache beside its index folder.
func leftovers(t testing.TB, cache string) []string {
	t.Helper()
	var names []string
	for _, pattern := range []string{"*", "index/*"} {
		paths, err := filepath.Glob(filepath.Join(cache, "corpora", pattern))
		require.NoError(t, err)
		for _, path := range paths {
			if name := filepath.Base(path); name != "index" {
				names = append(names, name)
			}
		}
	}
	return names
}

// count returns a progress function and the number of its calls: zero when nothing was read.
func count() (progress func(done, total int), calls *int) {
	calls = new(int)
	return func(int, int) { *calls++ }, calls
}

func TestSecondCallReadsNothing(t *testing.T) {
	dir := writeTree(t, map[string]string{"a.txt": "one\n\ntwo"})
	cache := t.TempDir()
	first, err := Prepare(t.Context(), dir, cache, nil)
	require.NoError(t, err)
	progress, calls := count()
	second, err := Prepare(t.Context(), dir, cache, progress)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Zero(t, *calls)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "b.txt"), []byte("three"), 0o666))
	third, err := Prepare(t.Context(), dir, cache, progress)
	require.NoError(t, err)
	require.NotZero(t, *calls)
	require.NotEqual(t, first.Hash, third.Hash)
}

func TestHashIsOfTheContent(t *testing.T) {
	a, err := prepare(t, writeTree(t, map[string]string{"x.txt": "one\n\ntwo"}))
	require.NoError(t, err)
	b, err := prepare(t, writeTree(t, map[string]string{"x.txt": "one \n\n\n two\n"}))
	require.NoError(t, err)
	c, err := prepare(t, writeTree(t, map[string]string{"y.txt": "one\n\nthree"}))
	require.NoError(t, err)
	require.Equal(t, a.Hash, b.Hash)
	require.NotEqual(t, a.Hash, c.Hash)
}

func TestTouchedFileIsReadAgain(t *testing.T) {
	dir := writeTree(t, map[string]string{"a.txt": "one"})
	cache := t.TempDir()
	_, err := Prepare(t.Context(), dir, cache, nil)
	require.NoError(t, err)
	later := time.Now().Add(time.Hour)
	require.NoError(t, os.Chtimes(filepath.Join(dir, "a.txt"), later, later))
	progress, calls := count()
	_, err = Prepare(t.Context(), dir, cache, progress)
	require.NoError(t, err)
	require.NotZero(t, *calls)
}

func TestDamagedCacheIsBuiltAgain(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, c *Corpus){
		"short split":      func(t *testing.T, c *Corpus) { require.NoError(t, os.Truncate(filepath.Join(c.Dir, "train.jsonl"), 3)) },
		"missing split":    func(t *testing.T, c *Corpus) { require.NoError(t, os.Remove(filepath.Join(c.Dir, "test.jsonl"))) },
		"missing manifest": func(t *testing.T, c *Corpus) { require.NoError(t, os.Remove(filepath.Join(c.Dir, manifestName))) },
		"manifest": func(t *testing.T, c *Corpus) {
			raw, err := os.ReadFile(filepath.Join(c.Dir, manifestName))
			require.NoError(t, err)
			raw = []byte(strings.Replace(string(raw), `"documents": 40`, `"documents": 41`, 1))
			require.NoError(t, os.WriteFile(filepath.Join(c.Dir, manifestName), raw, 0o666))
		},
		"gone": func(t *testing.T, c *Corpus) { require.NoError(t, os.RemoveAll(c.Dir)) },
		"index": func(t *testing.T, c *Corpus) {
			paths, err := filepath.Glob(filepath.Join(filepath.Dir(c.Dir), "index", "*"))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(paths[0], []byte("../../elsewhere"), 0o666))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := writeTree(t, map[string]string{"a.txt": strings.Repeat("the same again\n\n", 40)})
			cache := t.TempDir()
			first, err := Prepare(t.Context(), dir, cache, nil)
			require.NoError(t, err)
			damage(t, first)
			progress, calls := count()
			second, err := Prepare(t.Context(), dir, cache, progress)
			require.NoError(t, err)
			require.NotZero(t, *calls)
			require.Equal(t, first, second)
			require.NoError(t, second.Verify())
			require.Len(t, leftovers(t, cache), 2, "the corpus and its entry in the index")
		})
	}
}

// Whatever happens to a file of the cache, the next call makes the corpus that was there before.
func TestEveryDamageOfTheCacheIsMended(t *testing.T) {
	source := writeTree(t, map[string]string{"a.txt": rows(60, func(i int) string { return fmt.Sprintf("paragraph %d\n", i) })})
	cache := t.TempDir()
	first, err := Prepare(t.Context(), source, cache, nil)
	require.NoError(t, err)
	files := []string{filepath.Join(first.Dir, manifestName)}
	for _, split := range Splits {
		files = append(files, filepath.Join(first.Dir, fileName(split)))
	}
	index, err := filepath.Glob(filepath.Join(cache, "corpora", "index", "*"))
	require.NoError(t, err)
	for _, file := range append(files, index...) {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		damages := map[string]func() error{
			"half":    func() error { return os.Truncate(file, int64(len(raw)/2)) },
			"empty":   func() error { return os.Truncate(file, 0) },
			"deleted": func() error { return os.Remove(file) },
			"folder":  func() error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o777)) },
		}
		for _, at := range []int{0, len(raw) / 3, len(raw) / 2, len(raw) - 2} {
			damages[fmt.Sprint("flip at ", at)] = func() error {
				flipped := bytes.Clone(raw)
				flipped[at] ^= 1
				return os.WriteFile(file, flipped, 0o666)
			}
		}
		for name, damage := range damages {
			require.NoError(t, damage())
			again, err := Prepare(t.Context(), source, cache, nil)
			require.NoError(t, err, "%s of %s", name, file)
			require.Equal(t, first, again, "%s of %s", name, file)
			require.NoError(t, again.Verify())
		}
	}
}

// A text that is changed is read again, even if neither its size nor its time show it.
func TestChangedTextIsReadAgain(t *testing.T) {
	dir := writeTree(t, map[string]string{"a.txt": "one word", "b.txt": "and more"})
	path, cache := filepath.Join(dir, "a.txt"), t.TempDir()
	first, err := Prepare(t.Context(), dir, cache, nil)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte("two word"), 0o666))
	require.NoError(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
	second, err := Prepare(t.Context(), dir, cache, nil)
	require.NoError(t, err)
	require.NotEqual(t, first.Hash, second.Hash)
	require.Contains(t, documents(t, second), "two word")

	archive := filepath.Join(t.TempDir(), "x.tar.gz")
	require.NoError(t, first.Export(archive))
	_, err = Prepare(t.Context(), archive, cache, nil)
	require.NoError(t, err)
	raw, err := os.ReadFile(archive)
	require.NoError(t, err)
	info, err = os.Stat(archive)
	require.NoError(t, err)
	raw[len(raw)/2] ^= 1
	require.NoError(t, os.WriteFile(archive, raw, 0o666))
	require.NoError(t, os.Chtimes(archive, info.ModTime(), info.ModTime()))
	_, err = Prepare(t.Context(), archive, cache, nil)
	require.True(t, usererr.Is(err), "%v", err)
}

// A prepared folder of the user's own is compared with its checksums, too.
func TestDamagedFolderIsRefused(t *testing.T) {
	c := smallCorpus(t)
	dir := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, c.Export(dir))
	path := filepath.Join(dir, fileName(Train))
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	raw[len(raw)/2] ^= 1
	require.NoError(t, os.WriteFile(path, raw, 0o666))
	_, err = prepare(t, dir)
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, "SHA-256")
}

// A corpus of the first format is read, under the hash that it has now.
func TestFirstFormat(t *testing.T) {
	c := smallCorpus(t)
	dir := filepath.Join(t.TempDir(), "old")
	require.NoError(t, c.Export(dir))
	m, _, err := readManifest(dir)
	require.NoError(t, err)
	m.Format = firstFormat
	for split, sum := range m.Files {
		sum.Texts = ""
		m.Files[split] = sum
	}
	m.Hash = firstHash(m.Files)
	raw, err := json.Marshal(m)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, manifestName), raw, 0o666))
	got, err := prepare(t, dir)
	require.NoError(t, err)
	require.Equal(t, c.Hash, got.Hash)
}

func TestVerifyFindsWhatSizesDoNotShow(t *testing.T) {
	c, err := prepare(t, writeTree(t, map[string]string{"a.txt": strings.Repeat("the same again\n\n", 40)}))
	require.NoError(t, err)
	for _, split := range Splits {
		path := filepath.Join(c.Dir, fileName(split))
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		if len(raw) == 0 {
			continue
		}
		raw[len(raw)/2] ^= 1
		require.NoError(t, os.WriteFile(path, raw, 0o666))
	}
	_, err = Open(c.Dir)
	require.NoError(t, err)
	err = c.Verify()
	require.ErrorContains(t, err, "SHA-256")
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, c.Export(filepath.Join(t.TempDir(), "x.tar.gz")), "SHA-256")
}

func TestStreamEndsWithAnError(t *testing.T) {
	c, err := prepare(t, writeTree(t, map[string]string{"a.txt": "the same again\n\nthe same again"}))
	require.NoError(t, err)
	read := func(split Split) (n int, last error) {
		for _, last = range c.Documents(split) {
			n++
		}
		return n, last
	}
	split := splitOf(textKey("the same again"))
	path := filepath.Join(c.Dir, fileName(split))
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	for content, want := range map[string]string{
		string(raw[:len(raw)/2]):                          "1 documents, the manifest says 2",
		string(raw[:len(raw)-5]):                          fileName(split) + ":2:",
		strings.Repeat("x", maxLine+1):                    "token too long",
		`{"text":"` + strings.Repeat("x", maxLine) + `"}`: "token too long",
	} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o666))
		_, err := read(split)
		require.ErrorContains(t, err, want)
	}
	require.NoError(t, os.Remove(path))
	_, err = read(split)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = read("dev")
	require.ErrorContains(t, err, `no split "dev"`)
}

func TestTwoAtOnce(t *testing.T) {
	dir := writeTree(t, map[string]string{"a.txt": strings.Repeat("one two three.\n\n", 5000)})
	cache := t.TempDir()
	const n = 6
	var corpora [n]*Corpus
	var errs [n]error
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { corpora[i], errs[i] = Prepare(t.Context(), dir, cache, nil) })
	}
	all.Wait()
	for i := range n {
		require.NoError(t, errs[i])
		require.Equal(t, corpora[0], corpora[i])
		require.NoError(t, corpora[i].Verify())
	}
	require.Len(t, leftovers(t, cache), 2)
}

func TestStaleBuildsAreRemoved(t *testing.T) {
	dir := writeTree(t, map[string]string{"a.txt": "one"})
	cache := t.TempDir()
	old, fresh := filepath.Join(cache, "corpora", ".tmp-corpus-0123456789ab"), filepath.Join(cache, "corpora", ".tmp-corpus-ba9876543210")
	inIndex := filepath.Join(cache, "corpora", "index", ".tmp-0123-0123456789ab")
	for _, path := range []string{old, fresh, inIndex} {
		require.NoError(t, os.MkdirAll(path, 0o777))
	}
	yesterday := time.Now().Add(-25 * time.Hour)
	require.NoError(t, os.Chtimes(old, yesterday, yesterday))
	require.NoError(t, os.Chtimes(inIndex, yesterday, yesterday))
	_, err := Prepare(t.Context(), dir, cache, nil)
	require.NoError(t, err)
	require.NoDirExists(t, old)
	require.NoDirExists(t, inIndex)
	require.DirExists(t, fresh)

	require.NoError(t, os.Chtimes(fresh, yesterday, yesterday))
	_, err = Prepare(t.Context(), dir, cache, nil)
	require.NoError(t, err)
	require.NoDirExists(t, fresh, "also by one who finds all in the cache")
}

func TestCacheThatCannotBeWritten(t *testing.T) {
	dir := writeTree(t, map[string]string{"a.txt": "one", "file": ""})
	_, err := Prepare(t.Context(), filepath.Join(dir, "a.txt"), filepath.Join(dir, "file"), nil)
	require.ErrorContains(t, err, "METROLAB_CACHE")
	require.True(t, usererr.Is(err))
}

func TestCacheDir(t *testing.T) {
	t.Setenv("METROLAB_CACHE", "/somewhere")
	dir, err := CacheDir()
	require.NoError(t, err)
	require.Equal(t, "/somewhere", dir)
	t.Setenv("METROLAB_CACHE", "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir, err = CacheDir()
	require.NoError(t, err)
	require.Equal(t, "metrolab", filepath.Base(dir))
	if runtime.GOOS != "linux" {
		return
	}
	t.Setenv("XDG_CACHE_HOME", "relative")
	_, err = Prepare(t.Context(), "", "", nil)
	require.ErrorContains(t, err, "METROLAB_CACHE")
	require.True(t, usererr.Is(err))
}

func TestPreparedFolderIsUsedWhereItIs(t *testing.T) {
	c, err := prepare(t, writeTree(t, map[string]string{"a.txt": "one"}))
	require.NoError(t, err)
	cache := t.TempDir()
	again, err := Prepare(t.Context(), c.Dir, cache, nil)
	require.NoError(t, err)
	require.Equal(t, c, again)
	require.Empty(t, leftovers(t, cache))
}
