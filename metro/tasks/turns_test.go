// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Classes take turns, each class's items all come before any comes again, and a seed has its own order.
func TestTurns(t *testing.T) {
	classOf := []int{0, 1, 1, 0, 2, 1, 1, 1}
	order := newTurns(3, classOf)
	seen := map[int]int{}
	for k := range 3 * 5 {
		item := order.at(7, k)
		require.Equal(t, k%3, classOf[item])
		seen[item]++
	}
	for item, n := range seen {
		if classOf[item] == 1 {
			require.Equal(t, 1, n, "five draws of class 1 are its five items")
		}
	}
	require.Equal(t, 5, seen[4], "the only item of class 2 comes every time")
	differs := false
	for k := range 30 {
		require.Equal(t, order.at(7, k), order.at(7, k))
		differs = differs || order.at(7, k) != order.at(8, k)
	}
	require.True(t, differs)
}
