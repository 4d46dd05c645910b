// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro"
)

// Sums and counts add up, so that a metric of several passes is the ratio of sums and not a mean of ratios. The zero
// Tally is of any metrics.
func TestTallyAdds(t *testing.T) {
	names := []string{"a", "b"}
	one, two := metro.ReadTally([]float64{10, 1, 2, 3, 4}, names), metro.ReadTally([]float32{100, 5, 6, 7, 0}, names)
	require.Equal(t, metro.Tally{Tokens: 10, Names: names, Sums: []float64{1, 3}, Counts: []float64{2, 4}}, one)
	sum := metro.Tally{Tokens: 110, Names: names, Sums: []float64{6, 10}, Counts: []float64{8, 4}}
	require.Equal(t, sum, one.Add(two))
	require.Equal(t, sum, two.Add(one))
	require.Equal(t, one, metro.Tally{}.Add(one))
	require.Equal(t, one, one.Add(metro.Tally{}))
	require.Equal(t, map[string]float64{"a": 0.75, "b": 2.5}, sum.Metrics())
	require.Equal(t, []float64{1, 3}, one.Sums, "Add changes neither")

	require.True(t, math.IsNaN(two.Metric("b")), "over nothing")
	require.True(t, math.IsNaN(one.Metric("c")), "of no such name")
	require.Empty(t, metro.Tally{}.Metrics())
}

func TestTallyRefusesWhatDoesNotFit(t *testing.T) {
	a := metro.ReadTally([]float64{10, 1, 2}, []string{"a"})
	require.PanicsWithValue(t, "metro: tallies of different metrics: [a] and [b]", func() { a.Add(metro.ReadTally([]float64{1, 2, 3}, []string{"b"})) })
	require.PanicsWithValue(t, "metro: a tally of 4 numbers for 2 names", func() { metro.ReadTally(make([]float64, 4), []string{"a", "b"}) })
}
