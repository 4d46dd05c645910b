// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/backend"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/training"
)

var corpusDirs []string // removed by TestMain

// corpus is made text: sentences from a small grammar, so that the tests need no Go distribution and there is
// something to learn. Its bytes never change.
var corpus = sync.OnceValues(func() (*text.Corpus, error) { return madeCorpus(2500) })

// smallCorpus is its beginning, for tests of many runs: an evaluation reads the whole text of its test split.
var smallCorpus = sync.OnceValues(func() (*text.Corpus, error) { return madeCorpus(150) })

func madeCorpus(documents int) (*text.Corpus, error) {
	dir, err := os.MkdirTemp("", "metrolab-training-")
	if err != nil {
		return nil, err
	}
	corpusDirs = append(corpusDirs, dir)
	var prose strings.Builder
	subjects, verbs, objects := []string{"the reader", "a writer", "the server", "this client", "every caller"},
		[]string{"closes", "opens", "returns", "holds", "releases"}, []string{"the file", "a buffer", "the lock", "an error", "its channel"}
	for i := range documents {
		fmt.Fprintf(&prose, "%s %s %s before %s %s %s, number %d.\n\n",
			subjects[i%5], verbs[i/5%5], objects[i/25%5], subjects[i/3%5], verbs[i/7%5], objects[i/11%5], i)
	}
	path := filepath.Join(dir, "text.txt")
	if err := os.WriteFile(path, []byte(prose.String()), 0o600); err != nil {
		return nil, err
	}
	return text.Prepare(context.Background(), path, filepath.Join(dir, "cache"), nil)
}

// kind is the name of a backend in a run's identity.
func kind(be compute.Backend) string { return string(backend.Describe(be).Kind) }

var runners = map[string]*training.Runner{}

// runner trains into a new folder on be. All tests on a backend share its compiled programs: compiling is most of the
// time that a short run takes with XLA.
func runner(t *testing.T, be compute.Backend) *training.Runner {
	t.Helper()
	c, err := corpus()
	require.NoError(t, err)
	r, ok := runners[kind(be)]
	if !ok {
		r = &training.Runner{Backend: be, BackendKind: kind(be), Corpus: c, CacheDir: filepath.Dir(filepath.Dir(c.Dir))}
		runners[kind(be)] = r
	}
	r.Store = runs.Store{Root: t.TempDir()}
	return r
}

// ownRunner is a runner into a new folder whose programs no other test uses.
func ownRunner(t *testing.T, be compute.Backend) *training.Runner {
	t.Helper()
	shared := runner(t, be)
	r := &training.Runner{Backend: be, BackendKind: shared.BackendKind, Corpus: shared.Corpus, CacheDir: shared.CacheDir, Store: runs.Store{Root: t.TempDir()}}
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// micro is the recipe with a checkpoint, a record and an evaluation off the beat of one another.
func micro(steps int) metro.Config {
	c := recipes.Micro()
	c.Training.Steps, c.Training.LogEvery, c.Training.EvalEvery, c.Training.CheckpointEvery = steps, 7, 15, 10
	return c
}

// metricsOf reads a run's metrics without timings.
func metricsOf(t *testing.T, run *runs.Run) []runs.Row {
	t.Helper()
	rows, err := runs.ReadMetrics(run.Path(runs.MetricsFile))
	require.NoError(t, err)
	for _, row := range rows {
		for _, name := range training.TimingMetrics {
			delete(row.Values, name)
		}
	}
	return rows
}

// lastCheckpoint reads the bytes of the newest checkpoint's variables.
func lastCheckpoint(t *testing.T, run *runs.Run) (step int, variables string) {
	t.Helper()
	c, found, err := runs.Checkpoints{Dir: run.Path(runs.CheckpointsDir)}.Latest(nil)
	require.NoError(t, err)
	require.True(t, found)
	text, err := os.ReadFile(filepath.Join(c.Dir, "variables.safetensors"))
	require.NoError(t, err)
	return c.Step, string(text)
}

// equalRuns asserts that variables, moments and metrics are the same to the last bit.
func equalRuns(t *testing.T, a, b *runs.Run) {
	t.Helper()
	stepA, variablesA := lastCheckpoint(t, a)
	stepB, variablesB := lastCheckpoint(t, b)
	require.Equal(t, stepA, stepB)
	require.True(t, variablesA == variablesB, "the variables differ")
	require.Equal(t, lines(t, metricsOf(t, a)), lines(t, metricsOf(t, b)))
}

func lines(t *testing.T, rows []runs.Row) (lines []string) {
	t.Helper()
	for _, row := range rows {
		lines = append(lines, fmt.Sprintf("%d %s", row.Step, line(t, row.Values)))
	}
	return lines
}

// line writes numbers so that a NaN equals a NaN, and every other number only itself.
func line(t *testing.T, values runs.Values) string {
	t.Helper()
	js, err := json.Marshal(values)
	require.NoError(t, err)
	return string(js)
}

func TestEqualRunsAreBitwiseEqual(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		a, err := runner(t, be).Run(t.Context(), "run", micro(25), nil)
		require.NoError(t, err)
		// Another seed between: the compiled step and its variables are used again, and must not notice.
		other := micro(25)
		other.Seed = 9
		c, err := runner(t, be).Run(t.Context(), "run", other, nil)
		require.NoError(t, err)
		b, err := runner(t, be).Run(t.Context(), "run", micro(25), nil)
		require.NoError(t, err)
		equalRuns(t, a.Run, b.Run)
		require.NotEqual(t, a.Metrics["val_loss"], c.Metrics["val_loss"], "another seed gives another run")
	})
}

// Stopping at any step, on or off the beat of records and checkpoints, and going on changes nothing.
func TestStoppedRunGoesOnExactly(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		whole, err := runner(t, be).Run(t.Context(), "run", micro(40), nil)
		require.NoError(t, err)
		r := runner(t, be)
		for _, stopAt := range []int{3, 20, 31} {
			ctx, stop := context.WithCancel(t.Context())
			_, err := r.Run(ctx, "run", micro(40), func(p training.Progress) {
				if p.Step >= stopAt {
					stop()
				}
			})
			require.ErrorIs(t, err, training.ErrInterrupted)
		}
		resumed, err := r.Run(t.Context(), "run", micro(40), nil)
		require.NoError(t, err)
		equalRuns(t, whole.Run, resumed.Run)
	})
}

// A finished run is found again, not trained again.
func TestFinishedRunIsFound(t *testing.T) {
	r := runner(t, backendtest.Go(t))
	first, err := r.Run(t.Context(), "run", micro(10), nil)
	require.NoError(t, err)
	second, err := r.Run(t.Context(), "run", micro(10), func(training.Progress) { t.Error("trained again") })
	require.NoError(t, err)
	require.Equal(t, first.Seconds, second.Seconds)
	require.Equal(t, first.Run.ID, second.Run.ID)
}

// goldenTrajectory is the validation loss of micro on the made text after 10, 20 and 30 steps, in pure Go. It guards
// NumericsVersion: a change that moves it makes old runs incomparable, so raise the version and write down the new numbers
// that this test prints. Vector instructions move the last digits.
var goldenTrajectory = []float64{41.8481, 32.6303, 29.5825}

func TestGoldenTrajectory(t *testing.T) {
	c := micro(30)
	c.Training.EvalEvery = 10
	result, err := runner(t, backendtest.Go(t)).Run(t.Context(), "run", c, nil)
	require.NoError(t, err)
	var losses []float64
	for _, row := range metricsOf(t, result.Run) {
		if loss, ok := row.Values["val_loss"]; ok {
			losses = append(losses, loss)
		}
	}
	require.InDeltaSlice(t, goldenTrajectory, losses, 2e-3, "numerics version %d gives %v", training.NumericsVersion, losses)
}

// Backends agree on a trajectory, though not to the bit.
func TestBackendsAgreeOnATrajectory(t *testing.T) {
	xla, pureGo := backendtest.XLA(t), backendtest.Go(t)
	a, err := runner(t, pureGo).Run(t.Context(), "run", micro(15), nil)
	require.NoError(t, err)
	b, err := runner(t, xla).Run(t.Context(), "run", micro(15), nil)
	require.NoError(t, err)
	rowsA, rowsB := metricsOf(t, a.Run), metricsOf(t, b.Run)
	for _, name := range []string{"loss", "generator_loss", "rtd_loss", "clm_loss"} {
		require.InEpsilon(t, rowsA[0].Values[name], rowsB[0].Values[name], 1e-4, name)
	}
}

func TestDivergenceIsAResultWithADiagnosis(t *testing.T) {
	r := runner(t, backendtest.Go(t))
	c := micro(60)
	// Decoupled decay multiplies the weights by 1 − 10·10 a step: −99, so that they leave float32 within 20 steps.
	c.Optimizer.LearningRate, c.Optimizer.WarmupSteps, c.Optimizer.WeightDecay = 10, 0, 10
	result, err := r.Run(t.Context(), "run", c, nil)
	require.NoError(t, err)
	require.Contains(t, result.Diverged, "diverged at step")
	require.Contains(t, result.Diverged, "optimizer.learning_rate")
	again, err := r.Run(t.Context(), "run", c, func(training.Progress) { t.Error("trained again") })
	require.NoError(t, err)
	require.Equal(t, result.Diverged, again.Diverged)
}

func TestDamagedCheckpointIsPassedOver(t *testing.T) {
	whole, err := runner(t, backendtest.Go(t)).Run(t.Context(), "run", micro(30), nil)
	require.NoError(t, err)
	r := runner(t, backendtest.Go(t)) // into another folder
	ctx, stop := context.WithCancel(t.Context())
	_, err = r.Run(ctx, "run", micro(30), func(p training.Progress) {
		if p.Step == 25 {
			stop()
		}
	})
	require.ErrorIs(t, err, training.ErrInterrupted)
	run, err := r.Open(t.Context(), "run", micro(30))
	require.NoError(t, err)
	damage := run.Path(filepath.Join(runs.CheckpointsDir, "step-00000025", "variables.safetensors"))
	text, err := os.ReadFile(damage)
	require.NoError(t, err)
	text[len(text)/2] ^= 1
	require.NoError(t, os.WriteFile(damage, text, 0o600))
	resumed, err := r.Run(t.Context(), "run", micro(30), nil)
	require.NoError(t, err)
	equalRuns(t, whole.Run, resumed.Run)
}

func TestRunnerRefusesWhatCannotBeTrained(t *testing.T) {
	r := runner(t, backendtest.Go(t))
	c := micro(10)
	c.Main.Heads = 3
	_, err := r.Run(t.Context(), "run", c, nil)
	require.ErrorContains(t, err, "3 heads do not divide width 16")
	c = micro(10)
	c.Evaluation.Rows = 1 << 20
	_, err = r.Run(t.Context(), "run", c, nil)
	require.ErrorContains(t, err, "too small")
	entries, err := os.ReadDir(r.Store.Root)
	require.True(t, err == nil || errors.Is(err, os.ErrNotExist))
	for _, e := range entries {
		require.NoFileExists(t, filepath.Join(r.Store.Root, e.Name(), runs.ResultFile))
	}
}
