// SPDX-License-Identifier: Apache-2.0

package text

import (
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
	for _, path := range []string{old, fresh} {
		require.NoError(t, os.MkdirAll(path, 0o777))
	}
	yesterday := time.Now().Add(-25 * time.Hour)
	require.NoError(t, os.Chtimes(old, yesterday, yesterday))
	_, err := Prepare(t.Context(), dir, cache, nil)
	require.NoError(t, err)
	require.NoDirExists(t, old)
	require.DirExists(t, fresh)
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
