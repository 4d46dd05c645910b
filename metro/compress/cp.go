// SPDX-License-Identifier: Apache-2.0

package compress

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// CP is Σ over r of a_r ∘ b_r ∘ c_r: factors of shapes [I, R], [J, R] and [K, R] (canonical polyadic decomposition).
type CP struct{ Factors [3]*mat.Dense }

// Sweeps bounds how long [CP.Fit] goes on.
type Sweeps struct {
	Most      int     // 0 is 100
	Tolerance float64 // it ends when a sweep makes the relative error less by no more than this
}

// StartCP are factors to fit from: the leading singular vectors of each mode (HOSVD) and, where a mode has fewer than rank, cosines.
func StartCP(t Tensor, rank int) CP {
	var c CP
	for mode := range 3 {
		n := t.Shape[mode]
		c.Factors[mode] = mat.NewDense(n, rank, nil)
		vectors := leading(t.unfold(mode), min(rank, n))
		for i := range n {
			for r := range rank {
				if r < n {
					c.Factors[mode].Set(i, r, vectors.At(i, r))
				} else {
					c.Factors[mode].Set(i, r, math.Cos(1+float64(mode)+1.3*float64(i)+0.7*float64(r)))
				}
			}
		}
	}
	return c
}

// RandomCP are factors of numbers that draw gives, mode by mode and row by row: another start, as good as any, from which another
// end may be reached.
func RandomCP(shape [3]int, rank int, draw func() float64) CP {
	var c CP
	for mode, n := range shape {
		values := make([]float64, n*rank)
		for i := range values {
			values[i] = draw()
		}
		c.Factors[mode] = mat.NewDense(n, rank, values)
	}
	return c
}

// Fit is alternating least squares: each sweep replaces the factors one after the other by the best for the other two, so that the
// error never grows. It returns the relative error after each sweep.
func (c *CP) Fit(t Tensor, s Sweeps) (errors []float64) {
	if s.Most == 0 {
		s.Most = 100
	}
	var unfolded [3]*mat.Dense
	for mode := range 3 {
		unfolded[mode] = t.unfold(mode)
	}
	for range s.Most {
		for mode := range 3 {
			c.Factors[mode] = c.best(unfolded[mode], mode)
		}
		errors = append(errors, t.Error(c.Tensor()))
		if n := len(errors); n > 1 && errors[n-2]-errors[n-1] <= s.Tolerance {
			break
		}
	}
	return errors
}

// best is the factor of a mode that is best for the other two: X·(A⊙B)·((AᵀA)∘(BᵀB))⁺.
func (c *CP) best(unfolded *mat.Dense, mode int) *mat.Dense {
	a, b := others(mode)
	var product, gramA, gramB, gram, factor mat.Dense
	product.Mul(unfolded, khatriRao(c.Factors[a], c.Factors[b]))
	gramA.Mul(c.Factors[a].T(), c.Factors[a])
	gramB.Mul(c.Factors[b].T(), c.Factors[b])
	gram.MulElem(&gramA, &gramB)
	factor.Mul(&product, pseudoInverse(&gram))
	return &factor
}

// khatriRao is the matrix of the products of rows, [I·J, R].
func khatriRao(a, b *mat.Dense) *mat.Dense {
	rows, rank := a.Dims()
	columns, _ := b.Dims()
	out := mat.NewDense(rows*columns, rank, nil)
	for i := range rows {
		x := a.RawRowView(i)
		for j := range columns {
			y, product := b.RawRowView(j), out.RawRowView(i*columns+j)
			for r := range product {
				product[r] = x[r] * y[r]
			}
		}
	}
	return out
}

// pseudoInverse is Moore and Penrose's, of a symmetric matrix; singular values below 1e-13 of the largest count as 0.
func pseudoInverse(m *mat.Dense) *mat.Dense {
	var svd mat.SVD
	if !svd.Factorize(m, mat.SVDThin) {
		panic("compress: a singular value decomposition did not converge")
	}
	var u, v, out mat.Dense
	svd.UTo(&u)
	svd.VTo(&v)
	values := svd.Values(nil)
	for j, s := range values {
		inverse := 0.0
		if s > 1e-13*values[0] {
			inverse = 1 / s
		}
		rows, _ := v.Dims()
		for i := range rows {
			v.Set(i, j, v.At(i, j)*inverse)
		}
	}
	out.Mul(&v, u.T())
	return &out
}

// Tensor is what the factors stand for.
func (c CP) Tensor() Tensor {
	var shape [3]int
	for mode := range 3 {
		shape[mode], _ = c.Factors[mode].Dims()
	}
	var m mat.Dense
	m.Mul(c.Factors[0], khatriRao(c.Factors[1], c.Factors[2]).T())
	return Tensor{shape, m.RawMatrix().Data} // mode 0 lies as the tensor does
}

// Parameters is how many numbers the factors are, each component with a weight of its own: R·(I+J+K)+R.
func (c CP) Parameters() int {
	_, rank := c.Factors[0].Dims()
	n := rank
	for _, f := range c.Factors {
		rows, _ := f.Dims()
		n += rank * rows
	}
	return n
}

// Widened returns the factors with one component more, a small one of cosines: a warm start for the next rank, from which the error
// cannot grow.
func (c CP) Widened() CP {
	var wide CP
	for mode, f := range c.Factors {
		rows, rank := f.Dims()
		wide.Factors[mode] = mat.NewDense(rows, rank+1, nil)
		for i := range rows {
			for r := range rank {
				wide.Factors[mode].Set(i, r, f.At(i, r))
			}
			wide.Factors[mode].Set(i, rank, math.Cos(1+float64(mode)+1.3*float64(i)+0.7*float64(rank)))
		}
	}
	return wide
}
