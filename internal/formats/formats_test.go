// SPDX-License-Identifier: Apache-2.0

package formats_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/ablations"
	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro/backend"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/tasks"
	"metrolab/metro/text"
	"metrolab/metro/training"
)

// Whatever metrolab has written, it reads: each folder of testdata, one a format, is opened in all the ways there are.
func TestEveryFormatOpens(t *testing.T) {
	kept, err := filepath.Glob("testdata/v*")
	require.NoError(t, err)
	require.NotEmpty(t, kept)
	for _, dir := range kept {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			f := format{t.TempDir()} // opening may write
			require.NoError(t, os.CopyFS(f.dir, os.DirFS(dir)))
			t.Run("runs", f.listsRuns)
			t.Run("fine-tuning", f.readsFinetuning)
			t.Run("study", f.reportsStudies)
			t.Run("reading", f.readsAsThen)
			t.Run("init_from", f.startsRuns)
			t.Run("resume", f.refusesWhatWouldNotFit)
		})
	}
}

// format is a copy of a folder of testdata.
type format struct{ dir string }

func (f format) store() runs.Store { return runs.Store{Root: filepath.Join(f.dir, "runs")} }

// models are the folders with weights: the runs with checkpoints, and the Hugging Face pair.
func (f format) models(t *testing.T) []string {
	t.Helper()
	checkpoints := f.glob(t, "runs/*/checkpoints")
	models := []string{filepath.Join(f.dir, "export")}
	for _, path := range checkpoints {
		models = append(models, filepath.Dir(path))
	}
	return models
}

func (f format) glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(f.dir, filepath.FromSlash(pattern)))
	require.NoError(t, err)
	require.NotEmpty(t, paths, pattern)
	return paths
}

// Runs are listed as what they are, finished but for one, and their metrics are whole.
func (f format) listsRuns(t *testing.T) {
	found, err := f.store().List()
	require.NoError(t, err)
	states := map[runs.State]int{}
	for _, s := range found {
		require.Empty(t, s.Problem, s.ID)
		states[s.State]++
		require.Positive(t, s.Step, s.ID)
		run, err := f.store().Open(s.ID)
		require.NoError(t, err)
		rows, err := runs.ReadMetrics(run.Path(runs.MetricsFile))
		require.NoError(t, err)
		require.NotEmpty(t, rows, s.ID)
		last := rows[len(rows)-1]
		require.Equal(t, s.Step, last.Step, s.ID)
		finite(t, last.Values["loss"])
		if s.State == runs.Interrupted {
			require.Less(t, s.Step, s.Total, s.ID)
			continue
		}
		result, ended, err := training.ReadResult(run)
		require.NoError(t, err)
		require.True(t, ended, s.ID)
		require.Equal(t, s.Total, result.Steps, s.ID)
		finite(t, result.Metrics["val_loss"])
	}
	require.Equal(t, map[runs.State]int{runs.Finished: len(found) - 1, runs.Interrupted: 1}, states)
}

func (f format) readsFinetuning(t *testing.T) {
	for _, path := range f.glob(t, "runs/*/finetune-*.json") {
		var result tasks.Result
		require.NoError(t, runs.ReadJSON(path, &result))
		require.NotEmpty(t, result.Classes, path)
		require.Len(t, result.Model.Recall, len(result.Classes), path)
		require.Positive(t, result.Model.BalancedAccuracy, path)
		require.Equal(t, strings.Contains(path, "from-scratch"), result.FromScratch, path)
	}
}

// A study's report can be made again from what its folder and its runs hold.
func (f format) reportsStudies(t *testing.T) {
	for _, path := range f.glob(t, "runs/*/"+ablations.PlanFile) {
		dir := filepath.Dir(path)
		before, err := os.ReadFile(filepath.Join(dir, ablations.ResultsFile))
		require.NoError(t, err)
		plan, err := ablations.ReadPlan(dir)
		require.NoError(t, err)
		results, err := ablations.Load(f.store(), plan)
		require.NoError(t, err)
		require.Equal(t, len(plan.Runs), results.Ended())
		for _, c := range results.Compare() {
			require.Equal(t, len(plan.Seeds), c.Pairs, c.Name)
			finite(t, c.Diff)
		}
		files, err := results.Write(t.TempDir())
		require.NoError(t, err)
		report, err := os.ReadFile(files.Report)
		require.NoError(t, err)
		require.Contains(t, string(report), plan.Extra.Summary)
		after, err := os.ReadFile(files.Results)
		require.NoError(t, err)
		require.Equal(t, len(strings.Split(string(before), "\n")), len(strings.Split(string(after), "\n")), "a row a run")
	}
}

// reading is a line of what metro predict writes.
type reading struct {
	Tokens      []string  `json:"tokens"`
	IDs         []int32   `json:"ids"`
	RTDLogits   []float32 `json:"rtd_logits"`
	Corrections [][]guess `json:"corrections"`
	Generator   [][]guess `json:"generator"`
}

type guess struct {
	ID   int32   `json:"id"`
	Prob float32 `json:"prob"`
}

// Models say of a text what they said of it when they were written. Vector instructions move the last digits.
func (f format) readsAsThen(t *testing.T) {
	then := map[string]reading{}
	for _, path := range f.glob(t, "readings/*.jsonl") {
		var r reading
		require.NoError(t, runs.ReadJSON(path, &r))
		then[strings.TrimSuffix(filepath.Base(path), ".jsonl")] = r
	}
	read := 0
	for _, dir := range f.models(t) {
		p, err := training.LoadPretrained(dir)
		require.NoError(t, err)
		require.Empty(t, p.Notes)
		reader, err := tasks.NewReader(backendtest.Go(t), p, tasks.ReaderOptions{})
		require.NoError(t, err)
		readings, err := reader.Texts(t.Context(), "the reader [MASK] the file before a writer closes the lock.")
		require.NoError(t, err)
		now := readings[0]
		require.Len(t, now.RTDLogits, len(now.IDs))
		for _, logit := range now.RTDLogits {
			finite(t, float64(logit))
		}
		want, ok := then[filepath.Base(dir)]
		if !ok {
			continue
		}
		read++
		require.Equal(t, want.IDs, now.IDs, dir)
		require.InDeltaSlice(t, want.RTDLogits, now.RTDLogits, 1e-4, dir)
		agree(t, want.Corrections, now.Corrections)
		agree(t, want.Generator, now.Generator)
	}
	require.Equal(t, len(then), read)
}

// agree asserts that the first guess at each token is the same.
func agree(t *testing.T, want [][]guess, got [][]tasks.Guess) {
	t.Helper()
	require.Len(t, got, len(want))
	for i, list := range want {
		require.Len(t, got[i], len(list))
		for j, w := range list {
			require.InDelta(t, w.Prob, got[i][j].Prob, 1e-4)
			require.Equal(t, w.ID, got[i][j].ID)
		}
	}
}

// A run can begin with the weights of each.
func (f format) startsRuns(t *testing.T) {
	be := backendtest.Go(t)
	cache := t.TempDir()
	runner := &training.Runner{
		Backend: be, BackendKind: string(backend.Describe(be).Kind), Corpus: corpus(t, cache), CacheDir: cache,
		Store: runs.Store{Root: t.TempDir()},
	}
	started := map[string]bool{}
	for _, dir := range f.models(t) {
		p, err := training.LoadPretrained(dir)
		require.NoError(t, err)
		c := p.Shape(recipes.Micro())
		c.Training.InitFrom = dir
		c.Training.Steps, c.Training.EvalEvery, c.Optimizer.WarmupSteps = 3, 3, 1
		c.Evaluation.Rows = c.Training.BatchSize
		require.NoError(t, c.Validate())
		result, err := runner.Run(t.Context(), "started", c, nil)
		require.NoError(t, err, dir)
		require.Empty(t, result.Diverged, dir)
		finite(t, result.Metrics["val_loss"])
		started[result.Run.ID] = true
	}
	require.Len(t, started, len(f.models(t)), "runs from unlike weights are unlike runs")
}

// An unfinished run is not gone on with by a program that would give it other numbers: one of another version of the
// numerics, or one that reads another text. The run stays as it is.
func (f format) refusesWhatWouldNotFit(t *testing.T) {
	be, cache := backendtest.Go(t), t.TempDir()
	runner := &training.Runner{Backend: be, BackendKind: string(backend.Describe(be).Kind), Corpus: corpus(t, cache), CacheDir: cache}
	for _, path := range f.glob(t, "runs/*/"+runs.ConfigFile) {
		dir := filepath.Dir(path)
		if _, err := os.Stat(filepath.Join(dir, runs.ResultFile)); err == nil {
			continue
		}
		var document map[string]any
		require.NoError(t, runs.ReadJSON(path, &document))
		delete(document, "key_hash")                       // with another version it would be refused as one that was changed
		begun := filepath.Join(filepath.Dir(dir), "begun") // under its own name, what is changed here would be refused first
		require.NoError(t, os.Rename(dir, begun))
		dir, path = begun, filepath.Join(begun, runs.ConfigFile)
		for version, why := range map[int]string{
			99:                       fmt.Sprintf("was begun under version 99 of the numerics, and this program computes by version %d", training.NumericsVersion),
			training.NumericsVersion: "corpus: ", // it was trained on another text
		} {
			document["numerics_version"] = version
			require.NoError(t, runs.WriteJSON(path, document))
			_, err := runner.Resume(t.Context(), dir)
			require.True(t, usererr.Is(err), "%v", err)
			require.ErrorContains(t, err, why)
			require.NoError(t, runs.ReadJSON(path, &document))
			require.EqualValues(t, version, document["numerics_version"])
		}
	}
}

func corpus(t *testing.T, cache string) *text.Corpus {
	t.Helper()
	var prose strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&prose, "the reader opens the file before a writer closes the lock, number %d.\n\n", i)
	}
	path := filepath.Join(t.TempDir(), "text.txt")
	require.NoError(t, os.WriteFile(path, []byte(prose.String()), 0o600))
	c, err := text.Prepare(t.Context(), path, cache, nil)
	require.NoError(t, err)
	return c
}

func finite(t *testing.T, x float64) {
	t.Helper()
	require.False(t, math.IsNaN(x) || math.IsInf(x, 0), "%v is no finite number", x)
}
