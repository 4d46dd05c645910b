// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"metrolab/internal/testdata"
	"metrolab/internal/usererr"
)

// writeTree makes files below a new folder and returns it.
func writeTree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o666))
	}
	return dir
}

func gzipped(t testing.TB, text string) string {
	t.Helper()
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	_, err := io.WriteString(zip, text)
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	return buf.String()
}

// prepare makes a corpus in a cache of its own.
func prepare(t testing.TB, spec string) (*Corpus, error) {
	t.Helper()
	return Prepare(t.Context(), spec, t.TempDir(), nil)
}

// documents reads all splits; the order within a split is kept.
func documents(t testing.TB, c *Corpus) map[string]string {
	t.Helper()
	labels := map[string]string{}
	for _, split := range Splits {
		for doc, err := range c.Documents(split) {
			require.NoError(t, err)
			require.Equal(t, split, splitOf(textKey(doc.Text)))
			labels[doc.Text] = doc.Label
		}
	}
	return labels
}

func TestTextFolder(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"b.txt":         "first line\nsecond line\n\n \t\nanother\r\n\r\n\n",
		"a/one.md":      "# Title\n\nlone document",
		"a/two.TXT.gz":  gzipped(t, "packed"),
		"a/.hidden.txt": "no",
		".git/x.txt":    "no",
		"picture.png":   "no",
		"empty.txt":     "",
		"café/x.md.gz":  gzipped(t, "\xef\xbb\xbfmarked"),
		"bad.txt":       "caf\xe9 \xff\xfe!",
	})
	require.NoError(t, os.Symlink(filepath.Join(dir, "b.txt"), filepath.Join(dir, "link.md")))
	require.NoError(t, os.Symlink(filepath.Join(dir, "a"), filepath.Join(dir, "folder.txt")))
	c, err := prepare(t, dir)
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"first line second line":  "link.md",
		"another":                 "link.md",
		"# Title":                 "a/one.md",
		"lone document":           "a/one.md",
		"packed":                  "a/two.TXT.gz",
		"marked":                  "café/x.md.gz",
		"caf\uFFFD \uFFFD\uFFFD!": "bad.txt",
	}, documents(t, c))
	require.Equal(t, int64(3), c.Stats.InvalidBytes)
	require.Equal(t, int64(7), c.Stats.Files)
	require.Equal(t, int64(9), c.Stats.Total().Documents, "duplicates of one's own text are kept")
	require.NoError(t, c.Verify())
}

func TestOneFileOfAnyName(t *testing.T) {
	dir := writeTree(t, map[string]string{"story.train.gz": gzipped(t, "Once upon a time"), "my notes.md": "a\n\nb"})
	c, err := prepare(t, filepath.Join(dir, "story.train.gz"))
	require.NoError(t, err)
	require.Equal(t, "story.train", c.Name)
	require.Equal(t, map[string]string{"Once upon a time": "story.train.gz"}, documents(t, c))
	c, err = prepare(t, filepath.Join(dir, "my notes.md"))
	require.NoError(t, err)
	require.Equal(t, "my-notes", c.Name)
}

func TestBadTextIsTheUsersMistake(t *testing.T) {
	packed := gzipped(t, strings.Repeat("many words of text. ", 5000))
	dir := writeTree(t, map[string]string{
		"empty/x.txt":      "",
		"blank/x.txt":      " \n\t\n",
		"other/x.pdf":      "%PDF",
		"plain.txt.gz":     "not packed",
		"short.txt.gz":     packed[:len(packed)/2],
		"sum.txt.gz":       packed[:len(packed)-8] + "\x00\x00\x00\x00\x00\x00\x00\x00",
		"tail.txt.gz":      packed + "more rubbish",
		"utf16.txt":        "\xff\xfea\x00b\x00",
		"binary.dat":       "\x7fELF\x00\x00",
		"notcorpus.tgz":    packed,
		"notzip.tar.gz":    "x",
		"half/train.jsonl": "", "half/manifest.json": "{",
	})
	require.NoError(t, os.Mkdir(filepath.Join(dir, "nothing"), 0o777))
	for name, want := range map[string]string{
		"missing":       "no such file",
		"nothing":       "0 files of other kinds",
		"other":         "1 files of other kinds",
		"empty":         "1 text files with 0 bytes, and not one word",
		"blank":         "1 text files with 4 bytes, and not one word",
		"plain.txt.gz":  "invalid header",
		"short.txt.gz":  "unexpected EOF",
		"sum.txt.gz":    "invalid checksum",
		"tail.txt.gz":   "invalid header",
		"utf16.txt":     "UTF-16",
		"binary.dat":    "binary",
		"notcorpus.tgz": "invalid tar header",
		"notzip.tar.gz": "unexpected EOF",
		"half":          "damaged",
	} {
		t.Run(name, func(t *testing.T) {
			cache := t.TempDir()
			_, err := Prepare(t.Context(), filepath.Join(dir, name), cache, nil)
			require.ErrorContains(t, err, want)
			require.ErrorContains(t, err, filepath.Join(dir, name))
			require.True(t, usererr.Is(err), err)
			require.Empty(t, leftovers(t, cache))
		})
	}
}

func TestParagraphs(t *testing.T) {
	sentence := "This is a sentence of some words. "
	long := strings.Repeat(sentence, 1000)
	for _, wrap := range []func(io.Reader) io.Reader{
		func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.DataErrReader,
	} {
		var got []string
		_, err := paragraphs(wrap(strings.NewReader(long)), func(text string) error {
			got = append(got, text)
			return nil
		})
		require.NoError(t, err)
		require.Greater(t, len(got), len(long)/MaxDocumentBytes)
		for _, text := range got {
			require.LessOrEqual(t, len(text), MaxDocumentBytes)
			require.True(t, strings.HasPrefix(text, "This") && strings.HasSuffix(text, "."), text)
		}
		require.Equal(t, strings.TrimSpace(long), strings.Join(got, " "))
	}
}

func FuzzParagraphs(f *testing.F) {
	for _, seed := range []string{"a\n\nb", "\r\n\r\n", "\xef\xbb\xbf", "\xff\xfe", "a\x00", "\xe2\x82", "one two\n \nthree", "\u2028 \u00a0"} {
		f.Add([]byte(seed), uint16(1))
	}
	f.Add([]byte("é. "), uint16(9000))
	f.Add([]byte("€"), uint16(3000))
	f.Add([]byte("x\xff"), uint16(9000))
	f.Fuzz(func(t *testing.T, raw []byte, times uint16) {
		raw = bytes.Repeat(raw, min(int(times), 1<<16/(len(raw)+1)))
		var all strings.Builder
		invalid, err := paragraphs(bytes.NewReader(raw), func(text string) error {
			require.True(t, utf8.ValidString(text))
			require.LessOrEqual(t, len(text), MaxDocumentBytes)
			require.Equal(t, strings.Join(strings.Fields(text), " "), text)
			require.NotEmpty(t, text)
			all.WriteString(text)
			return nil
		})
		if err != nil {
			return
		}
		clean, replaced := replaceInvalid(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")))
		require.Equal(t, replaced, invalid)
		require.Equal(t, strings.Join(strings.Fields(string(clean)), ""), strings.ReplaceAll(all.String(), " ", ""))
	})
}

// TestMemoryIsBounded prepares and reads 64 MB of text, one line of them, in less than 16 MB of live heap.
func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 64 MB; leave out -short")
	}
	const size, limit = 64 << 20, 16 << 20
	file := filepath.Join(t.TempDir(), "big.txt")
	writeBig(t, file, size)
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	peak := uint64(0)
	measure := func() {
		runtime.GC()
		runtime.ReadMemStats(&now)
		peak = max(peak, now.HeapAlloc)
	}
	calls := 0
	c, err := Prepare(t.Context(), file, t.TempDir(), func(done, total int) {
		if calls++; calls%16 == 0 {
			measure()
		}
	})
	require.NoError(t, err)
	require.Greater(t, calls, 100)
	for doc, err := range c.Documents(Train) {
		require.NoError(t, err)
		if calls++; calls%500 == 0 {
			measure()
		}
		require.LessOrEqual(t, len(doc.Text), MaxDocumentBytes)
	}
	require.InDelta(t, size, c.Stats.Total().Bytes, size/100)
	require.Less(t, peak, before.HeapAlloc+limit)
}

// writeBig writes one long line of sentences and then as many short paragraphs, no two of them alike.
func writeBig(t testing.TB, file string, size int) {
	t.Helper()
	f, err := os.Create(file)
	require.NoError(t, err)
	out := bufio.NewWriter(f)
	for i, written := 0, 0; written < size; i++ {
		n, err := fmt.Fprintf(out, "The quick brown fox jumps over the lazy dog at %d and on. ", written)
		require.NoError(t, err)
		if written += n; written > size/2 && i%8 == 0 {
			_, err = out.WriteString("\n\n")
			require.NoError(t, err)
		}
	}
	require.NoError(t, errors.Join(out.Flush(), f.Close()))
}

func TestFullDiskIsNotTheUsersMistake(t *testing.T) {
	file := filepath.Join(t.TempDir(), "big.txt")
	writeBig(t, file, 4<<20)
	b, err := newBuilder(t.TempDir(), nil)
	require.NoError(t, err)
	require.NoError(t, b.close())
	r := textReader{read: func(int) error { return nil }}
	_, err = r.each(textFile{path: file}, func(text string) error { return b.add(text, "") })
	require.ErrorIs(t, err, os.ErrClosed, "a write that fails, as on a full disk")
	require.False(t, usererr.Is(err))
}

func TestCancelledTextLeavesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "big.txt")
	writeBig(t, file, 4<<20)
	cache := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Prepare(ctx, file, cache, func(done, total int) {
		if done > total/2 {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, usererr.Is(err))
	require.Empty(t, leftovers(t, cache))
	_, err = Prepare(t.Context(), file, cache, nil)
	require.NoError(t, err)
}

// TestSharedTexts: word counts of the one-line sample and the paragraphs as `zcat FILE | wc -w` prints them.
func TestSharedTexts(t *testing.T) {
	for name, want := range map[string]Count{
		"text/simple-wiki/simple_wiki.train.gz": {Words: 600000},
		"text/tinyshakespeare":                  {Words: 202651, Documents: 7222},
	} {
		c, err := prepare(t, testdata.Shared(t, name))
		require.NoError(t, err)
		total := c.Stats.Total()
		require.Equal(t, want.Words, total.Words)
		if want.Documents > 0 {
			require.Equal(t, want.Documents, total.Documents)
		}
		for _, split := range Splits {
			require.NotZero(t, c.Stats.Splits[split].Documents)
		}
	}
}
