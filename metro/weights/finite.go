// SPDX-License-Identifier: Apache-2.0

package weights

import (
	"fmt"
	"math"
)

// Finite is an error if some of the values of a tensor are NaN or infinite: nothing can be computed with them. Every
// [Source] that reads a file asks for it.
func Finite(values []float32) error {
	bad, first := 0, float64(0)
	for _, v := range values {
		if x := float64(v); math.IsNaN(x) || math.IsInf(x, 0) {
			if bad == 0 {
				first = x
			}
			bad++
		}
	}
	if bad == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d values are no finite numbers, such as %v: the weights are damaged, or their training diverged", bad, len(values), first)
}
