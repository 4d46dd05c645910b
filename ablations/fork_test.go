// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// forked is small with arms that leave the baseline's run after step 3, which its cadence keeps no checkpoint of.
func forked() Study {
	s := small()
	s.Name, s.Fork = "forked", &Fork{Step: 3}
	s.Baseline.Training.CheckpointEvery = 6
	s.Changes[1] = Change{"heavier RTD", []string{"objective.rtd_weight=100"}}
	return s
}

// The arms of a forked study go on from the baseline's run at their seed, which is trained once. Stopped in the middle and
// gone on with by two workers, it ends with the table of a study that nothing happened to, and so it does where a baseline has ended
// without the checkpoint.
func TestForkedStudy(t *testing.T) {
	s, runner := forked(), lab(t)
	whole, err := s.Run(t.Context(), runner, 1, nil)
	require.NoError(t, err)
	require.Equal(t, 6, whole.Ended())
	shared := map[string]string{}
	for _, run := range whole.Runs {
		require.DirExists(t, filepath.Join(runner.Store.Root, run.ID))
		dir, err := runner.Store.Open(run.ID)
		require.NoError(t, err)
		rows, err := dir.ReadMetrics()
		require.NoError(t, err)
		require.Len(t, rows, 2)
		first, err := runs.Hash(rows[0])
		require.NoError(t, err)
		if run.Arm == BaselineName {
			shared[first] = run.ID
			require.Zero(t, run.Result.Before)
			continue
		}
		require.Contains(t, shared, first, "step 3 is the baseline's, with its times")
		identity, err := training.ReadIdentity(dir.Dir)
		require.NoError(t, err)
		require.Equal(t, shared[first]+"@3", identity.Config.Training.Fork)
		require.Positive(t, run.Result.Before)
	}
	require.Len(t, shared, 2)
	page, err := whole.Report()
	require.NoError(t, err)
	require.Contains(t, strings.Join(page.Notes, " "), "an effect from step 4 on")

	again := runner.Anew()
	again.Corpus, again.Store = runner.Corpus, runs.Store{Root: filepath.Join(t.TempDir(), "runs")}
	for _, seed := range s.Seeds[1:] { // it has ended before anybody thought of a fork
		_, err := again.Run(t.Context(), s.Recipe, seeded(s.Baseline, seed), nil)
		require.NoError(t, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	_, err = s.Run(ctx, again, 2, func(e Event) {
		if e.Arm != BaselineName && e.Progress.Step > 4 {
			stop()
		}
	})
	require.ErrorIs(t, err, training.ErrInterrupted)
	opened, err := Open(filepath.Join(again.Store.Root, s.Name))
	require.NoError(t, err)
	require.Less(t, opened.Ended(), 6)
	resumed, err := s.Run(t.Context(), again, 2, nil)
	require.NoError(t, err)
	require.Equal(t, 6, resumed.Ended())
	for i, run := range resumed.Runs {
		require.Equal(t, whole.Runs[i].ID, run.ID)
		require.True(t, sameNumbers(whole.Runs[i], run), run.ID)
	}
	opened, err = Open(filepath.Join(again.Store.Root, s.Name))
	require.NoError(t, err)
	require.Equal(t, 6, opened.Ended())
}

func TestForksOfStudiesThatMakeNoSense(t *testing.T) {
	for want, spoil := range map[string]func(*Study){
		"fork after a step from 1 to 5":                          func(s *Study) { s.Fork.Step = 6 },
		`arm "no bias": a fork cannot change positions.relative`: func(s *Study) { s.Changes[0] = Change{"no bias", []string{"positions.relative=none"}} },
	} {
		s := forked()
		spoil(&s)
		_, err := s.Arms()
		require.True(t, usererr.Is(err), "%s: %v", want, err)
		require.ErrorContains(t, err, want)
	}
	before, after := forked(), forked()
	after.Fork = &Fork{Step: 2}
	require.Equal(t, "its arms leave the baseline's run at another step", Results{Study: after}.Plan().differs(Results{Study: before}.Plan()))
}
