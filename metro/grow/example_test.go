// SPDX-License-Identifier: Apache-2.0

package grow_test

import (
	"fmt"

	"metrolab/metro/grow"
	"metrolab/metro/recipes"
)

// A model of twice the width has twice the heads, and logits that would double are scaled back.
func ExampleTarget() {
	to, err := grow.Target(recipes.Tiny(), "main.width=128")
	if err != nil {
		panic(err)
	}
	fmt.Println(to.Main.Heads, to.Main.FFN, to.Generator.Width, to.Embeddings.OutputScale)
	for _, note := range grow.Notes(recipes.Tiny(), to, grow.Options{}) {
		fmt.Println("the function is not kept:", note)
	}
	// Output: 8 256 128 0.5
}

// Grow takes the weights of a trained model, whose Source is opened by training.LoadPretrained(dir).Source().
func ExampleGrow() {
	small := random(recipes.Micro())
	to, err := grow.Target(small.Model().Config, "main.width=32", "main.layers=2")
	if err != nil {
		panic(err)
	}
	large, err := grow.Grow(small, to, grow.Options{Noise: 0.1, Depth: grow.DepthInterpolate})
	if err != nil {
		panic(err)
	}
	fmt.Println(large.Tensors()[0])
	// Output: {shared.token_embedding [23 32]}
}
