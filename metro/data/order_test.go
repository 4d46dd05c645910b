// SPDX-License-Identifier: Apache-2.0

package data

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/distribution"
)

// pass lists the rows of one whole pass.
func pass(seed int64, n, epoch int) []int {
	order := make([]int, n)
	for k := range order {
		order[k] = Shuffled(seed, n, epoch*n+k)
	}
	return order
}

// Every pass reads every row once, whatever the number of rows: the smallest ones, and those beside powers of 2 and 4,
// where the Feistel network's domain grows.
func TestEachPassIsAPermutation(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 1023, 1024, 1025, 4095, 4096, 4097} {
		for epoch := range 3 {
			seen := make([]bool, n)
			for _, row := range pass(11, n, epoch) {
				require.True(t, row >= 0 && row < n && !seen[row], "%d rows, pass %d: row %d is out of range or comes twice", n, epoch, row)
				seen[row] = true
			}
		}
	}
}

func TestEachPassAndSeedHasItsOwnOrder(t *testing.T) {
	const n = 50
	seen := map[string]string{}
	for seed := range int64(4) {
		for epoch := range 4 {
			order := fmt.Sprint(pass(seed, n, epoch))
			name := fmt.Sprintf("seed %d, pass %d", seed, epoch)
			require.Empty(t, seen[order], "%s has the same order", name)
			seen[order] = name
		}
	}
}

// Written down on the day the order was defined, from this code: if it changes, no old run can be reproduced.
func TestOrderGolden(t *testing.T) {
	require.Equal(t, []int{2, 3, 6, 8, 1, 0, 5, 4, 9, 7}, pass(1, 10, 0))
	require.Equal(t, []int{5, 4, 0, 1, 6, 9, 3, 2, 8, 7}, pass(1, 10, 1))
	require.Equal(t, []int{5, 4, 2, 6, 9, 1, 7, 3, 0, 8}, pass(2, 10, 0))
	require.Equal(t, []int{65657, 83014, 37187, 47761, 27856, 38981, 69492, 68387, 64014, 44839}, pass(7, 100_003, 5)[:10])
}

// From about a hundred rows on, as every real split has, χ² cannot tell the order from a uniform one: neither where rows
// come nor how far apart those are that follow each other. (Of a handful of rows, places differ by a few per cent in
// their frequency: four rounds over two bits a side cannot mix better.)
func TestOrderIsUniform(t *testing.T) {
	const bins = 8
	for _, n := range []int{100, 1000} {
		passes := 200_000 / n
		places, wantPlaces := make([]float64, bins*bins), make([]float64, bins*bins)
		steps, wantSteps := make([]float64, bins), make([]float64, bins)
		for epoch := range passes {
			order := pass(3, n, epoch)
			for k, row := range order {
				places[row*bins/n*bins+k*bins/n]++
				if k > 0 {
					steps[(row-order[k-1]+n)%n*bins/n]++
				}
			}
		}
		for row := range n {
			for k := range n {
				wantPlaces[row*bins/n*bins+k*bins/n] += float64(passes) / float64(n)
			}
			if row > 0 {
				wantSteps[row*bins/n] += float64(passes)
			}
		}
		distribution.Require(t, wantPlaces, places, "places")
		distribution.Require(t, wantSteps, steps, "steps")
	}
}
