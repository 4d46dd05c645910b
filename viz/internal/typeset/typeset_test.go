// SPDX-License-Identifier: Apache-2.0

package typeset

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNumbers(t *testing.T) {
	require.Equal(t, "\u22120.256", Fixed(-0.2563, 3))
	require.Equal(t, "0.000", Fixed(-0.00001, 3), "no minus zero")
	require.Equal(t, "0.000", Signed(0.00001, 3), "no plus zero")
	require.Equal(t, "+0.005", Signed(0.0047, 3))
	require.Equal(t, "\u2013", Signed(math.NaN(), 3))
	require.Equal(t, "\u2013", Probability(math.NaN()))
	require.Equal(t, "< 0.001", Probability(0.0009))
	require.Equal(t, "0.049", Probability(0.0491))
	require.Equal(t, 3, Decimals(-0.256, 0.01, math.NaN()))
	require.Equal(t, 0, Decimals(1234))
	require.Equal(t, "a b c", Printable("a\nb\tc"))
	require.Equal(t, "ab", Printable("a\u202eb"), "no text that runs backwards")
}
