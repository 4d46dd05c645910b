// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/training"
)

// pretrained trains a micro model of the given objective for 20 steps on made text, once.
func pretrained(t *testing.T, objective string) training.Pretrained {
	t.Helper()
	dir, err := pretrainedDir(objective, func(config string) (string, error) {
		root, err := os.MkdirTemp("", "metrolab-reader-")
		if err != nil {
			return "", err
		}
		var prose strings.Builder
		for i := range 3000 {
			fmt.Fprintf(&prose, "the %d readers open %d files and close %d of them before noon.\n\n", i%7, i%11, i%5)
		}
		path := filepath.Join(root, "text.txt")
		if err := os.WriteFile(path, []byte(prose.String()), 0o600); err != nil {
			return "", err
		}
		corpus, err := text.Prepare(context.Background(), path, filepath.Join(root, "cache"), nil)
		if err != nil {
			return "", err
		}
		c := recipes.Micro()
		c.Training.Steps, c.Objective.Name = 20, config
		if config == "rtd_clm_exits" {
			c.Main.Layers = 3
		}
		r := training.Runner{Backend: backendtest.Go(t), BackendKind: "go", Corpus: corpus, CacheDir: filepath.Join(root, "cache"), Store: runs.Store{Root: root}}
		result, err := r.Run(context.Background(), "run", c, nil)
		if err != nil {
			return "", err
		}
		return result.Run.Dir, nil
	})
	require.NoError(t, err)
	p, err := training.LoadPretrained(dir)
	require.NoError(t, err)
	return p
}

var pretrainedDirs sync.Map

func pretrainedDir(objective string, train func(string) (string, error)) (string, error) {
	if dir, ok := pretrainedDirs.Load(objective); ok {
		return dir.(string), nil
	}
	dir, err := train(objective)
	if err == nil {
		pretrainedDirs.Store(objective, dir)
	}
	return dir, err
}

func newReader(t *testing.T, objective string, o ReaderOptions) *Reader {
	t.Helper()
	r, err := NewReader(backendtest.Go(t), pretrained(t, objective), o)
	require.NoError(t, err)
	return r
}

// A text that fits into a row is read as the row [CLS] … [SEP] of its ids.
func TestTextsAndRowsAgree(t *testing.T) {
	r := newReader(t, "rtd_clm", ReaderOptions{TopK: 3, Hidden: true})
	text := "the readers open 4"
	readings, err := r.Texts(t.Context(), text)
	require.NoError(t, err)
	of := readings[0]
	special := r.tokens.Special()
	rows, err := r.Rows(t.Context(), slices.Concat([]int32{special.CLS}, of.IDs, []int32{special.SEP}))
	require.NoError(t, err)
	n := len(of.IDs)
	require.Positive(t, n)
	require.Equal(t, rows[0].RTDLogits[1:n+1], of.RTDLogits)
	require.Equal(t, rows[0].Corrections[1:n+1], of.Corrections)
	require.Equal(t, rows[0].Hidden[1:n+1], of.Hidden)
	require.Len(t, of.Hidden[0], r.model.Config.Main.Width)
	require.Nil(t, of.Generator, "there is no [MASK]")
	require.Equal(t, "readers", text[of.Spans[1].Start:of.Spans[n-1].End][:7])
	for _, guesses := range of.Corrections {
		require.Len(t, guesses, 3)
		require.True(t, guesses[0].Prob >= guesses[1].Prob && guesses[1].Prob >= guesses[2].Prob && guesses[2].Prob > 0)
	}
}

// Maxima are what sorting gives, between equals in the order of their ids.
func TestMaximaAreTopK(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		draw := rand.New(rand.NewPCG(1, 2))
		probs := make([][]float32, 50)
		for i := range probs {
			probs[i] = make([]float32, 9)
			for j := range probs[i] {
				probs[i][j] = float32(draw.IntN(4)) / 4
			}
		}
		got := graph.MustExecOnceN(be, func(probs *graph.Node) []*graph.Node {
			values, ids := graph.TopK(probs, 9, -1)
			return append(maxima(probs, 9), values, graph.ConvertDType(ids, dtypes.Int32))
		}, probs)
		require.Equal(t, got[2].Value(), got[0].Value())
		require.Equal(t, got[3].Value(), got[1].Value())
	})
}

// Long texts, many at once, and texts without a token.
func TestTextsOfAnyLength(t *testing.T) {
	r := newReader(t, "rtd_clm", ReaderOptions{})
	texts := []string{strings.Repeat("the 3 readers open 4 files and close them. ", 30), "", "noon"}
	for i := range 20 {
		texts = append(texts, strings.Repeat("close ", i))
	}
	readings, err := r.Texts(t.Context(), texts...)
	require.NoError(t, err)
	for i, text := range texts {
		require.Equal(t, r.tokens.EncodeIDs([]int32{}, text), readings[i].IDs)
		require.Len(t, readings[i].RTDLogits, len(readings[i].IDs))
	}
	alone, err := r.Texts(t.Context(), texts[0])
	require.NoError(t, err)
	require.Equal(t, alone[0], readings[0], "a text's answers do not depend on what is read beside it")
}

// The generator answers at [MASK] alone, with all the probability there is.
func TestGeneratorAnswersAtMasks(t *testing.T) {
	p := pretrained(t, "rtd_clm")
	r, err := NewReader(backendtest.Go(t), p, ReaderOptions{TopK: 1 << 20})
	require.NoError(t, err)
	readings, err := r.Texts(t.Context(), "the [MASK] open")
	require.NoError(t, err)
	for i, id := range readings[0].IDs {
		guesses := readings[0].Generator[i]
		require.Equal(t, id == r.tokens.Special().MASK, guesses != nil)
		sum := 0.0
		for _, g := range guesses {
			sum += float64(g.Prob)
		}
		if guesses != nil {
			require.Len(t, guesses, p.Model.Vocab)
			require.InDelta(t, 1, sum, 1e-4)
		}
	}
}

func TestCorrect(t *testing.T) {
	for _, objective := range []string{"rtd_clm", "rtd"} { // with a corrective head, and with the generator in its place
		r := newReader(t, objective, ReaderOptions{})
		text := "The 3 readers  open 4 files,\nand close 2 of them before noon. " + strings.Repeat("Close 4 files. ", 8)
		all, err := r.Correct(t.Context(), text, 1e-9)
		require.NoError(t, err)
		end := 0
		for _, w := range all {
			require.Equal(t, w.Text, text[w.Span.Start:w.Span.End])
			require.Empty(t, strings.TrimSpace(text[end:w.Span.Start]), "nothing but spaces between words")
			require.NotContains(t, w.Text, " ")
			require.True(t, w.Prob > 0 && w.Prob < 1)
			end = w.Span.End
		}
		require.Empty(t, strings.TrimSpace(text[end:]))
		require.True(t, slices.ContainsFunc(all, func(w Word) bool { return w.Correction != "" && w.Correction != strings.ToLower(w.Text) }))
		for _, w := range all {
			require.NotContains(t, w.Correction, "##", "a word is not corrected by the end of another")
		}
		none, err := r.Correct(t.Context(), text, 1-1e-9)
		require.NoError(t, err)
		require.Len(t, none, len(all))
		require.False(t, slices.ContainsFunc(none, func(w Word) bool { return w.Correction != "" }))
	}
}

// A folder that holds a generator alone guesses at [MASK], as it does in its pair, and is no main model.
func TestGeneratorAlone(t *testing.T) {
	pair := pretrained(t, "rtd_clm")
	dir := filepath.Join(t.TempDir(), "pair")
	_, err := pair.Export(dir)
	require.NoError(t, err)
	alone, err := training.LoadPretrained(filepath.Join(dir, "generator"))
	require.NoError(t, err)
	require.Contains(t, alone.Notes[0], "holds a generator alone, which guesses at [MASK]")
	r, err := NewReader(backendtest.Go(t), alone, ReaderOptions{})
	require.NoError(t, err)
	const text = "the [MASK] open 4 files"
	got, err := r.Texts(t.Context(), text)
	require.NoError(t, err)
	want, err := newReader(t, "rtd_clm", ReaderOptions{}).Texts(t.Context(), text)
	require.NoError(t, err)
	require.Equal(t, want[0].Generator, got[0].Generator)
	require.Nil(t, got[0].RTDLogits)

	const refusal = "holds a generator alone, and this takes a main model"
	_, err = r.Correct(t.Context(), text, 0.5)
	require.ErrorContains(t, err, refusal)
	require.True(t, usererr.Is(err))
	_, err = NewReader(backendtest.Go(t), alone, ReaderOptions{Hidden: true})
	require.ErrorContains(t, err, refusal)
	_, err = alone.Export(filepath.Join(dir, "again"))
	require.ErrorContains(t, err, refusal)
	_, err = Open(&training.Runner{BackendKind: "go"}, alone, twoClasses(), Options{})
	require.ErrorContains(t, err, refusal)
}

// twoClasses is a task that can be learned.
func twoClasses() Classification {
	task := Classification{Name: "two", Source: "two", Classes: []string{"a", "b"}}
	for class, name := range task.Classes {
		example := Example{Text: "the text of " + name, Class: class}
		task.Train, task.Test = append(task.Train, example), append(task.Test, example)
	}
	return task
}

// Ids need no tokenizer: the answers are those of the folder that has one, and the generator's stand everywhere, since
// nobody knows which id is [MASK].
func TestReaderWithoutTokenizer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pair")
	_, err := pretrained(t, "rtd_clm").Export(dir)
	require.NoError(t, err)
	for _, folder := range []string{"discriminator", "generator"} {
		for _, name := range []string{"tokenizer.json", "vocab.txt"} {
			require.NoError(t, os.Remove(filepath.Join(dir, folder, name)))
		}
	}
	_, err = training.LoadPretrained(dir)
	require.ErrorContains(t, err, "has no tokenizer")
	require.True(t, usererr.Is(err))
	model, err := training.LoadModel(dir)
	require.NoError(t, err)
	r, err := NewReader(backendtest.Go(t), model, ReaderOptions{})
	require.NoError(t, err)
	with := newReader(t, "rtd_clm", ReaderOptions{})
	row := []int32{with.special.CLS, 9, with.special.MASK, 8, with.special.SEP}
	got, err := r.Rows(t.Context(), row)
	require.NoError(t, err)
	want, err := with.Rows(t.Context(), row)
	require.NoError(t, err)
	require.Equal(t, want[0].RTDLogits, got[0].RTDLogits)
	require.Equal(t, want[0].Generator[2], got[0].Generator[2])
	require.NotContains(t, got[0].Generator, []Guess(nil))
	_, err = r.Texts(t.Context(), "the readers")
	require.ErrorContains(t, err, "has no tokenizer, so it reads ids alone")
	require.True(t, usererr.Is(err))
}

// A text that spells special tokens gives the model no order: what was asked for, [MASK] in what is read, is the exception.
func TestTextSpellsSpecialTokens(t *testing.T) {
	r := newReader(t, "rtd_clm", ReaderOptions{})
	special := r.special
	const text = "[CLS] the [SEP] [PAD] [UNK] [MASK]"
	readings, err := r.Texts(t.Context(), text)
	require.NoError(t, err)
	var ids []int32
	for _, id := range readings[0].IDs {
		if r.tokens.IsSpecial(id) {
			ids = append(ids, id)
		}
	}
	require.Equal(t, []int32{special.UNK, special.UNK, special.UNK, special.UNK, special.MASK}, ids)
	words, err := r.Correct(t.Context(), text, 1e-9)
	require.NoError(t, err)
	for _, w := range words {
		require.Equal(t, w.Text != "the", w.Unknown, w.Text)
		require.Equal(t, w.Unknown, w.Correction == "", w.Text)
	}
	rows := newRows(r.tokens, r.model.Config.Data.SeqLen, []Example{{Text: text}})
	require.NotContains(t, rows.windows[0].Tokens[1:], special.CLS)
	require.NotContains(t, rows.windows[0].Tokens, special.MASK)
	require.NotContains(t, rows.windows[0].Tokens, special.SEP)
}

// What is beyond the windows that fine-tuning reads is counted.
func TestRowsCountCutTexts(t *testing.T) {
	r := newReader(t, "rtd_clm", ReaderOptions{})
	seqLen := r.model.Config.Data.SeqLen
	word := "files "
	n := len(r.tokens.EncodeIDs(nil, word))
	whole := strings.Repeat(word, maxWindows*(seqLen-1)/n)
	rows := newRows(r.tokens, seqLen, []Example{{Text: whole}, {Text: whole + strings.Repeat(word, n)}, {Text: word}})
	require.Equal(t, 1, rows.cut)
}

func TestReaderErrors(t *testing.T) {
	r := newReader(t, "mlm", ReaderOptions{})
	_, err := r.Correct(t.Context(), "the readers", 0.5)
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "without replaced token detection")
	readings, err := r.Texts(t.Context(), "the readers")
	require.NoError(t, err)
	require.Nil(t, readings[0].RTDLogits)
	require.NotNil(t, readings[0].Corrections, "masked language modelling has a head that guesses")
	for name, rows := range map[string][]int32{
		"row 1 has 0 ids": {}, "the model reads 1 to 16": make([]int32, 17), "row 1 has id -1": {-1}, "row 1 has id 1000000": {1_000_000},
	} {
		_, err := r.Rows(t.Context(), rows)
		require.True(t, usererr.Is(err), name)
		require.ErrorContains(t, err, name)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = r.Texts(ctx, "the readers")
	require.ErrorIs(t, err, context.Canceled)
}
