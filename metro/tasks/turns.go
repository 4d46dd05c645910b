// SPDX-License-Identifier: Apache-2.0

package tasks

import "metrolab/metro/data"

// turns is the order in which training reads its items: the classes take turns, so that all weigh the same whatever
// their sizes, and each goes through its own items pass after pass, each time in another order.
type turns [][]int

func newTurns(classes int, classOf []int) turns {
	t := make(turns, classes)
	for i, class := range classOf {
		t[class] = append(t[class], i)
	}
	return t
}

// at returns the item that comes k-th, k = 0, 1, …: a pure function of (seed, k).
func (t turns) at(seed int64, k int) int {
	items := t[k%len(t)]
	return items[data.Shuffled(seed, len(items), k/len(t))]
}
