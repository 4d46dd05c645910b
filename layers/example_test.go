// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"fmt"
	"log"

	. "github.com/gomlx/gomlx/core/graph"

	"metrolab/layers"
	"metrolab/metro/backend"
)

// Near offsets have a bucket each, far ones share: with 32 of them and 128 as the maximum, 8 to either side are exact.
func ExampleSignedLogBucket() {
	for _, offset := range []int{-100, -9, -8, -1, 0, 1, 8, 9, 11, 12, 100, 1000} {
		fmt.Print(layers.SignedLogBucket(offset, 32, 128), " ")
	}
	// Output: 0 6 7 14 15 16 23 24 24 25 30 30
}

// A table of 8 buckets and one head, spread over a row of four positions: query q adds table[bucket(k−q)] to its
// attention to key k.
func ExampleRelativePositionBias() {
	be, err := backend.Open("go")
	if err != nil {
		log.Fatal(err)
	}
	spread := MustNewExec(be, func(table *Node) *Node { return layers.RelativePositionBias(table, 4, 16) })
	bias := spread.MustCall([][]float32{{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}})[0].Value().([][][][]float32)
	for _, row := range bias[0][0] {
		fmt.Println(row)
	}
	// Output:
	// [3 4 5 6]
	// [2 3 4 5]
	// [1 2 3 4]
	// [0 1 2 3]
}
