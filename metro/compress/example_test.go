// SPDX-License-Identifier: Apache-2.0

package compress_test

import (
	"fmt"

	"metrolab/metro/compress"
)

// A tensor that is one product of three vectors is found again, as 4 + 3 + 2 numbers and a weight.
func ExampleCP() {
	x := compress.NewTensor(4, 3, 2)
	for i := range 4 {
		for j := range 3 {
			for k := range 2 {
				*x.At(i, j, k) = float64((1 + i) * (2 + j) * (1 + 3*k))
			}
		}
	}
	c := compress.StartCP(x, 1)
	errors := c.Fit(x, compress.Sweeps{})
	fmt.Println(errors[len(errors)-1] < 1e-12, c.Parameters())
	// Output: true 10
}

// Three variants are looked at, on ten rows of text: what the second does to each is the same way round, and stands after correction.
func ExampleMaxT() {
	p := compress.MaxT([][]float64{
		{1, -2, 1, 1, -1, 0, 2, -1, 1, -2},
		{2, 1, 2, 1, 3, 1, 2, 1, 2, 1},
		{0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	}, 0)
	fmt.Printf("%.2f %.3f %.0f\n", p[0], p[1], p[2])
	// Output: 1.00 0.002 1
}
