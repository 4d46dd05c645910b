// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/internal/atomicfile"
	"metrolab/internal/faultfs"
	"metrolab/internal/usererr"
	"metrolab/metro/text"
)

// The tests below start this test binary again, to prepare the text in the folder that this variable names until it is killed.
const childVariable = "METROLAB_TOKENS_TEST_CHILD"

func TestMain(m *testing.M) {
	dir := os.Getenv(childVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	shardTokens = 500
	if err := prepare(context.Background(), dir, "cache"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// prepare makes a corpus of the text in a folder, and tokens of it, in a cache there.
func prepare(ctx context.Context, dir, cache string) error {
	corpus, err := text.Prepare(ctx, filepath.Join(dir, proseName), filepath.Join(dir, cache), nil)
	if err == nil {
		_, err = Tokenize(ctx, corpus, vowels{}, filepath.Join(dir, cache), nil)
	}
	return err
}

const proseName = "prose.txt"

// vowels is a tokenizer of bytes, in which vowels continue words and a q is unknown.
type vowels struct{ bytesTokenizer }

func (vowels) VocabSize() int               { return 300 }
func (vowels) Hash() string                 { return strings.Repeat("v", 64) }
func (vowels) Special() Special             { return Special{UNK: 'q', SEP: 299} }
func (vowels) IsSpecial(id int32) bool      { return id == 299 }
func (vowels) IsContinuation(id int32) bool { return id < 128 && strings.ContainsRune("aeiou", id) }
func (vowels) Token(id int32) string        { return string(id) }

func (v vowels) Encode(text string) Encoding {
	e := Encoding{IDs: v.EncodeIDs(nil, text)}
	for i := range e.IDs {
		e.Bytes = append(e.Bytes, Span{i, i + 1})
	}
	return e
}

// shortShards has the tests of a function write shards of n tokens.
func shortShards(t *testing.T, n int) {
	before := shardTokens
	shardTokens = n
	t.Cleanup(func() { shardTokens = before })
}

// corpusOf is one of n paragraphs, some shorter and some longer than a shard of 500 tokens, in a folder.
func corpusOf(t *testing.T, n int) (corpus *text.Corpus, dir string) {
	t.Helper()
	dir = t.TempDir()
	var prose strings.Builder
	for i := range n {
		fmt.Fprintf(&prose, "paragraph %d,%s and its end.\n\n", i, strings.Repeat(" quite long", i*i*7%113))
	}
	path := filepath.Join(dir, proseName)
	require.NoError(t, os.WriteFile(path, []byte(prose.String()), 0o666))
	corpus, err := text.Prepare(t.Context(), path, filepath.Join(dir, "texts"), nil)
	require.NoError(t, err)
	return corpus, dir
}

// files are those of a cache, by their paths in it, but for what killed writers have left, which goes a day later.
func files(t *testing.T, cache string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range []string{"corpora/*/*", "tokens/*/*"} {
		paths, err := filepath.Glob(filepath.Join(cache, pattern))
		require.NoError(t, err)
		for _, path := range paths {
			if atomicfile.IsTemp(filepath.Base(path)) || atomicfile.IsTemp(filepath.Base(filepath.Dir(path))) {
				continue
			}
			raw, err := os.ReadFile(path)
			require.NoError(t, err)
			name, err := filepath.Rel(cache, path)
			require.NoError(t, err)
			found[name] = string(raw)
		}
	}
	return found
}

// unsynced runs f on a disk that need not outlive a power failure, which is faster.
func unsynced(t *testing.T, f func() error) {
	t.Helper()
	_, err := faultfs.Failing(math.MaxInt, nil, f)
	require.NoError(t, err)
}

func requireSame(t *testing.T, want, got map[string]string, of string) {
	t.Helper()
	for name := range want {
		require.True(t, want[name] == got[name], "%s: %s", of, name)
	}
	require.Len(t, got, len(want), of)
}

// Whatever the length of the shards, they hold the same tokens, of which none is lost, and say where documents end.
func TestShards(t *testing.T) {
	corpus, dir := corpusOf(t, 30)
	for _, length := range []int{70, 500, 1 << 20} {
		shortShards(t, length)
		var made Tokenized
		unsynced(t, func() (err error) {
			made, err = Tokenize(t.Context(), corpus, vowels{}, filepath.Join(dir, fmt.Sprint(length)), nil)
			return err
		})
		for split, path := range made.Paths {
			stream, err := OpenStream(path, 300)
			require.NoError(t, err)
			all := make([]int32, stream.Len())
			require.NoError(t, stream.Read(all, 0))
			var failure error
			from, n := 0, 0
			for text := range corpus.Texts(t.Context(), split, &failure) {
				begin, end, err := stream.Document(n)
				require.NoError(t, err)
				require.Equal(t, from, begin)
				require.Equal(t, append(vowels{}.EncodeIDs(nil, text), 299), all[begin:end])
				from, n = end, n+1
			}
			require.NoError(t, failure)
			require.Equal(t, []int{n, from}, []int{stream.Documents(), stream.Len()})
			part := make([]int32, min(1100, len(all)-3))
			require.NoError(t, stream.Read(part, 3))
			require.Equal(t, all[3:3+len(part)], part)
			for _, i := range []int{-1, n} {
				_, _, err := stream.Document(i)
				require.ErrorContains(t, err, path)
			}
			require.NoError(t, stream.Close())
			_, _, err = stream.Document(0)
			require.ErrorIs(t, err, os.ErrClosed)
			if split == text.Train {
				words := len(slices.DeleteFunc(all, func(id int32) bool { return id == 299 || vowels{}.IsContinuation(id) }))
				require.Equal(t, Unknown{Tokens: int64(stream.Len() - n), Words: int64(words), Unknown: made.Unknown.Unknown, Characters: []string{"q"}}, made.Unknown)
				require.NotZero(t, made.Unknown.Unknown)
			}
		}
	}
}

// Ids take 2 bytes where they fit.
func TestWidth(t *testing.T) {
	for vocab, width := range map[int]int{300: 2, 1 << 16: 2, 1<<16 + 1: 4} {
		require.Equal(t, width, newIndex(vocab).Width, vocab)
	}
}

// Corpus and tokens are the same on any number of cores, and if the process is killed, again and again, at moments drawn with a
// fixed seed.
func TestKilledPreparationGoesOn(t *testing.T) {
	shortShards(t, 500)
	_, dir := corpusOf(t, 60)
	unsynced(t, func() error { return prepare(t.Context(), dir, "whole") })
	want := files(t, filepath.Join(dir, "whole"))
	self, err := os.Executable()
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	killed, most := 0, 0
	for i := 0; ; i++ {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), childVariable+"="+dir, fmt.Sprint("GOMAXPROCS=", 1+i%3))
		cmd.Stderr = os.Stderr
		require.NoError(t, cmd.Start())
		timer := time.AfterFunc(time.Duration(10+rng.IntN(60+10*i))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		if err == nil {
			break
		}
		require.Less(t, i, 500, "it goes on")
		killed++
		n := len(files(t, filepath.Join(dir, "cache")))
		require.GreaterOrEqual(t, n, most-1, "what is whole stays") // that of a split takes the place of a partial index
		most = max(most, n)
	}
	t.Logf("killed %d times", killed)
	requireSame(t, want, files(t, filepath.Join(dir, "cache")), "killed")
}

// A call that is killed in the middle of any change, or whose disk is full at any, leaves what the next one completes.
func TestEveryFaultOfPreparation(t *testing.T) {
	shortShards(t, 5000)
	_, dir := corpusOf(t, 20)
	prepared := func(cache string) func() error { return func() error { return prepare(t.Context(), dir, cache) } }
	unsynced(t, prepared("whole"))
	want := files(t, filepath.Join(dir, "whole"))
	for name, fault := range map[string]func(at int, f func() error) (int, error){
		"killed": faultfs.Killed,
		"full":   func(at int, f func() error) (int, error) { return faultfs.Failing(at, syscall.ENOSPC, f) },
		"short":  func(at int, f func() error) (int, error) { return faultfs.Failing(at, io.ErrShortWrite, f) },
	} {
		for at := 1; ; at++ {
			cache := fmt.Sprint(name, at)
			require.NoError(t, os.Mkdir(filepath.Join(dir, cache), 0o777))
			changes, err := fault(at, prepared(cache))
			if name == "full" && err != nil {
				require.ErrorIs(t, err, syscall.ENOSPC)
				require.True(t, usererr.Is(err), "%v", err)
				require.ErrorContains(t, err, "METROLAB_CACHE")
			}
			unsynced(t, prepared(cache))
			requireSame(t, want, files(t, filepath.Join(dir, cache)), fmt.Sprint(name, " at ", at))
			if changes < at {
				break
			}
			require.NoError(t, os.RemoveAll(filepath.Join(dir, cache)))
		}
	}
}

// What is behind a whole shard is made again from there; what is whole is not touched.
func TestOnlyTheRestIsMade(t *testing.T) {
	shortShards(t, 500)
	corpus, dir := corpusOf(t, 60)
	encoded := 0
	var made Tokenized
	tokenize := func() (err error) {
		encoded = 0
		made, err = Tokenize(t.Context(), corpus, vowels{}, dir, func(done, total int) { encoded++ })
		return err
	}
	unsynced(t, tokenize)
	want, path := files(t, dir), made.Paths[text.Train]
	least := 0
	for _, damage := range []int{40, 3, 0} {
		shard := shardPath(path, damage)
		raw, err := os.ReadFile(shard)
		require.NoError(t, err)
		raw[len(raw)/2] ^= 4
		require.NoError(t, os.WriteFile(shard, raw, 0o666))
		_, err = OpenStream(path, 300)
		require.True(t, usererr.Is(err), "%v", err)
		require.ErrorContains(t, err, shard)
		require.ErrorContains(t, err, "remove their folder")

		before := shardPath(path, max(0, damage-1))
		old := time.Now().Add(-time.Hour).Truncate(time.Second)
		require.NoError(t, os.Chtimes(before, old, old))
		unsynced(t, tokenize)
		require.Greater(t, encoded, least, "the earlier the damage, the more")
		least = encoded
		requireSame(t, want, files(t, dir), shard)
		info, err := os.Stat(before)
		require.NoError(t, err)
		require.Equal(t, damage > 0, old.Equal(info.ModTime()))
	}
	require.EqualValues(t, corpus.Stats.Splits[text.Train].Documents, encoded)
}

// Shards may be read at once, and closed meanwhile.
func TestReadWhileClosing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	require.NoError(t, WriteStream(path, vowels{}, func(yield func(int32) bool) {
		for i := range int32(10_000) {
			if !yield(i % 299) {
				return
			}
		}
	}))
	stream, err := OpenStream(path, 300)
	require.NoError(t, err)
	done := make(chan error)
	for range 4 {
		go func() {
			ids := make([]int32, 512)
			for {
				if err := stream.Read(ids, 4000); err != nil {
					done <- err
					return
				}
			}
		}()
	}
	runtime.Gosched()
	require.NoError(t, stream.Close())
	for range 4 {
		require.ErrorIs(t, <-done, os.ErrClosed)
	}
}

// FuzzStream: an index and a shard of any content are read or refused, whatever is asked of them.
func FuzzStream(f *testing.F) {
	path := filepath.Join(f.TempDir(), "x.json")
	require.NoError(f, WriteStream(path, vowels{}, slices.Values([]int32{1, 2, 299, 3, 299, 4})))
	ix, err := os.ReadFile(path)
	require.NoError(f, err)
	shard, err := os.ReadFile(shardPath(path, 0))
	require.NoError(f, err)
	f.Add(ix, shard, 0, 2)
	f.Add(bytes.Replace(ix, []byte(`"documents": 2`), []byte(`"documents": 9`), 1), shard, 5, 1)
	f.Add(ix[:len(ix)/2], shard[:3], -1, 5)
	f.Add([]byte("{}"), []byte{}, 0, 1)
	f.Fuzz(func(t *testing.T, raw, shard []byte, at, n int) {
		require.NoError(t, errors.Join(os.WriteFile(path, raw, 0o666), os.WriteFile(shardPath(path, 0), shard, 0o666)))
		s, err := OpenStream(path, 100)
		if err != nil {
			require.True(t, usererr.Is(err))
			return
		}
		defer s.Close()
		ids := make([]int32, max(0, n%1000))
		if s.Read(ids, at) == nil {
			for _, id := range ids {
				require.True(t, id >= 0 && id < 100)
			}
		}
		_, _, _ = s.Document(at)
	})
}
