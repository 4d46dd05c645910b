// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"fmt"

	"metrolab/metro/training"
)

// Of the four pairs of a positive and a negative, three are in order.
func ExampleAUC() {
	fmt.Println(training.AUC([]float32{-2, 0.5, 1, 3}, []bool{false, true, false, true}))
	// Output: 0.75
}
