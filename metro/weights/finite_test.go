// SPDX-License-Identifier: Apache-2.0

package weights_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro/weights"
)

func TestFinite(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	require.NoError(t, weights.Finite([]float32{0, -1, math.MaxFloat32, math.SmallestNonzeroFloat32}))
	require.NoError(t, weights.Finite(nil))
	require.ErrorContains(t, weights.Finite([]float32{1, nan, 2, inf}), "2 of 4 values are no finite numbers, such as NaN")
	require.ErrorContains(t, weights.Finite([]float32{inf}), "1 of 1 values are no finite numbers, such as -Inf")
}
