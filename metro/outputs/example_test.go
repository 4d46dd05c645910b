// SPDX-License-Identifier: Apache-2.0

package outputs_test

import (
	"fmt"

	"metrolab/metro/outputs"
)

// Two models said this of the same tokens.
func ExampleCompare() {
	d := outputs.Compare(outputs.RTD, []float32{-3, 0.5, 2}, []float32{-3, 0.25, 2.125})
	fmt.Println(d.Name, d.Largest, d.Scale)
	// Output: RTD logits 0.25 3
}
