// SPDX-License-Identifier: Apache-2.0

// Package distribution helps tests of random draws.
package distribution

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat/distuv"
)

// Require compares counts with what was expected: Pearson's χ² at its 99.99 % point. What is expected never must not have
// happened.
func Require(t testing.TB, expected, observed []float64, what string) {
	t.Helper()
	require.Len(t, observed, len(expected), what)
	var chi2, cells float64
	for i, want := range expected {
		if want == 0 {
			require.Zero(t, observed[i], "%s: %d has probability 0", what, i)
			continue
		}
		cells++
		chi2 += (observed[i] - want) * (observed[i] - want) / want
	}
	limit := 0.0 // of one cell: what is certain must have happened each time
	if cells > 1 {
		limit = distuv.ChiSquared{K: cells - 1}.Quantile(0.9999)
	}
	require.LessOrEqual(t, chi2, limit, "%s: χ² over %g cells", what, cells)
}
