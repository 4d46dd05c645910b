// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/text"
	"metrolab/metro/tokens"
	_ "metrolab/metro/tokens/all"
)

// prepared is a corpus of n made paragraphs, and a folder to keep things in.
func prepared(t *testing.T, n int) (*text.Corpus, string) {
	t.Helper()
	dir := t.TempDir()
	var prose strings.Builder
	for i := range n {
		fmt.Fprintf(&prose, "reader %d closes file %d before the writer of file %d opens it again.\n\n", i, i*i%13, i%7)
	}
	prose.WriteString("One that spells [MASK], [PAD] and [SEP].\n")
	path := filepath.Join(dir, "prose.txt")
	require.NoError(t, os.WriteFile(path, []byte(prose.String()), 0o666))
	corpus, err := text.Prepare(t.Context(), path, filepath.Join(dir, "cache"), nil)
	require.NoError(t, err)
	return corpus, filepath.Join(dir, "cache")
}

func learn(t *testing.T, corpus *text.Corpus, cache string) tokens.Tokenizer {
	t.Helper()
	tokenizer, err := tokens.Learn(t.Context(), corpus, tokens.Options{VocabSize: 90, Lowercase: true}, cache)
	require.NoError(t, err)
	return tokenizer
}

// names lists the files below a folder, by their paths in it.
func names(t *testing.T, dir string) (paths []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			path, err = filepath.Rel(dir, path)
			paths = append(paths, filepath.ToSlash(path))
		}
		return err
	}))
	return paths
}

// What is kept lies under names that say what it was made of, with its checksums.
func TestCacheNames(t *testing.T) {
	corpus, cache := prepared(t, 100)
	tokenizer := learn(t, corpus, cache)
	require.Equal(t, []string{corpus.Hash[:16] + "-90-true/SHA256SUMS", corpus.Hash[:16] + "-90-true/tokenizer.json"}, names(t, filepath.Join(cache, "tokenizers")))
	files, err := tokens.Tokenize(t.Context(), corpus, tokenizer, cache, nil)
	require.NoError(t, err)
	dir := filepath.Join(cache, "tokens", corpus.Hash[:16]+"-"+tokenizer.Hash()[:16])
	require.Equal(t, map[text.Split]string{
		text.Train: filepath.Join(dir, "train.json"), text.Validation: filepath.Join(dir, "validation.json"), text.Test: filepath.Join(dir, "test.json"),
	}, files.Paths)
	var kept []string
	for _, split := range []string{"test", "train", "validation"} {
		kept = append(kept, filepath.Join(filepath.Base(dir), split+"-00000.tokens"), filepath.Join(filepath.Base(dir), split+".json"))
	}
	require.Equal(t, kept, names(t, filepath.Join(cache, "tokens")))
}

// Several users may share a cache: what is made in it has the permissions of any other folder and file.
func TestCacheIsShared(t *testing.T) {
	corpus, cache := prepared(t, 100)
	_, err := tokens.Tokenize(t.Context(), corpus, learn(t, corpus, cache), cache, nil)
	require.NoError(t, err)
	folder := filepath.Join(t.TempDir(), "folder")
	file := filepath.Join(folder, "file")
	require.NoError(t, os.Mkdir(folder, 0o777))
	require.NoError(t, os.WriteFile(file, nil, 0o666))
	mode := func(path string) fs.FileMode {
		info, err := os.Stat(path)
		require.NoError(t, err)
		return info.Mode()
	}
	require.NoError(t, filepath.WalkDir(cache, func(path string, entry fs.DirEntry, err error) error {
		like := file
		if err == nil && entry.IsDir() {
			like = folder
		}
		require.Equal(t, mode(like), mode(path), path)
		return err
	}))
}

// A stream is the ids of the documents, a [SEP] after each; what the text spells of special tokens is unknown.
func TestStreams(t *testing.T) {
	corpus, cache := prepared(t, 200)
	tokenizer := learn(t, corpus, cache)
	done, total := 0, 0
	files, err := tokens.Tokenize(t.Context(), corpus, tokenizer, cache, func(d, t int) { done, total = d, t })
	require.NoError(t, err)
	require.EqualValues(t, corpus.Stats.Total().Bytes, done)
	require.Equal(t, total, done)
	special := tokenizer.Special()
	for split, path := range files.Paths {
		var want []int32
		for doc, err := range corpus.Documents(split) {
			require.NoError(t, err)
			for _, id := range tokenizer.EncodeIDs(nil, doc.Text) {
				if tokenizer.IsSpecial(id) {
					id = special.UNK
				}
				want = append(want, id)
			}
			want = append(want, special.SEP)
		}
		stream, err := tokens.OpenStream(path, tokenizer.VocabSize())
		require.NoError(t, err)
		require.Equal(t, len(want), stream.Len())
		got := make([]int32, stream.Len())
		require.NoError(t, stream.Read(got, 0))
		require.Equal(t, want, got, split)
		require.NoError(t, stream.Read(got[:5], 3))
		require.Equal(t, want[3:8], got[:5])
		require.ErrorContains(t, stream.Read(got, 1), path)
		require.NoError(t, stream.Close())
		require.ErrorIs(t, stream.Read(got, 0), os.ErrClosed)
	}
}

// An interrupted call leaves what is whole, and no tokenizer.
func TestInterrupted(t *testing.T) {
	corpus, cache := prepared(t, 300)
	ctx, cancel := context.WithCancel(t.Context())
	tokenizer := learn(t, corpus, cache)
	_, err := tokens.Tokenize(ctx, corpus, tokenizer, cache, func(done, total int) {
		require.LessOrEqual(t, done, total)
		cancel()
	})
	require.ErrorIs(t, err, context.Canceled)
	require.LessOrEqual(t, len(names(t, filepath.Join(cache, "tokens"))), 2, "at most the split that was under way")

	_, err = tokens.Learn(ctx, corpus, tokens.Options{VocabSize: 130, Lowercase: true}, cache)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, names(t, filepath.Join(cache, "tokenizers")), 2, "one and its checksums")

	_, err = tokens.Tokenize(t.Context(), corpus, tokenizer, cache, nil)
	require.NoError(t, err)
}

// A damaged tokenizer in the cache is learned again.
func TestDamagedTokenizerIsLearnedAgain(t *testing.T) {
	corpus, cache := prepared(t, 100)
	want := learn(t, corpus, cache).Hash()
	for _, name := range names(t, filepath.Join(cache, "tokenizers")) {
		require.NoError(t, os.Truncate(filepath.Join(cache, "tokenizers", name), 100))
	}
	require.Equal(t, want, learn(t, corpus, cache).Hash())
}

func TestLearnRefuses(t *testing.T) {
	corpus, cache := prepared(t, 10)
	_, err := tokens.Learn(t.Context(), corpus, tokens.Options{Model: "Riddle", VocabSize: 90}, cache)
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, "Riddle, which is not known; known are")
	require.ErrorContains(t, err, "WordPiece")
}

// All of a short text can be held out.
func TestNothingToLearnFrom(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "one.txt")
	require.NoError(t, os.WriteFile(path, []byte("one single paragraph of text with some words in it\n"), 0o666))
	corpus, err := text.Prepare(t.Context(), path, filepath.Join(dir, "cache"), nil)
	require.NoError(t, err)
	_, err = tokens.Learn(t.Context(), corpus, tokens.Options{VocabSize: 90}, filepath.Join(dir, "cache"))
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, "its text is 1 paragraphs with 10 words, and all of them are kept for validation and testing")
}
