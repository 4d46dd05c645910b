// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"context"
	"io/fs"
	"log/slog"
	"math"
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
	"metrolab/metro/recipes"
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
			const apart = 23 // of some 500 changes, for time; a record, a checkpoint and a lease are of other lengths
			for at := 1; ; at += apart {
				r.Store = runs.Store{Root: t.TempDir()}
				changes, err := faultfs.Killed(at, func() error { _, err := train(); return err })
				if changes < at {
					require.NoError(t, err)
					t.Logf("%d changes", changes)
					break
				}
				require.NoError(t, faultfs.Bury(r.Store.Root))
				var resumed training.Result
				_, err = faultfs.Killed(math.MaxInt, func() (err error) { resumed, err = train(); return err })
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

// A run that is gone on with must have a log that covers its checkpoint: it goes on from the one before, or says what is
// wrong, and never ends with another log than a run that nothing happened to.
func TestADamagedLogIsNotGoneOnFrom(t *testing.T) {
	r := runner(t, backendtest.Go(t))
	whole, err := r.Run(t.Context(), "run", micro(40), nil)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		harm    func(text string) string
		refused bool
	}{
		"without its last line": {func(text string) string { return text[:strings.LastIndex(text[:len(text)-1], "\n")+1] }, false},
		"a flipped bit":         {func(text string) string { return strings.Replace(text, `{"step":21,`, `{"step":23,`, 1) }, false},
		"halved":                {func(text string) string { return text[:len(text)/4] }, true},
		"emptied":               {func(string) string { return "" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := runner(t, backendtest.Go(t))
			stopAt(t, r, 29)
			run, err := r.Open(t.Context(), "run", micro(40))
			require.NoError(t, err)
			path := run.Path(runs.MetricsFile)
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, []byte(c.harm(string(text))), 0o600))
			resumed, err := r.Run(t.Context(), "run", micro(40), nil)
			if c.refused {
				require.True(t, usererr.Is(err), "%v", err)
				require.ErrorContains(t, err, path)
				require.DirExists(t, run.Dir, "there is something to lose")
				return
			}
			require.NoError(t, err)
			equalRuns(t, whole.Run, resumed.Run)
		})
	}
}

// stopAt trains micro(40) and stops it after a step.
func stopAt(t *testing.T, r *training.Runner, step int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	_, err := r.Run(ctx, "run", micro(40), func(p training.Progress) {
		if p.Step == step {
			stop()
		}
	})
	require.ErrorIs(t, err, training.ErrInterrupted)
}

// What is refused leaves no folder, wherever it is noticed; but a run that has begun stays.
func TestWhatIsRefusedLeavesNothing(t *testing.T) {
	other := trained(t, "objective.name=mlm")
	r := runner(t, backendtest.Go(t))
	for _, assignment := range []string{
		"evaluation.rows=1048576", "main.heads=3", "training.init_from=" + other.Run.Dir, "training.init_from=" + filepath.Join(t.TempDir(), "absent"),
	} {
		c := recipes.Micro()
		require.NoError(t, c.Set(assignment))
		_, err := r.Run(t.Context(), "run", c, nil)
		require.True(t, usererr.Is(err), "%s: %v", assignment, err)
		found, err := r.Store.List()
		require.NoError(t, err)
		require.Empty(t, found, assignment)
		entries, err := os.ReadDir(r.Store.Root)
		require.NoError(t, err)
		require.Empty(t, entries, assignment)
	}
}

// Who goes on with a run on a machine that may give other numbers is told so, and the run remembers both.
func TestGoingOnOnAnUnlikeMachine(t *testing.T) {
	var said strings.Builder
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&said, nil)))
	defer slog.SetDefault(before)
	r := runner(t, backendtest.Go(t))
	t.Setenv("XLA_FLAGS", "--xla_cpu_max_isa=AVX2")
	stopAt(t, r, 12)
	stopAt(t, r, 14)
	require.NotContains(t, said.String(), "XLA_FLAGS")
	t.Setenv("XLA_FLAGS", "")
	stopAt(t, r, 16)
	require.Contains(t, said.String(), "XLA_FLAGS was --xla_cpu_max_isa=AVX2 and is unset")
	result, err := r.Run(t.Context(), "run", micro(40), nil)
	require.NoError(t, err)
	attempts, err := result.Run.Attempts()
	require.NoError(t, err)
	require.Equal(t, "--xla_cpu_max_isa=AVX2", attempts[0].Environment["XLA_FLAGS"])
	require.Empty(t, attempts[len(attempts)-1].Environment["XLA_FLAGS"])
}
