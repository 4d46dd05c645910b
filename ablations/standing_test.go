// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/training"
)

// Where a study stands is read off its folder while it is trained, when it was stopped, and when it has ended.
func TestWhereAStudyStands(t *testing.T) {
	s, runner := small(), lab(t)
	dir := filepath.Join(runner.Store.Root, s.Name)
	_, err := Stand(dir)
	require.True(t, usererr.Is(err), "%v", err)
	runs, steps := len(s.Seeds)*(1+len(s.Changes)), s.Baseline.Training.Steps

	ctx, stop := context.WithCancel(t.Context())
	var under Standing
	_, err = s.Run(ctx, runner, 1, func(e Event) {
		if e.Result == nil && e.Progress.Phase == "training" && e.Done == 1 && under.Total == 0 {
			under, err = Stand(dir)
			require.NoError(t, err)
			stop()
		}
	})
	require.ErrorIs(t, err, training.ErrInterrupted)
	require.False(t, under.Ended())
	require.Equal(t, 1, under.Results.Ended())
	require.Len(t, under.UnderWay, 1)
	require.Equal(t, runs*steps, under.Total)
	require.GreaterOrEqual(t, under.Done, steps)
	require.Contains(t, under.String(), "seed")

	stopped, err := Stand(dir)
	require.NoError(t, err)
	require.Empty(t, stopped.UnderWay, "nobody holds a run")
	require.False(t, stopped.Ended())

	_, err = s.Run(t.Context(), runner, 1, nil)
	require.NoError(t, err)
	whole, err := Stand(dir)
	require.NoError(t, err)
	require.True(t, whole.Ended())
	require.Equal(t, whole.Total, whole.Done)
}
