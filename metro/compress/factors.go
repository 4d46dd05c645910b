// SPDX-License-Identifier: Apache-2.0

package compress

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/mat"

	"metrolab/internal/usererr"
	"metrolab/metro/weights"
)

// factors decomposes t, whose slices were divided by norms, and returns each of its slices as a matrix of a product, with the norms
// multiplied in. stream names the numbers that a random start draws. Not for [MethodNoise].
func (o Options) factors(t Tensor, norms []float64, stream string) []weights.Slice {
	list := make([]weights.Slice, t.Shape[2])
	if o.Method == MethodSVD {
		for k := range list {
			list[k].Product = o.asStored(truncated(t.slice(k), o.Rank))
		}
		return list
	}
	var p *weights.Product
	if o.Method == MethodTucker {
		p = FitTucker(t, o.ranks(t.Shape), 10).product(norms)
	} else {
		p = o.fitCP(t, stream).product(norms)
	}
	p = o.asStored(p)
	for k := range list {
		list[k] = weights.Slice{Product: p, Index: k}
	}
	return list
}

// asStored rounds the factors of p to float32 if they are to be stored: then what is read again is what is looked at here. Numbers
// whose norm is beyond it become infinite, which every reader of weights refuses.
func (o Options) asStored(p *weights.Product) *weights.Product {
	if o.Factors {
		for _, f := range p.Factors {
			for i, x := range f.Values {
				f.Values[i] = float64(float32(x))
			}
		}
	}
	return p
}

// ranks are the sizes of Tucker's core.
func (o Options) ranks(shape [3]int) [3]int { return [3]int{o.Rank, o.Rank, shape[2]} }

// numbers is how many numbers the factors of a stack are, at a rank.
func (o Options) numbers(shape [3]int, rank int) int {
	rows, columns, matrices := shape[0], shape[1], shape[2]
	switch o.Method {
	case MethodSVD:
		return rank * (rows + columns) * matrices
	case MethodTucker:
		return rank*rank*matrices + rank*(rows+columns) + matrices*matrices
	}
	return rank * (rows + columns + matrices + 1)
}

// fewer is the user's error if factors are to be stored that are no fewer numbers than the matrices of s.
func (o Options) fewer(s stack) error {
	shape := [3]int{s[0].weight.Shape[0], s[0].weight.Shape[1], len(s)}
	whole := shape[0] * shape[1] * shape[2]
	if !o.Factors || o.numbers(shape, o.Rank) < whole {
		return nil
	}
	most := o.Rank
	for most > 0 && o.numbers(shape, most) >= whole {
		most--
	}
	way := fmt.Sprintf("take a rank of %d or less, or leave factors out", most)
	if most == 0 {
		way = "leave factors out"
	}
	return usererr.New("factors of rank %d are %d numbers, no fewer than the %d of the %d × %d × %d stack of %s; %s", o.Rank, o.numbers(shape, o.Rank), whole, shape[0], shape[1], shape[2], s[0].weight.Tensor(), way)
}

// truncated is a tensor of one slice by its greatest singular values, which go to the rows.
func truncated(t Tensor, rank int) *weights.Product {
	rows, columns := t.Shape[0], t.Shape[1]
	var svd mat.SVD
	if !svd.Factorize(mat.NewDense(rows, columns, t.Data), mat.SVDThin) {
		panic("compress: a singular value decomposition did not converge")
	}
	var u, v, scaled mat.Dense
	svd.UTo(&u)
	svd.VTo(&v)
	scaled.Mul(u.Slice(0, rows, 0, rank), mat.NewDiagDense(rank, svd.Values(nil)[:rank]))
	return &weights.Product{Method: weights.ProductSVD, Factors: map[string]weights.Factor{
		weights.FactorRows: factor(&scaled), weights.FactorColumns: factor(v.Slice(0, columns, 0, rank)),
	}}
}

// product is c with columns of norm 1, and a weight for each component. norms multiply the slices.
func (c CP) product(norms []float64) *weights.Product {
	_, rank := c.Factors[0].Dims()
	core := weights.Factor{Shape: []int{rank}, Values: make([]float64, rank)}
	var unit [3]*mat.Dense
	for mode, f := range c.Factors {
		unit[mode] = mat.DenseCopyOf(f)
	}
	scaleRows(unit[2], norms)
	for r := range rank {
		weight := 1.0
		for _, f := range unit {
			column := f.ColView(r).(*mat.VecDense)
			norm := mat.Norm(column, 2)
			weight *= norm
			if norm > 0 {
				column.ScaleVec(1/norm, column)
			}
		}
		core.Values[r] = weight
	}
	return &weights.Product{Method: weights.ProductCP, Factors: map[string]weights.Factor{
		weights.FactorRows: factor(unit[0]), weights.FactorColumns: factor(unit[1]), weights.FactorSlices: factor(unit[2]), weights.FactorCore: core,
	}}
}

// product is f, whose slices are multiplied by norms.
func (f Tucker) product(norms []float64) *weights.Product {
	scaled := mat.DenseCopyOf(f.Maps[2])
	scaleRows(scaled, norms)
	core := weights.Factor{Shape: f.Core.Shape[:], Values: slices.Clone(f.Core.Data)}
	return &weights.Product{Method: weights.ProductTucker, Factors: map[string]weights.Factor{
		weights.FactorRows: factor(f.Maps[0]), weights.FactorColumns: factor(f.Maps[1]), weights.FactorSlices: factor(scaled), weights.FactorCore: core,
	}}
}

// scaleRows multiplies each row of m.
func scaleRows(m *mat.Dense, by []float64) {
	for k, x := range by {
		row := m.RowView(k).(*mat.VecDense)
		row.ScaleVec(x, row)
	}
}

// factor is m.
func factor(m mat.Matrix) weights.Factor {
	rows, columns := m.Dims()
	return weights.Factor{Shape: []int{rows, columns}, Values: mat.DenseCopyOf(m).RawMatrix().Data}
}
