// SPDX-License-Identifier: Apache-2.0

package backendtest_test

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro/backend"
)

func TestForEachRunsTheBackendItNames(t *testing.T) {
	var names []string
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		names = append(names, string(backend.Describe(be).Kind))
		square := graph.MustNewExec(be, func(x *graph.Node) *graph.Node { return graph.MatMul(x, x) })
		got := square.MustCall([][]float32{{1, 2}, {3, 4}})[0].Value()
		require.Equal(t, [][]float32{{7, 10}, {15, 22}}, got)
	})
	require.Equal(t, []string{"go", "xla-cpu"}[:len(names)], names)
}

func TestBackendsAreShared(t *testing.T) {
	require.Same(t, backendtest.Go(t), backendtest.Go(t))
}
