// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/atomicfile"
	"metrolab/internal/backendtest"
	"metrolab/internal/faultfs"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// A run is killed in the middle of a change that it makes to its files, from the first to the last: the next one ends with the
// same result, the same log and the same weights as if nothing had happened, and leaves nothing aside. So does one that
// diverges.
func TestKilledAnywhereARunEndsTheSame(t *testing.T) {
	be := backendtest.Go(t)
	r := ownRunner(t, be)
	for name, c := range map[string]metro.Config{
		"learns": leakConfig(t, "training.steps=5", "training.log_every=2", "training.eval_every=3", "training.checkpoint_every=2", "training.keep_checkpoints=1", "optimizer.warmup_steps=1"),
		"diverges": leakConfig(t, "training.steps=40", "training.log_every=10", "training.eval_every=40", "training.checkpoint_every=4",
			"optimizer.learning_rate=10", "optimizer.warmup_steps=0", "optimizer.weight_decay=10"),
	} {
		t.Run(name, func(t *testing.T) {
			train := func() (training.Result, error) { return r.Run(t.Context(), "run", c, nil) }
			whole, err := train()
			require.NoError(t, err)
			require.Equal(t, name == "diverges", whole.Diverged != "")
			const apart = 7 // of about 150 changes, for time; what a record, a checkpoint and a lease change has other lengths
			for at := 1; ; at += apart {
				r.Store = runs.Store{Root: t.TempDir()}
				changes, err := faultfs.Killed(at, func() error { _, err := train(); return err })
				if changes < at {
					require.NoError(t, err)
					t.Logf("%d changes", changes)
					break
				}
				require.NoError(t, faultfs.Bury(r.Store.Root))
				resumed, err := train()
				require.NoError(t, err, "killed at change %d", at)
				require.Equal(t, whole.Steps, resumed.Steps, "killed at change %d", at)
				require.Equal(t, whole.Diverged, resumed.Diverged, "killed at change %d", at)
				require.Equal(t, line(t, whole.Metrics), line(t, resumed.Metrics), "killed at change %d", at)
				equalRuns(t, whole.Run, resumed.Run)
				stored, finished, err := training.ReadResult(resumed.Run)
				require.NoError(t, err)
				require.True(t, finished)
				require.Equal(t, line(t, whole.Metrics), line(t, stored.Metrics), "killed at change %d", at)
				require.Empty(t, strays(t, resumed.Run.Dir), "killed at change %d", at)
			}
		})
	}
}

// strays are the files and folders that were left aside below dir.
func strays(t *testing.T, dir string) (found []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if atomicfile.IsTemp(entry.Name()) {
			found = append(found, path)
		}
		return err
	}))
	return found
}

// The result of a finished run that was lost or damaged is made again from the last checkpoint, the same one.
func TestARemovedResultIsMadeAgain(t *testing.T) {
	r := runner(t, backendtest.Go(t))
	whole, err := r.Run(t.Context(), "run", micro(20), nil)
	require.NoError(t, err)
	path := whole.Run.Path(runs.ResultFile)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(text), `"val_loss": `, `"val_loss": 1`, 1)), 0o600))
	_, err = r.Run(t.Context(), "run", micro(20), nil)
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "remove the file and give the same command again")
	require.NoError(t, os.Remove(path))
	again, err := r.Run(t.Context(), "run", micro(20), func(p training.Progress) { require.Equal(t, 20, p.Step, "nothing is trained again") })
	require.NoError(t, err)
	require.Equal(t, line(t, whole.Metrics), line(t, again.Metrics))
	require.Equal(t, whole.Steps, again.Steps)
}
