// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/hf"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/training"
	"metrolab/metro/weights"
)

// stored is a store as a [weights.Source].
type stored struct {
	store *model.Store
	model metro.Model
	inv   metro.Inventory
}

func (s stored) String() string     { return "store" }
func (s stored) Model() metro.Model { return s.model }
func (s stored) Close() error       { return nil }

func (s stored) Tensors() (list []weights.Tensor) {
	for _, w := range s.inv {
		list = append(list, weights.Tensor{Name: w.Tensor(), Shape: w.Shape})
	}
	return list
}

func (s stored) Read(name string, dst []float32) error {
	for _, w := range s.inv {
		if w.Tensor() == name {
			copy(dst, tensors.MustCopyFlatData[float32](s.store.GetVariable(w.Path()).MustValue()))
			return nil
		}
	}
	return fmt.Errorf("no tensor %s", name)
}

// A folder whose tables have more rows than the tokenizer has tokens, as padded vocabularies do, is a start like any other:
// the run that begins with it has its V, reads back, answers, and is itself a start.
func TestPaddedVocabulary(t *testing.T) {
	be := backendtest.Go(t)
	p := pretrained(t, "rtd_clm")
	padded := p.Model
	padded.Vocab += 7
	store, err := training.InitialVariables(be, padded)
	require.NoError(t, err)
	inv, complete := padded.Config.Inventory(padded.Vocab)
	require.True(t, complete)
	dir := t.TempDir()
	folder := filepath.Join(dir, "folder")
	_, err = hf.Export(folder, p.Tokenizer, stored{store, padded, inv})
	require.NoError(t, err)

	corpus, err := text.Prepare(t.Context(), textFile(t, dir), dir, nil)
	require.NoError(t, err)
	r := training.Runner{Backend: be, BackendKind: "go", Corpus: corpus, CacheDir: dir, Store: runs.Store{Root: filepath.Join(dir, "runs")}}
	for from, steps := folder, 3; steps < 5; steps++ {
		source, err := training.LoadPretrained(from)
		require.NoError(t, err)
		require.Equal(t, padded.Vocab, source.Model.Vocab)
		c := source.Shape(p.Model.Config)
		c.Training.InitFrom, c.Training.Steps, c.Optimizer.WarmupSteps = from, steps, 0
		result, err := r.Run(t.Context(), "padded", c, nil)
		require.NoError(t, err)
		require.Empty(t, result.Diverged)

		trained, err := training.LoadPretrained(result.Run.Dir)
		require.NoError(t, err)
		require.Equal(t, padded.Vocab, trained.Model.Vocab)
		require.Equal(t, padded.Vocab-7, trained.Tokenizer.VocabSize())
		restored, err := training.InitialVariables(be, trained.Model)
		require.NoError(t, err)
		require.NoError(t, trained.Restore(restored))
		require.NoError(t, trained.RestoreAll(restored))
		reader, err := NewReader(be, trained, ReaderOptions{})
		require.NoError(t, err)
		readings, err := reader.Texts(t.Context(), "the readers open [MASK] files")
		require.NoError(t, err)
		require.Len(t, readings[0].RTDLogits, len(readings[0].IDs))
		_, err = trained.Export(filepath.Join(dir, fmt.Sprint("again", steps)))
		require.NoError(t, err)
		from = result.Run.Dir
	}
}

// A model answers with the heads that it is asked through, and may have others.
func TestHeadsThatNobodyReads(t *testing.T) {
	reading := newReader(t, "rtd_clm_scl", ReaderOptions{})
	answers, err := reading.Texts(t.Context(), "the readers open files")
	require.NoError(t, err)
	require.NotNil(t, answers[0].RTDLogits)
}

func textFile(t *testing.T, dir string) string {
	t.Helper()
	var prose strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&prose, "the %d readers open %d files and close %d of them before noon.\n\n", i%7, i%11, i%5)
	}
	path := filepath.Join(dir, "text.txt")
	require.NoError(t, os.WriteFile(path, []byte(prose.String()), 0o600))
	return path
}
