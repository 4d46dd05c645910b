// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro/backend"
	"metrolab/metro/runs"
	"metrolab/metro/workspace"
)

// Runs of a small model take an engine of one thread each: side by side they are, bit for bit, what one thread alone makes.
func TestSmallModelsTakeEnginesOfTheirOwn(t *testing.T) {
	be := backendtest.XLA(t)
	single, err := backend.Open("xla:cpu,threads=1")
	require.NoError(t, err)
	defer single.Finalize()
	require.Nil(t, backend.Fit(single, backend.Needs{Small: true}), "somebody asked for its threads")
	require.Nil(t, backend.Fit(backendtest.Go(t), backend.Needs{Small: true}))

	alone := ownRunner(t, be)
	alone.Backend = single
	want, err := alone.Run(t.Context(), "run", micro(10), nil)
	require.NoError(t, err)

	r := ownRunner(t, be)
	r.Fit = workspace.Fit(be)
	require.True(t, r.IsSmall(micro(10)))
	wide := micro(10)
	wide.Main.Width = 128
	require.False(t, r.IsSmall(wide))
	var group sync.WaitGroup
	results := make([]*runs.Run, 2)
	for i := range results {
		group.Go(func() {
			c := micro(10)
			c.Seed += int64(i)
			result, err := r.Run(t.Context(), "run", c, nil)
			if err == nil {
				results[i] = result.Run
			}
		})
	}
	group.Wait()
	require.NotNil(t, results[0])
	require.NotNil(t, results[1])
	equalRuns(t, want.Run, results[0])
	require.NoError(t, r.Close())
}
