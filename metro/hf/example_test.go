// SPDX-License-Identifier: Apache-2.0

package hf_test

import (
	"fmt"
	"os"
	"path/filepath"

	"metrolab/metro/hf"
)

// A pair comes in, and goes out again.
func Example() {
	pair, err := hf.Load("testdata/electra-odd")
	if err != nil {
		panic(err)
	}
	defer pair.Close()
	c := pair.Config
	fmt.Printf("%d and %d layers of width %d and %d, sharing %s\n", c.Main.Layers, c.Generator.Layers, c.Main.Width, c.Generator.Width, c.Sharing)

	tensors := pair.Tensors()
	last := tensors[len(tensors)-1]
	bias := make([]float32, last.Size())
	if err := pair.Read(last.Name, bias); err != nil {
		panic(err)
	}
	fmt.Printf("%s %d: %.3f, …\n", last.Name, last.Shape, bias[:2])

	parent, err := os.MkdirTemp("", "hf")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(parent)
	notes, err := hf.Export(filepath.Join(parent, "my-electra"), pair.Tokenizer, pair)
	fmt.Println(notes, err)
	// Output:
	// 2 and 1 layers of width 24 and 10, sharing token_position_norm
	// generator.head.output_bias [53]: [0.495 0.298], …
	// [] <nil>
}
