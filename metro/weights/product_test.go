// SPDX-License-Identifier: Apache-2.0

package weights_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro/weights"
)

func counted(first float64, shape ...int) weights.Factor {
	f := weights.Factor{Shape: shape, Values: make([]float64, weights.Tensor{Shape: shape}.Size())}
	for i := range f.Values {
		f.Values[i] = first + float64(i)
	}
	return f
}

// Products of small whole numbers, which nothing rounds, are their definitions' sums.
func TestProducts(t *testing.T) {
	const rows, columns, matrices = 4, 3, 2
	for method, factors := range map[string]map[string]weights.Factor{
		weights.ProductSVD: {weights.FactorRows: counted(1, rows, 2), weights.FactorColumns: counted(-3, columns, 2)},
		weights.ProductCP: {
			weights.FactorRows: counted(1, rows, 2), weights.FactorColumns: counted(-3, columns, 2), weights.FactorSlices: counted(2, matrices, 2),
			weights.FactorCore: counted(5, 2),
		},
		weights.ProductTucker: {
			weights.FactorRows: counted(1, rows, 2), weights.FactorColumns: counted(-3, columns, 3), weights.FactorSlices: counted(2, matrices, 2),
			weights.FactorCore: counted(5, 2, 3, 2),
		},
	} {
		p := &weights.Product{Method: method, Factors: factors}
		require.NoError(t, p.Check())
		at := func(name string, i, j int) float64 { return factors[name].Values[i*factors[name].Shape[1]+j] }
		for k := range p.Shape()[2] {
			var want, transposed [rows * columns]float32
			for i := range rows {
				for j := range columns {
					sum := 0.0
					for a := range 2 {
						switch method {
						case weights.ProductSVD:
							sum += at(weights.FactorRows, i, a) * at(weights.FactorColumns, j, a)
						case weights.ProductCP:
							sum += factors[weights.FactorCore].Values[a] * at(weights.FactorSlices, k, a) * at(weights.FactorRows, i, a) * at(weights.FactorColumns, j, a)
						case weights.ProductTucker:
							for b := range 3 {
								for c := range 2 {
									sum += factors[weights.FactorCore].Values[(a*3+b)*2+c] * at(weights.FactorSlices, k, c) * at(weights.FactorRows, i, a) * at(weights.FactorColumns, j, b)
								}
							}
						}
					}
					want[i*columns+j], transposed[j*rows+i] = float32(sum), float32(sum)
				}
			}
			var got [rows * columns]float32
			require.NoError(t, weights.Slice{Product: p, Index: k}.Read(got[:]))
			require.Equal(t, want, got)
			require.NoError(t, weights.Slice{Product: p.Pick([]int{k}), Transposed: true}.Read(got[:]))
			require.Equal(t, transposed, got)
		}
		require.ErrorContains(t, weights.Slice{Product: p}.Read(make([]float32, 11)), "4 × 3 elements does not go into a buffer of 11")
	}
}

// What is no product says why.
func TestProductsAreChecked(t *testing.T) {
	shapes := func(names map[string][]int) map[string]weights.Factor {
		factors := map[string]weights.Factor{}
		for name, shape := range names {
			factors[name] = weights.Factor{Shape: shape}
		}
		return factors
	}
	for want, p := range map[string]weights.Product{
		`the method is "lu"`:     {Method: "lu"},
		"it has no columns":      {Method: weights.ProductSVD, Factors: shapes(map[string][]int{"rows": {2, 2}})},
		"rows has the shape [2]": {Method: weights.ProductSVD, Factors: shapes(map[string][]int{"rows": {2}, "columns": {2, 2}})},
		"the ranks of its factors differ: rows [2 2], columns [2 3]":                         {Method: weights.ProductSVD, Factors: shapes(map[string][]int{"rows": {2, 2}, "columns": {2, 3}})},
		"the ranks of its factors differ: rows [2 2], columns [2 2], slices [2 1], core [2]": {Method: weights.ProductCP, Factors: shapes(map[string][]int{"rows": {2, 2}, "columns": {2, 2}, "slices": {2, 1}, "core": {2}})},
		"core has the shape [2 2 2], and of cp it has 1 axes":                                {Method: weights.ProductCP, Factors: shapes(map[string][]int{"rows": {2, 2}, "columns": {2, 2}, "slices": {2, 2}, "core": {2, 2, 2}})},
	} {
		require.ErrorContains(t, p.Check(), want)
	}
}
