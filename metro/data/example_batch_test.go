// SPDX-License-Identifier: Apache-2.0

package data_test

import (
	"fmt"

	"metrolab/internal/randstream"
	"metrolab/metro/data"
)

// The order of the rows is computed from their place in the run: nothing is stored, nothing is replayed on resume.
func ExampleShuffled() {
	for epoch := range 3 {
		var order []int
		for k := range 6 {
			order = append(order, data.Shuffled(1, 6, epoch*6+k))
		}
		fmt.Println(order)
	}
	// Output:
	// [2 3 5 4 1 0]
	// [5 4 0 1 3 2]
	// [1 0 3 2 5 4]
}

// Two of the row's six ordinary tokens are masked; the third slot stays empty. Ids below 5 are special.
func ExampleMaskPositions() {
	row := []int32{2, 11, 12, 13, 3, 14, 15, 16, 3, 0}
	positions, weights := make([]int32, 3), make([]float32, 3)
	data.MaskPositions(randstream.New(1, "mask"), row, 0.3, func(id int32) bool { return id >= 5 }, positions, weights)
	fmt.Println(positions, weights)
	// Output: [1 7 0] [1 1 0]
}
