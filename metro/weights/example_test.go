// SPDX-License-Identifier: Apache-2.0

package weights_test

import (
	"fmt"

	"github.com/gomlx/gomlx/ml/model"

	"metrolab/metro"
	"metrolab/metro/hf"
	"metrolab/metro/weights"
)

// The generator of an ELECTRA pair, which shares tables with the main model, becomes a model of its own.
func Example() {
	pair, err := hf.Load("../hf/testdata/electra-odd")
	if err != nil {
		panic(err)
	}
	defer pair.Close()
	c := pair.Config
	c.Sharing = metro.SharingNone
	generator := metro.Describe(c, pair.Model().Vocab).Of(metro.OwnerGenerator)

	alone, err := weights.As(pair, c, generator)
	if err != nil {
		panic(err)
	}
	first := alone.Tensors()[0]
	fmt.Println(first.Name, first.Shape)

	store := model.NewStore()
	generator.Fill(store)
	fmt.Println(weights.Restore(store, pair, c, generator))

	c.Generator.Layers = 3
	fmt.Println(weights.Agree(pair, c, generator))
	// Output:
	// generator.token_embedding [53 14]
	// <nil>
	// ../hf/testdata/electra-odd holds another model than the config asks for: generator.layers is 1 there and 3 in the config
}
