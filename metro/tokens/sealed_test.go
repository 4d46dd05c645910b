// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/text"
	"metrolab/metro/tokens"
)

// Whatever happens to a file of the cache, the next call gives what was there before.
func TestEveryDamageIsMended(t *testing.T) {
	corpus, cache := prepared(t, 60)
	tokenizer := learn(t, corpus, cache)
	first, err := tokens.Tokenize(t.Context(), corpus, tokenizer, cache, nil)
	require.NoError(t, err)
	whole := map[string][]byte{}
	for _, below := range []string{"tokens", "tokenizers"} {
		for _, name := range names(t, filepath.Join(cache, below)) {
			path := filepath.Join(cache, below, name)
			whole[path], err = os.ReadFile(path)
			require.NoError(t, err)
		}
	}
	require.Len(t, whole, 8)
	for path, raw := range whole {
		damages := map[string]func() error{
			"half":    func() error { return os.Truncate(path, int64(len(raw)/2)) },
			"empty":   func() error { return os.Truncate(path, 0) },
			"longer":  func() error { return os.WriteFile(path, append(bytes.Clone(raw), 0, 0, 0, 0), 0o666) },
			"deleted": func() error { return os.Remove(path) },
			"folder":  func() error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o777)) },
			"all": func() error {
				return errors.Join(os.RemoveAll(filepath.Dir(path)), os.WriteFile(filepath.Dir(path), []byte("x"), 0o666))
			},
		}
		for _, at := range []int{0, len(raw) / 3, len(raw) / 2, len(raw) - 1} {
			damages[fmt.Sprint("flip at ", at)] = func() error {
				flipped := bytes.Clone(raw)
				flipped[max(0, at)] ^= 1
				return os.WriteFile(path, flipped, 0o666)
			}
		}
		for name, damage := range damages {
			if len(raw) == 0 {
				continue // a split without a document
			}
			require.NoError(t, damage())
			require.Equal(t, tokenizer.Hash(), learn(t, corpus, cache).Hash(), "%s of %s", name, path)
			again, err := tokens.Tokenize(t.Context(), corpus, tokenizer, cache, nil)
			require.NoError(t, err, "%s of %s", name, path)
			require.Equal(t, first, again)
			for path, raw := range whole {
				now, err := os.ReadFile(path)
				require.NoError(t, err, "%s of %s", name, path)
				require.True(t, bytes.Equal(raw, now), "%s of %s", name, path)
			}
		}
	}
}

// Many at a time find the same damage and mend it; each has whole files to read, at any moment.
func TestDamageIsMendedByMany(t *testing.T) {
	corpus, cache := prepared(t, 200)
	tokenizer := learn(t, corpus, cache)
	first, err := tokens.Tokenize(t.Context(), corpus, tokenizer, cache, nil)
	require.NoError(t, err)
	path := first.Paths[text.Train]
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, 8))
	var all sync.WaitGroup
	var read [6][]byte
	for i := range read {
		all.Go(func() {
			if _, err := tokens.Tokenize(context.Background(), corpus, tokenizer, cache, nil); err == nil {
				read[i], _ = os.ReadFile(path)
			}
		})
	}
	all.Wait()
	for i := range read {
		require.True(t, bytes.Equal(want, read[i]))
	}
}

// What a killed process has left is removed a day later, even by one who finds all in the cache.
func TestStraysAreRemoved(t *testing.T) {
	corpus, cache := prepared(t, 60)
	tokenizer := learn(t, corpus, cache)
	_, err := tokens.Tokenize(t.Context(), corpus, tokenizer, cache, nil)
	require.NoError(t, err)
	yesterday := time.Now().Add(-25 * time.Hour)
	for _, below := range []string{"tokens", "tokenizers"} {
		stray := filepath.Join(cache, below, ".tmp-x-0123456789ab")
		require.NoError(t, os.Mkdir(stray, 0o777))
		require.NoError(t, os.WriteFile(filepath.Join(stray, "train.json"), []byte("1234"), 0o666))
		for _, path := range []string{filepath.Join(stray, "train.json"), stray} {
			require.NoError(t, os.Chtimes(path, yesterday, yesterday))
		}
		learn(t, corpus, cache)
		_, err := tokens.Tokenize(t.Context(), corpus, tokenizer, cache, nil)
		require.NoError(t, err)
		require.NoDirExists(t, stray)
	}
}

// A cache that cannot be written to is the user's to mend, who is told how.
func TestCacheThatCannotBeWritten(t *testing.T) {
	corpus, _ := prepared(t, 60)
	inTheWay := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(inTheWay, nil, 0o666))
	_, err := tokens.Learn(t.Context(), corpus, tokens.Options{VocabSize: 90}, inTheWay)
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, "METROLAB_CACHE")
}

// The share of unknown words is said, with what makes it high.
func TestUnknown(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("onetwx", 27) // of an x that stands nowhere else
	path := filepath.Join(dir, "a.txt")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("one two three four five one two three four five "+long+" 漢\n", 30)), 0o666))
	corpus, err := text.Prepare(t.Context(), path, dir, nil)
	require.NoError(t, err)
	tokenizer, err := tokens.Learn(t.Context(), corpus, tokens.Options{VocabSize: 200, Alphabet: 11}, dir)
	require.NoError(t, err)
	files, err := tokens.Tokenize(t.Context(), corpus, tokenizer, dir, nil)
	require.NoError(t, err)
	u := files.Unknown
	require.EqualValues(t, 360, u.Words, "they are all in the training split")
	require.InDelta(t, 1./6, u.Share(), 1e-12, "%+v", u)
	require.Equal(t, []string{"漢"}, u.Characters)
	require.Equal(t, []string{"onetwxonetwxonetwxonetwx… (162 characters)"}, u.Long)
	require.Contains(t, u.String(), "warning: ")
	require.Contains(t, u.String(), "17 % of the words are unknown")
	require.Contains(t, u.String(), "data.alphabet")
	require.Contains(t, u.String(), "data.longest_word")
	u.Unknown = 0 // nothing to warn of
	require.NotContains(t, u.String(), "warning")

	tokenizer, err = tokens.Learn(t.Context(), corpus, tokens.Options{VocabSize: 200, LongestWord: 200}, dir)
	require.NoError(t, err)
	files, err = tokens.Tokenize(t.Context(), corpus, tokenizer, dir, nil)
	require.NoError(t, err)
	require.Zero(t, files.Unknown.Unknown)
}
