// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// Two workers, and an arm of its own length: what is done, what is said, and the time left.
func TestBoard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := small()
		s.Baseline.Training.Steps = 100
		s.Changes = []Change{{"long", []string{"training.steps=200"}}}
		b := NewBoard(s)
		require.Equal(t, 600, b.Total)
		require.Equal(t, "0 of 0 runs", b.String())

		at := func(worker int, arm string, step int, loss float64) {
			b.Update(Event{Arm: arm, Seed: 3, Worker: worker, Total: 4, Done: len(b.Results.Runs), Progress: training.Progress{Step: step, Phase: "training", Loss: loss}})
		}
		at(0, BaselineName, 40, math.NaN()) // resumed: not the time of this study
		at(1, "long", 0, math.NaN())
		require.Equal(t, "0 of 4 runs, long seed 3, training", b.String())
		require.Zero(t, b.Left())
		at(0, BaselineName, 41, 2)
		time.Sleep(9 * time.Second)
		at(0, BaselineName, 50, 2)
		require.Equal(t, 50, b.Done)
		require.Equal(t, 550*time.Second, b.Left())
		require.Equal(t, "0 of 4 runs, baseline seed 3, loss 2.000, 9 min left", b.String())
		at(1, "long", 20, 3)
		require.Equal(t, 70, b.Done)

		b.Update(Event{Arm: BaselineName, Seed: 3, Total: 4, Done: 1, Result: &training.Result{Metrics: runs.Values{s.Outcome.Metric: 0.7}}})
		require.Equal(t, 120, b.Done)
		require.Regexp(t, "^1 of 4 runs, .* left$", b.String())
		require.Equal(t, 0.7, b.Results.Table().Rows[0][1])
		b.Update(Event{Arm: "long", Seed: 3, Worker: 1, Total: 4, Done: 2, Result: &training.Result{}})
		require.Equal(t, 300, b.Done)
	})
}
