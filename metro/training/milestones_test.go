// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"math"
	"os"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/training"
)

// stepsOf are the steps of which a run has checkpoints.
func stepsOf(t *testing.T, run *runs.Run) []int {
	t.Helper()
	steps, err := runs.Checkpoints{Dir: run.Path(runs.CheckpointsDir)}.Steps()
	require.NoError(t, err)
	return steps
}

// perStep is how many words a step of c sees in the mean: every paragraph of the corpus has 13.
func perStep(t *testing.T, r *training.Runner, c metro.Config) float64 {
	t.Helper()
	dataset, err := r.Dataset(t.Context(), c, nil)
	require.NoError(t, err)
	return float64(13*r.Corpus.Stats.Splits[text.Train].Documents*int64(c.Training.BatchSize)) / float64(dataset.Train.Len())
}

// The checkpoints at 1, 2, … 10, 20 and 30 times so many words stay, whether or not the run was stopped on the way, beside the
// newest. Each is a model by the name RUN@STEP.
func TestWordMilestones(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		r := runner(t, be)
		c := micro(25)
		c.Training.KeepCheckpoints = 1
		words := perStep(t, r, c)
		unit := int(25 * words / 30.5)
		c.Training.WordMilestones = unit
		want := []int{}
		for _, times := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30} {
			want = append(want, int(math.Ceil(float64(times*unit)/words)))
		}
		require.Equal(t, []int{1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 17, 25}, want)
		kept := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 20, 25} // of which 20 is the newest of training.checkpoint_every

		var said bytes.Buffer
		log.SetOutput(&said)
		whole, err := r.Run(t.Context(), "run", c, nil)
		log.SetOutput(os.Stderr)
		require.NoError(t, err)
		require.Equal(t, kept, stepsOf(t, whole.Run))
		require.Contains(t, said.String(), "at step 17, ")

		early, err := training.LoadPretrained(whole.Run.Dir + "@17")
		require.NoError(t, err)
		require.Equal(t, 17, early.Step)
		require.Equal(t, whole.Run.Dir, early.RunDir)
		last, err := training.LoadPretrained(whole.Run.Dir)
		require.NoError(t, err)
		require.Equal(t, 25, last.Step)
		a, err := early.Hash()
		require.NoError(t, err)
		b, err := last.Hash()
		require.NoError(t, err)
		require.NotEqual(t, a, b)
		_, err = training.LoadPretrained(whole.Run.Dir + "@16")
		require.True(t, usererr.Is(err))
		require.ErrorContains(t, err, "has no checkpoint of step 16, it has those of steps 1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 20, 25")

		r.Store.Root = t.TempDir()
		ctx, stop := context.WithCancel(t.Context())
		_, err = r.Run(ctx, "run", c, func(p training.Progress) {
			if p.Step == 12 {
				stop()
			}
		})
		require.ErrorIs(t, err, training.ErrInterrupted)
		again, err := r.Run(t.Context(), "run", c, nil)
		require.NoError(t, err)
		require.Equal(t, kept, stepsOf(t, again.Run))
		equalRuns(t, whole.Run, again.Run)

		fork := c
		fork.Training.Fork = fmt.Sprintf("%s@%d", again.Run.ID, 8)
		forked, err := r.Run(t.Context(), "run", fork, nil)
		require.NoError(t, err)
		require.Equal(t, []int{9, 17, 20, 25}, stepsOf(t, forked.Run), "those before are the trunk's")
	})
}

// A number of words that the run does not reach is refused before anything is trained.
func TestMilestonesThatAreNotReached(t *testing.T) {
	r := runner(t, backendtest.Go(t))
	c := micro(25)
	words := 25 * perStep(t, r, c)
	c.Training.WordMilestones = int(words)
	_, err := r.Open(t.Context(), "run", c)
	require.NoError(t, err)
	c.Training.WordMilestones++
	_, err = r.Open(t.Context(), "run", c)
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "has no checkpoint to keep: the 25 steps see about ")
}

// Words are counted as wc counts them, and of a mixture by its shares: after a pass over each text in its share, all its words
// have been seen.
func TestWordsARow(t *testing.T) {
	r := runner(t, backendtest.Go(t))
	own, err := r.Dataset(t.Context(), micro(1), nil)
	require.NoError(t, err)
	require.InDelta(t, 13*float64(r.Corpus.Stats.Splits[text.Train].Documents), own.WordsARow()*float64(own.Train.Len()), 1e-6)
	t.Setenv("METROLAB_CACHE", t.TempDir())
	lines := t.TempDir() + "/lines.txt"
	var all bytes.Buffer
	for i := range 1500 {
		fmt.Fprintf(&all, "the  reader\u00a0opens file %d\n\n", i) // five words
	}
	require.NoError(t, os.WriteFile(lines, all.Bytes(), 0o600))
	mixed, err := r.Dataset(t.Context(), assigned(t, "data.mixture="+lines+"=0.4"), nil)
	require.NoError(t, err)
	second := mixed.Mixed[0]
	part := 5 * float64(second.Corpus.Stats.Splits[text.Train].Documents) / float64(second.Rows.Len())
	require.InDelta(t, 0.6*own.WordsARow()+0.4*part, mixed.WordsARow(), 1e-9)
}
