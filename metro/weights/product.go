// SPDX-License-Identifier: Apache-2.0

package weights

import (
	"fmt"
	"maps"
	"slices"
)

// Values of [Product.Method]: what stands between the rows and the columns of matrix k.
const (
	ProductSVD    = "svd"    // nothing; there is one matrix
	ProductCP     = "cp"     // a diagonal, core[r]·slices[k, r]
	ProductTucker = "tucker" // a matrix, Σ over s of core[a, b, s]·slices[k, s]
)

// The factors of a [Product], by their names.
const (
	FactorRows    = "rows"    // [I, R₀]
	FactorColumns = "columns" // [J, R₁]
	FactorSlices  = "slices"  // [K, R₂]; not of svd
	FactorCore    = "core"    // [R₀, R₁, R₂], of cp its diagonal, [R]; not of svd
)

// FactorNames lists the factors that a method has, in a fixed order; it is nil for a method that is not known.
func FactorNames(method string) []string {
	switch method {
	case ProductSVD:
		return []string{FactorRows, FactorColumns}
	case ProductCP, ProductTucker:
		return []string{FactorRows, FactorColumns, FactorSlices, FactorCore}
	}
	return nil
}

// Factor is an array of numbers.
type Factor struct {
	Shape  []int
	Values []float64 // row-major, float32 where they were stored; nil where only shapes are asked for
}

// Product is K matrices of one shape, [I, J], as the factors that they are products of. Rows and columns are common to all of them.
type Product struct {
	Method  string
	Factors map[string]Factor // by [FactorNames]
}

// Shape is [I, J, K].
func (p *Product) Shape() [3]int {
	shape := [3]int{p.Factors[FactorRows].Shape[0], p.Factors[FactorColumns].Shape[0], 1}
	if slices, ok := p.Factors[FactorSlices]; ok {
		shape[2] = slices.Shape[0]
	}
	return shape
}

// Numbers is how many numbers the factors are.
func (p *Product) Numbers() int {
	n := 0
	for _, f := range p.Factors {
		n += Tensor{Shape: f.Shape}.Size()
	}
	return n
}

// Check is an error, in one sentence, if the factors are not those of the method, or if their shapes do not fit together.
func (p *Product) Check() error {
	names := FactorNames(p.Method)
	if names == nil {
		return fmt.Errorf("the method is %.40q; %q, %q and %q are known", p.Method, ProductCP, ProductTucker, ProductSVD)
	}
	shape := map[string][]int{}
	for _, name := range names {
		f, ok := p.Factors[name]
		if !ok {
			return fmt.Errorf("it has no %s, which %s has", name, p.Method)
		}
		axes := 2
		switch {
		case name == FactorCore && p.Method == ProductCP:
			axes = 1
		case name == FactorCore:
			axes = 3
		}
		if len(f.Shape) != axes || slices.Min(f.Shape) < 1 {
			return fmt.Errorf("%s has the shape %v, and of %s it has %d axes, none of them empty", name, f.Shape, p.Method, axes)
		}
		shape[name] = f.Shape
	}
	rows, columns, slice, core := shape[FactorRows], shape[FactorColumns], shape[FactorSlices], shape[FactorCore]
	fits := false
	switch p.Method {
	case ProductSVD:
		fits = rows[1] == columns[1]
	case ProductCP:
		fits = rows[1] == core[0] && columns[1] == core[0] && slice[1] == core[0]
	case ProductTucker:
		fits = rows[1] == core[0] && columns[1] == core[1] && slice[1] == core[2]
	}
	if !fits {
		said := fmt.Sprintf("rows %v, columns %v", rows, columns)
		if p.Method != ProductSVD {
			said += fmt.Sprintf(", slices %v, core %v", slice, core)
		}
		return fmt.Errorf("the ranks of its factors differ: %s", said)
	}
	return nil
}

// Pick is the product of some of the matrices alone, in the order given.
func (p *Product) Pick(matrices []int) *Product {
	all, ok := p.Factors[FactorSlices]
	if !ok {
		return p
	}
	rank := all.Shape[1]
	some := Factor{Shape: []int{len(matrices), rank}}
	for _, k := range matrices {
		some.Values = append(some.Values, all.Values[k*rank:(k+1)*rank]...)
	}
	picked := Product{p.Method, maps.Clone(p.Factors)}
	picked.Factors[FactorSlices] = some
	return &picked
}

// Slice is one matrix of a [Product].
type Slice struct {
	*Product
	Index      int
	Transposed bool // the tensor is [J, I]
}

// Read fills dst with the tensor, row-major: [Slice.Multiply], each element rounded to float32 once.
func (s Slice) Read(dst []float32) error {
	shape := s.Shape()
	if len(dst) != shape[0]*shape[1] {
		return fmt.Errorf("a product of %d × %d elements does not go into a buffer of %d", shape[0], shape[1], len(dst))
	}
	for i, x := range s.Multiply() {
		dst[i] = float32(x)
	}
	return nil
}

// Multiply multiplies the factors: the tensor, row-major. Sums are in a fixed order, and no step is fused with the next: the factors are
// the same weights on every machine.
func (s Slice) Multiply() []float64 {
	rows, columns := s.Shape()[0], s.Shape()[1]
	left, right := s.left(), transposed(s.Factors[FactorColumns].Values, columns)
	rank, out := len(right)/columns, make([]float64, rows*columns)
	for i := range rows {
		accumulate(out[i*columns:(i+1)*columns], left[i*rank:(i+1)*rank], right)
	}
	if s.Transposed {
		return transposed(out, rows)
	}
	return out
}

// left is what the transposed columns are multiplied by: the rows with what stands between the two, [I, R₁].
func (s Slice) left() []float64 {
	rows := s.Factors[FactorRows].Values
	if s.Method == ProductSVD {
		return rows
	}
	rows = slices.Clone(rows)
	core, all := s.Factors[FactorCore].Values, s.Factors[FactorSlices].Values
	rank := s.Factors[FactorSlices].Shape[1]
	slice := all[s.Index*rank : (s.Index+1)*rank]
	if s.Method == ProductCP {
		for i := range rows {
			rows[i] *= float64(core[i%rank] * slice[i%rank])
		}
		return rows
	}
	shape := s.Factors[FactorCore].Shape
	between := make([]float64, shape[0]*shape[1])
	for i := range between {
		for k, x := range slice {
			between[i] += float64(core[i*rank+k] * x)
		}
	}
	left := make([]float64, s.Shape()[0]*shape[1])
	for i := range s.Shape()[0] {
		accumulate(left[i*shape[1]:(i+1)*shape[1]], rows[i*shape[0]:(i+1)*shape[0]], between)
	}
	return left
}

// transposed is m, of so many rows, the other way round.
func transposed(m []float64, rows int) []float64 {
	columns, out := len(m)/rows, make([]float64, len(m))
	for i, x := range m {
		out[i%columns*rows+i/columns] = x
	}
	return out
}

// accumulate adds to dst the product of a row and a matrix, [len(row), len(dst)]. A conversion keeps a product from being fused with
// the sum.
func accumulate(dst, row, m []float64) {
	for r, x := range row {
		for j, y := range m[r*len(dst) : (r+1)*len(dst)] {
			dst[j] += float64(x * y)
		}
	}
}
