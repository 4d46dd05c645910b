// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/safetensors"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// tensorsOf reads all tensors of a run's newest checkpoint.
func tensorsOf(t *testing.T, run *runs.Run) map[string][]byte {
	t.Helper()
	c, found, err := runs.Checkpoints{Dir: run.Path(runs.CheckpointsDir)}.Latest(nil)
	require.NoError(t, err)
	require.True(t, found)
	file, err := safetensors.Open(filepath.Join(c.Dir, "variables.safetensors"))
	require.NoError(t, err)
	defer file.Close()
	all := map[string][]byte{}
	for _, info := range file.Tensors() {
		size := 4
		for _, d := range info.Shape {
			size *= d
		}
		all[info.Name] = make([]byte, size)
		require.NoError(t, file.Read(info.Name, all[info.Name]))
	}
	return all
}

// The average of the weights is kept beside them: training with it is training without it, to the bit; it is the average that is
// said; a run that was stopped goes on with it; and what it reaches is measured.
func TestAveragesAreKeptBeside(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		without := assigned(t, "optimizer.warmup_steps=2", "training.steps=6", "evaluation.rows=8", "training.log_every=2", "training.eval_every=3", "training.checkpoint_every=1")
		with := without
		require.NoError(t, with.Set("training.ema=0.5"))
		require.Equal(t, without.GraphKey(), with.GraphKey())
		plain, err := runner(t, be).Run(t.Context(), "run", without, nil)
		require.NoError(t, err)

		r := runner(t, be)
		ctx, stop := context.WithCancel(t.Context())
		_, err = r.Run(ctx, "run", with, func(p training.Progress) {
			if p.Phase == "training" && p.Step == 4 {
				stop()
			}
		})
		require.ErrorIs(t, err, training.ErrInterrupted)
		resumed, err := r.Run(t.Context(), "run", with, nil)
		require.NoError(t, err)
		require.NotEqual(t, plain.Run.ID, resumed.Run.ID, "what it measures depends on training.ema")
		whole, err := runner(t, be).Run(t.Context(), "run", with, nil)
		require.NoError(t, err)
		equalRuns(t, whole.Run, resumed.Run)

		for name, v := range plain.Metrics {
			require.Equal(t, line(t, runs.Values{"": v}), line(t, runs.Values{"": whole.Metrics[name]}), name)
			require.Contains(t, whole.Metrics, training.Averaged+name)
		}
		require.NotEqual(t, whole.Metrics["val_loss"], whole.Metrics["ema_val_loss"])
		kept := tensorsOf(t, whole.Run)
		for name, bytes := range tensorsOf(t, plain.Run) {
			require.Equal(t, bytes, kept[name], name)
		}
		_, err = training.LoadPretrained(whole.Run.Dir)
		require.NoError(t, err)
	})
}

// What is kept is the average of the weights after each step, with the first weights before it.
func TestTheAverageIsTheOneThatIsSaid(t *testing.T) {
	c := assigned(t, "training.ema=0.3", "objective.name=mlm")
	s := started(t, backendtest.Go(t), c)
	require.NoError(t, s.Average(0))
	path := ""
	weights := func() []float32 {
		for v := range s.Store().IterVariables() {
			if strings.HasPrefix(v.Path(), "/ema/") && (path == "" || v.Path() == path) {
				path = v.Path()
				return numbersOf(t, s, strings.TrimPrefix(path, "/ema"))
			}
		}
		require.Fail(t, "there is no average")
		return nil
	}
	want := weights()
	for step := 1; step <= 4; step++ {
		_, err := s.Step(randomBatch(c, vocab, uint64(step)), step)
		require.NoError(t, err)
		require.NoError(t, s.Average(step))
		d := min(0.3, float64(1+step)/float64(10+step))
		for i, w := range weights() {
			want[i] = float32(d*float64(want[i]) + (1-d)*float64(w))
		}
	}
	got := numbersOf(t, s, path)
	require.InDeltaSlice(t, want, got, 1e-6)
	require.NotEqual(t, weights(), got)
}

func numbersOf(t *testing.T, s stepper, path string) []float32 {
	t.Helper()
	value, err := s.Store().GetVariable(path).Value()
	require.NoError(t, err)
	numbers, err := tensors.CopyFlatData[float32](value)
	require.NoError(t, err)
	return numbers
}
