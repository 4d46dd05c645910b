// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"fmt"

	"metrolab/metro/recipes"
	"metrolab/metro/training"
)

// The schedule of COCO-LM and METRO-T0: up to the peak in 10,000 steps, then down to nothing.
func ExampleLearningRate() {
	c := recipes.MetroBase()
	for _, step := range []int{5_000, 10_000, 67_500, 125_000} {
		fmt.Printf("%7d %.1e\n", step, training.LearningRate(c, step))
	}
	// Output:
	//    5000 2.0e-04
	//   10000 4.0e-04
	//   67500 2.0e-04
	//  125000 0.0e+00
}

// Of the four pairs of a positive and a negative, three are in order.
func ExampleAUC() {
	fmt.Println(training.AUC([]float32{-2, 0.5, 1, 3}, []bool{false, true, false, true}))
	// Output: 0.75
}
