// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// By hand: recalls 3/4, 1/2 and 0/2, so the balanced accuracy is (3/4 + 1/2 + 0)/3 = 5/12; 4 of 8 texts are right.
func TestScoresGolden(t *testing.T) {
	s := newScores(3, []int{0, 0, 0, 0, 1, 1, 2, 2}, []int{0, 0, 0, 2, 1, 0, 0, 1})
	require.Equal(t, [][]int{{3, 0, 1}, {1, 1, 0}, {1, 1, 0}}, s.Confusion)
	require.InDeltaSlice(t, []float64{0.75, 0.5, 0}, s.Recall, 1e-15)
	require.InDelta(t, 5.0/12, s.BalancedAccuracy, 1e-15)
	require.InDelta(t, 0.5, s.Accuracy, 1e-15)
}

// Whoever always says the same has the share of that class as accuracy, and 1/classes as balanced accuracy.
func TestMajority(t *testing.T) {
	truth := []int{2, 1, 1, 1, 0, 2, 1, 1}
	predicted := majority([]int{3, 7, 7}, len(truth))
	require.Equal(t, []int{1, 1, 1, 1, 1, 1, 1, 1}, predicted, "of two equal classes the first")
	s := newScores(3, truth, predicted)
	require.InDelta(t, 5.0/8, s.Accuracy, 1e-15)
	require.InDelta(t, 1.0/3, s.BalancedAccuracy, 1e-15)
	require.Equal(t, []float64{0, 1, 0}, s.Recall)
}
