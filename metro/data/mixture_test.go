// SPDX-License-Identifier: Apache-2.0

package data

import (
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro"
)

// Of every block of rows each text has its share, and each text is read pass after pass, every row once a pass, whatever
// stands beside it.
func TestMixtureHasItsShares(t *testing.T) {
	own, small, other := openIDs(t, counting(7*700), 8), openIDs(t, counting(7*60), 8), openIDs(t, counting(7*300), 8)
	l := Loader{Rows: own, Mixed: []Mixed{{Rows: small, Share: 120}, {Rows: other, Share: 300}}, Seed: 7, Shuffle: true}
	seen := map[*Rows]map[int]int{own: {}, small: {}, other: {}}
	const blocks = 5
	for k := range blocks * metro.MixtureBlock {
		rows, at := l.row(k)
		seen[rows][at]++
		again, same := l.row(k)
		require.Equal(t, at, same)
		require.Same(t, rows, again)
	}
	total := func(rows *Rows) (n int) {
		for _, times := range seen[rows] {
			n += times
		}
		return n
	}
	require.Equal(t, []int{580 * blocks, 120 * blocks, 300 * blocks}, []int{total(own), total(small), total(other)})
	for at := range small.Len() {
		require.Equal(t, 120*blocks/small.Len(), seen[small][at], "row %d", at)
	}
	for at := range other.Len() {
		require.Equal(t, 300*blocks/other.Len(), seen[other][at], "row %d", at)
	}
}

// A text whose share is nothing but its own is read in the order that it has alone.
func TestWithoutMixtureTheOrderIsTheOldOne(t *testing.T) {
	own := openIDs(t, counting(7*50), 8)
	l := Loader{Rows: own, Seed: 3, Shuffle: true}
	for k := range 120 {
		_, at := l.row(k)
		require.Equal(t, Shuffled(3, own.Len(), k), at)
	}
}
