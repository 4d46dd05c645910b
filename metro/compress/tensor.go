// SPDX-License-Identifier: Apache-2.0

package compress

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// Tensor has three modes of sizes I, J and K; element (i, j, k) is Data[(i·J+j)·K+k].
type Tensor struct {
	Shape [3]int
	Data  []float64
}

// NewTensor makes one of zeros.
func NewTensor(i, j, k int) Tensor {
	return Tensor{[3]int{i, j, k}, make([]float64, i*j*k)}
}

// At returns a place for element (i, j, k).
func (t Tensor) At(i, j, k int) *float64 { return &t.Data[(i*t.Shape[1]+j)*t.Shape[2]+k] }

// Norm is the root of the sum of squares.
func (t Tensor) Norm() float64 {
	sum := 0.0
	for _, x := range t.Data {
		sum += x * x
	}
	return math.Sqrt(sum)
}

// Error is ‖t − approximation‖ / ‖t‖, 0 where both are zero.
func (t Tensor) Error(approximation Tensor) float64 {
	sum := 0.0
	for i, x := range t.Data {
		difference := x - approximation.Data[i]
		sum += difference * difference
	}
	if norm := t.Norm(); norm > 0 {
		return math.Sqrt(sum) / norm
	}
	return math.Sqrt(sum)
}

// others are the two modes beside one, in their order.
func others(mode int) (a, b int) {
	return [3]int{1, 0, 0}[mode], [3]int{2, 2, 1}[mode]
}

// unfold lays a mode along the rows: element (i, j, k) of mode 0 is (i, j·K+k), of mode 1 (j, i·K+k), of mode 2 (k, i·J+j).
func (t Tensor) unfold(mode int) *mat.Dense {
	a, b := others(mode)
	out := mat.NewDense(t.Shape[mode], t.Shape[a]*t.Shape[b], nil)
	var at [3]int
	for at[0] = range t.Shape[0] {
		for at[1] = range t.Shape[1] {
			for at[2] = range t.Shape[2] {
				out.Set(at[mode], at[a]*t.Shape[b]+at[b], *t.At(at[0], at[1], at[2]))
			}
		}
	}
	return out
}

// fold is the inverse of unfold.
func fold(m mat.Matrix, mode int, shape [3]int) Tensor {
	a, b := others(mode)
	t := NewTensor(shape[0], shape[1], shape[2])
	var at [3]int
	for at[0] = range shape[0] {
		for at[1] = range shape[1] {
			for at[2] = range shape[2] {
				*t.At(at[0], at[1], at[2]) = m.At(at[mode], at[a]*shape[b]+at[b])
			}
		}
	}
	return t
}

// times multiplies a mode by m, [new, size of the mode].
func (t Tensor) times(m mat.Matrix, mode int) Tensor {
	var product mat.Dense
	product.Mul(m, t.unfold(mode))
	shape := t.Shape
	shape[mode], _ = m.Dims()
	return fold(&product, mode, shape)
}

// leading are the r left singular vectors of m with the greatest singular values, [rows, r], from the eigenvectors of m·mᵀ.
func leading(m *mat.Dense, r int) *mat.Dense {
	rows, _ := m.Dims()
	gram := mat.NewSymDense(rows, nil)
	gram.SymOuterK(1, m)
	var eigen mat.EigenSym
	if !eigen.Factorize(gram, true) {
		panic("compress: the eigenvectors of a symmetric matrix did not converge")
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors) // in ascending order
	out := mat.NewDense(rows, r, nil)
	for j := range r {
		column := mat.Col(nil, rows-1-j, &vectors)
		sign := 1.0 // the greatest element is positive, so that equal inputs give equal vectors
		if most := column[largest(column)]; most < 0 {
			sign = -1
		}
		for i, x := range column {
			out.Set(i, j, sign*x)
		}
	}
	return out
}

func largest(x []float64) (at int) {
	for i := range x {
		if math.Abs(x[i]) > math.Abs(x[at]) {
			at = i
		}
	}
	return at
}
