// SPDX-License-Identifier: Apache-2.0

package data

import (
	"fmt"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/text"
	"metrolab/metro/tokens"
	"metrolab/metro/tokens/wordpiece"
)

// writeTree writes files of the given contents into a folder of their own.
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

func count() (progress func(done, total int), calls *int) {
	calls = new(int)
	return func(int, int) { *calls++ }, calls
}

// prose is n paragraphs of made text, one of them spelling special tokens.
func prose(n int) string {
	words := strings.Fields("the reader closes a file before its writer opens the lock and every caller returns an error")
	var out strings.Builder
	for i := range n {
		for k := range 9 {
			fmt.Fprintf(&out, "%s ", words[(i*i+k*(i%5+1))%len(words)])
		}
		fmt.Fprintf(&out, "number %d.\n\n", i)
	}
	out.WriteString("A text that spells [MASK] and [PAD], [CLS], [SEP] or ☃ must not act as one.\n")
	return out.String()
}

// textCorpus prepares prose in a folder of its own with $METROLAB_CACHE in it, and returns the corpus and the cache.
func textCorpus(t *testing.T, content string) (*text.Corpus, string) {
	t.Helper()
	dir := writeTree(t, map[string]string{"text/a.txt": content})
	t.Setenv("METROLAB_CACHE", filepath.Join(dir, "cache"))
	cache, err := text.CacheDir()
	require.NoError(t, err)
	corpus, err := text.Prepare(t.Context(), filepath.Join(dir, "text"), "", nil)
	require.NoError(t, err)
	return corpus, cache
}

func learn(t *testing.T, corpus *text.Corpus, cache string) tokens.Tokenizer {
	t.Helper()
	tokenizer, err := tokens.Learn(t.Context(), corpus, tokens.Options{VocabSize: 120, Lowercase: true}, cache)
	require.NoError(t, err)
	return tokenizer
}

// dataset opens rows of 16 tokens for the length of the test.
func dataset(t *testing.T, corpus *text.Corpus, cache string, progress func(done, total int)) *Dataset {
	t.Helper()
	d, err := NewDataset(t.Context(), corpus, learn(t, corpus, cache), 16, cache, progress)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// filesOf lists the files below dir with their modification times.
func filesOf(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	times := map[string]int64{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			times[path] = info.ModTime().UnixNano()
		}
		return err
	}))
	return times
}

// From a folder of text to batches: the second way through reads the caches and gives the same.
func TestTextToBatches(t *testing.T) {
	corpus, cache := textCorpus(t, prose(400))
	load := func() (*Dataset, Batch, int) {
		progress, calls := count()
		d := dataset(t, corpus, cache, progress)
		require.NoError(t, d.Require(8, 8))
		l := Loader{Rows: d.Train, Seed: 1, Stream: "train/", Shuffle: true, BatchSize: 8, Slots: 2, Masking: Masking{Rate: 0.15}, MaskID: d.MaskID, Maskable: d.Maskable}
		return d, batchOf(t, &l, 3), *calls
	}
	first, batch, calls := load()
	require.EqualValues(t, corpus.Stats.Total().Documents, calls, "progress is called for each document")
	files := filesOf(t, cache)
	second, again, calls := load()
	require.Zero(t, calls)
	require.Equal(t, files, filesOf(t, cache), "the second call writes nothing")
	require.Equal(t, batch, again)
	require.Equal(t, first.Tokenizer.Hash(), second.Tokenizer.Hash())

	special := first.Tokenizer.Special()
	require.Equal(t, []int32{special.PAD, special.MASK}, []int32{first.PadID, first.MaskID})
	require.Equal(t, first.Tokenizer.VocabSize(), first.Vocab)
	for _, id := range batch.Tokens {
		require.True(t, id >= 0 && int(id) < first.Vocab)
	}
	a, err := first.Counts()
	require.NoError(t, err)
	b, err := second.Counts()
	require.NoError(t, err)
	require.Equal(t, a.unigram, b.unigram)
}

// The logits of the replacement sources, put through a softmax, are the distributions that they are called after.
func TestSourceLogits(t *testing.T) {
	corpus, cache := textCorpus(t, prose(400))
	d := dataset(t, corpus, cache, nil)
	require.True(t, d.Continues(lookup(t, d, "##e")))
	require.False(t, d.Continues(lookup(t, d, "e")))
	counts, err := d.Counts()
	require.NoError(t, err)
	unigram, err := d.LogUnigram()
	require.NoError(t, err)
	uniform := d.LogUniform()
	require.Len(t, unigram, d.Vocab)
	require.Len(t, uniform, d.Vocab)
	ordinary, sum := 0, 0.0
	for id := range int32(d.Vocab) {
		if d.Maskable(id) {
			ordinary++
			require.Zero(t, uniform[id])
		} else {
			require.EqualValues(t, -1e9, uniform[id])
			require.EqualValues(t, -1e9, unigram[id])
		}
		p := math.Exp(float64(unigram[id]))
		require.InDelta(t, counts.unigram[id]/counts.total, p, 1e-6)
		sum += p
	}
	require.InDelta(t, 1, sum, 1e-5)
	require.Equal(t, d.Vocab-5, ordinary)

	d.counts = func() (*Counts, error) { return CountTokens(d.Train, d.Vocab, func(int32) bool { return false }) }
	_, err = d.LogUnigram()
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, corpus.Source)
	d.counts = func() (*Counts, error) { return nil, fs.ErrClosed }
	_, err = d.LogUnigram()
	require.ErrorIs(t, err, fs.ErrClosed)
}

func lookup(t *testing.T, d *Dataset, token string) int32 {
	t.Helper()
	for id := range int32(d.Vocab) {
		if d.Tokenizer.Token(id) == token {
			return id
		}
	}
	require.Fail(t, "no such token", token)
	return 0
}

// The rows are the documents, each closed by [SEP], and nothing else.
func TestDatasetHoldsTheText(t *testing.T) {
	corpus, cache := textCorpus(t, prose(300))
	d := dataset(t, corpus, cache, nil)
	for split, rows := range map[text.Split]*Rows{text.Train: d.Train, text.Validation: d.Validation, text.Test: d.Test} {
		ids := []int32{}
		row := make([]int32, 16)
		for i := range rows.Len() {
			require.NoError(t, rows.Read(i, row))
			ids = append(ids, row[1:]...)
		}
		var texts []string
		for doc := range chunks(ids[:rows.Tokens()], d.Tokenizer.Special().SEP) {
			texts = append(texts, d.Tokenizer.Decode(doc))
		}
		var want []string
		for doc, err := range corpus.Documents(split) {
			require.NoError(t, err)
			if strings.Contains(doc.Text, "MASK") {
				doc.Text = texts[len(want)] // unknown tokens do not come back; see the next test
			}
			want = append(want, strings.ToLower(doc.Text))
		}
		require.Equal(t, want, texts, split)
	}
}

// chunks yields what stands before each separator.
func chunks(ids []int32, separator int32) iter.Seq[[]int32] {
	return func(yield func([]int32) bool) {
		for len(ids) > 0 {
			end := slices.Index(ids, separator)
			if !yield(ids[:end]) {
				return
			}
			ids = ids[end+1:]
		}
	}
}

// Text that spells special tokens is unknown, as is a character that the alphabet lacks: no text can pad, mask or end a
// document.
func TestTextCannotSpellSpecialTokens(t *testing.T) {
	corpus, cache := textCorpus(t, prose(300))
	tokenizer, err := wordpiece.Train(slices.Values([]string{"a text that spells and or must not act as one , ."}), wordpiece.Options{VocabSize: 60, Lowercase: true})
	require.NoError(t, err)
	d, err := NewDataset(t.Context(), corpus, tokenizer, 4096, cache, nil)
	require.NoError(t, err)
	defer d.Close()
	special := tokenizer.Special()
	documents, unknown := 0, 0
	row := make([]int32, 4096)
	for _, rows := range []*Rows{d.Train, d.Validation, d.Test} {
		for i := range rows.Len() {
			require.NoError(t, rows.Read(i, row))
			for k, id := range row[1:min(len(row), rows.Tokens()-i*4095+1)] {
				require.NotContains(t, []int32{special.PAD, special.CLS, special.MASK}, id, "token %d", k)
				if id == special.SEP {
					documents++
				}
				if id == special.UNK {
					unknown++
				}
				require.Equal(t, tokenizer.IsSpecial(id), !d.Maskable(id))
			}
		}
	}
	require.EqualValues(t, corpus.Stats.Total().Documents, documents, "one [SEP] a document")
	require.GreaterOrEqual(t, unknown, 5, "four special tokens and a snowman")
}

// A corpus that is too small is the user's to mend; the error has the numbers.
func TestTooSmallCorpus(t *testing.T) {
	corpus, cache := textCorpus(t, "only one paragraph here")
	_, err := NewDataset(t.Context(), corpus, learn(t, corpus, cache), 16, cache, nil)
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, "the validation split of "+corpus.Source+" is empty: the corpus has 1 documents")

	corpus, cache = textCorpus(t, prose(200))
	d := dataset(t, corpus, cache, nil)
	require.NoError(t, d.Require(d.Train.Len(), min(d.Validation.Len(), d.Test.Len())))
	for _, test := range []struct {
		batch, rows int
		parts       []string
	}{
		{d.Train.Len() + 1, 1, []string{"train split", fmt.Sprint(d.Train.Len(), " rows of 16 tokens"), fmt.Sprint("training.batch_size asks for ", d.Train.Len()+1)}},
		{1, 5000, []string{"validation split", fmt.Sprint(d.Validation.Len(), " rows"), "evaluation.rows asks for 5000"}},
	} {
		err := d.Require(test.batch, test.rows)
		require.True(t, usererr.Is(err), "%v", err)
		for _, part := range append(test.parts, corpus.Source) {
			require.ErrorContains(t, err, part)
		}
	}
}

// Two at a time make the same files once; neither sees the other's half, and nothing is left over.
func TestConcurrentDatasets(t *testing.T) {
	corpus, cache := textCorpus(t, prose(300))
	tokenizer := learn(t, corpus, cache)
	ctx := t.Context()
	var wg sync.WaitGroup
	sets, errs := make([]*Dataset, 4), make([]error, 4)
	for i := range sets {
		wg.Go(func() { sets[i], errs[i] = NewDataset(ctx, corpus, tokenizer, 16, cache, nil) })
	}
	wg.Wait()
	for i, d := range sets {
		require.NoError(t, errs[i])
		defer d.Close()
		require.Equal(t, sets[0].Train.Tokens(), d.Train.Tokens())
		row, same := make([]int32, 16), make([]int32, 16)
		require.NoError(t, d.Train.Read(d.Train.Len()-1, row))
		require.NoError(t, sets[0].Train.Read(d.Train.Len()-1, same))
		require.Equal(t, same, row)
	}
	entries, err := os.ReadDir(filepath.Join(cache, "tokens"))
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

// A closed dataset has no open file; neither has one that was refused.
func TestDatasetCloses(t *testing.T) {
	corpus, cache := textCorpus(t, prose(200))
	d, err := NewDataset(t.Context(), corpus, learn(t, corpus, cache), 16, cache, nil)
	require.NoError(t, err)
	require.NoError(t, d.Close())
	for _, rows := range []*Rows{d.Train, d.Validation, d.Test} {
		require.ErrorIs(t, rows.Read(0, make([]int32, 16)), os.ErrClosed)
	}
	require.ErrorIs(t, d.Close(), os.ErrClosed)

	open := openFiles(t)
	corpus, cache = textCorpus(t, "only one paragraph here")
	for range 3 {
		_, err = NewDataset(t.Context(), corpus, learn(t, corpus, cache), 16, cache, nil)
		require.ErrorContains(t, err, "is empty")
	}
	require.Equal(t, open, openFiles(t))
}

// openFiles counts the token files that this process has mapped.
func openFiles(t *testing.T) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip("there is no /proc/self/maps that says which files are mapped; run it on Linux")
	}
	return strings.Count(string(maps), ".tokens\n")
}

// Guessing from both neighbours beats the most frequent token, and both are shares of the validation tokens that may be masked.
func TestAnchors(t *testing.T) {
	corpus, cache := textCorpus(t, prose(400))
	d := dataset(t, corpus, cache, nil)
	a, err := d.Anchors()
	require.NoError(t, err)
	counts, err := d.Counts()
	require.NoError(t, err)
	require.InDelta(t, counts.Majority(), a.Unigram, 0.05, "the splits are alike")
	require.Greater(t, a.Trigram, 2*a.Unigram)
	require.LessOrEqual(t, a.Trigram, 1.0)
	require.Less(t, a.UnigramLoss, math.Log(float64(d.Vocab)), "frequencies tell something")
	again, err := d.Anchors()
	require.NoError(t, err)
	require.Equal(t, a, again, "whatever the order of a map")
}
