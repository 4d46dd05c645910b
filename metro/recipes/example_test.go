// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"fmt"

	"metrolab/metro/recipes"
)

func ExampleGet() {
	c, err := recipes.Get("electra-small")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d × %d beside a generator of %d × %d\n", c.Main.Layers, c.Main.Width, c.Generator.Layers, c.Generator.Width)
	// Output: 12 × 256 beside a generator of 12 × 64
}

// The weights of BERT's vocabulary under ELECTRA's three models; nothing is allocated.
func ExampleCount() {
	for _, name := range []string{"electra-small", "electra-base", "electra-large"} {
		c, err := recipes.Get(name)
		if err != nil {
			fmt.Println(err)
			return
		}
		p := recipes.Count(c, 30_522)
		fmt.Printf("%-13s %9d, with the RTD head %9d\n", name, p.Encoder, p.Encoder+p.RTDHead)
	}
	// Output:
	// electra-small  13483008, with the RTD head  13549057
	// electra-base  108891648, with the RTD head 109483009
	// electra-large 334092288, with the RTD head 335142913
}

func ExampleRecipe_About() {
	r, err := recipes.Find("mini")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(r.About())
	// Output:
	// Mini is the step between tiny and metro-base: 4 layers of width 192, a generator of 2, rows of 64 over 4,096 pieces.
	//
	//   - Ours: the shape, Muon, which leaves the plateau of the first steps where AdamW does not, and the schedule; all else is tiny's.
	//     A pilot of it (one seed) told BLiMP's pairs better than one of width 128 did, whose operations were as many, on twice the tokens.
	//   - Parameters: 2,578,752 in the encoder, 2,616,001 with the RTD head; 931,456 in the generator.
	//   - Cost: 41 million tokens, about 7e14 floating-point operations: hours on two cores, minutes on a GPU.
	//
	// The command:
	//
	//	metro pretrain --recipe mini
}
