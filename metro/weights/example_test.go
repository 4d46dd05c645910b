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

// Two matrices of 2 × 3 have one row and one column in common, and a number each: with a weight, 8 numbers in the place of 12.
func ExampleProduct() {
	p := &weights.Product{Method: weights.ProductCP, Factors: map[string]weights.Factor{
		weights.FactorRows:    {Shape: []int{2, 1}, Values: []float64{1, 2}},
		weights.FactorColumns: {Shape: []int{3, 1}, Values: []float64{1, 0, -1}},
		weights.FactorSlices:  {Shape: []int{2, 1}, Values: []float64{1, 10}},
		weights.FactorCore:    {Shape: []int{1}, Values: []float64{2}},
	}}
	fmt.Println(p.Check(), p.Shape(), p.Numbers())
	matrix := make([]float32, 6)
	fmt.Println(weights.Slice{Product: p, Index: 1}.Read(matrix), matrix)
	fmt.Println(weights.Slice{Product: p, Index: 1, Transposed: true}.Read(matrix), matrix)
	// Output:
	// <nil> [2 3 2] 8
	// <nil> [20 0 -20 40 0 -40]
	// <nil> [20 40 0 0 -20 -40]
}
