// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// The last steps of a run, trained once more, are those that it has; a checkpoint that it has not is made of them, to the bit,
// and forks go on from it. A record that was changed is found out.
func TestReplay(t *testing.T) {
	r := runner(t, backendtest.Go(t))
	whole, err := r.Run(t.Context(), "run", trunkConfig(), nil)
	require.NoError(t, err)
	dir := whole.Run.Dir
	done, err := r.Replay(t.Context(), dir, 22, 25, nil)
	require.NoError(t, err)
	require.Equal(t, training.Replayed{From: 20, To: 25, Records: 2, Weights: true}, done)

	kept := filepath.Join(dir, runs.CheckpointsDir, "step-00000012")
	aside := filepath.Join(t.TempDir(), "kept")
	require.NoError(t, os.Rename(kept, aside))
	require.NoError(t, r.MakeCheckpoint(t.Context(), dir, 12, nil))
	for _, name := range []string{"variables.safetensors"} {
		was, err := os.ReadFile(filepath.Join(aside, name))
		require.NoError(t, err)
		is, err := os.ReadFile(filepath.Join(kept, name))
		require.NoError(t, err)
		require.True(t, string(was) == string(is), name)
	}
	fork, err := r.Run(t.Context(), "run", forkOf(t, whole.Run, 12), nil)
	require.NoError(t, err)
	equalRuns(t, whole.Run, fork.Run)

	_, err = r.Replay(t.Context(), dir, 25, 26, nil)
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, "name one from 1 to 25")

	path := whole.Run.Path(runs.MetricsFile)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	at := strings.LastIndex(string(text), `"rtd_loss":`) + len(`"rtd_loss":`)
	text[at]++
	require.NoError(t, os.WriteFile(path, text, 0o600))
	_, err = r.Replay(t.Context(), dir, 20, 25, nil)
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, "rtd_loss is")
}
