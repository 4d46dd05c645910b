// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"fmt"

	"metrolab/metro/recipes"
)

func ExampleGet() {
	for _, name := range recipes.Names() {
		c, err := recipes.Get(name)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%-5s %2d × %-3d beside a generator of %d × %d\n", name, c.Main.Layers, c.Main.Width, c.Generator.Layers, c.Generator.Width)
	}
	_, err := recipes.Get("huge")
	fmt.Println(err)
	// Output:
	// micro  1 × 16  beside a generator of 1 × 16
	// tiny   2 × 64  beside a generator of 1 × 64
	// mini   4 × 128 beside a generator of 2 × 128
	// base  12 × 768 beside a generator of 4 × 768
	// there is no recipe "huge"; there are micro, tiny, mini, base
}
