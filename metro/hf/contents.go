// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"metrolab/internal/safetensors"
	"metrolab/metro/weights"
)

// contents is model.safetensors as a model sees it: matrices that are stored as factors stand whole among its tensors, and the
// factors do not.
type contents struct {
	file    *safetensors.File
	tensors []safetensors.Info
	slices  map[string]stored // the matrices that are products, by their names
	factors int               // numbers of all factors
}

// stored is a matrix that is stored as factors.
type stored struct {
	info       safetensors.Info
	index      int
	transposed bool
	product    func() (*weights.Product, error) // reads the factors when first asked
}

// newContents looks for the factors of products in file, and compares their shapes. Nothing of them is read.
func newContents(file *safetensors.File, products products) (*contents, error) {
	c := &contents{file: file, slices: map[string]stored{}}
	claimed := map[string]bool{}
	var virtual []safetensors.Info
	for i, p := range products {
		shapes, err := products.shapes(i, file.Lookup)
		if err != nil {
			return nil, err
		}
		c.factors += shapes.Numbers()
		for name := range shapes.Factors {
			claimed[factorName(i, name)] = true
		}
		read := sync.OnceValues(func() (*weights.Product, error) { return readFactors(file, i, shapes) })
		for k, m := range p.Matrices {
			if _, ok := file.Lookup(m.Tensor); ok {
				return nil, fmt.Errorf("tensor %s stands in %s whole, and is a product, %s%d, by %s", m.Tensor, weightsFile, factorsScope, i, settingsFile)
			}
			info := safetensors.Info{Name: m.Tensor, DType: "F32", Shape: []int{shapes.Shape()[0], shapes.Shape()[1]}}
			if m.Transposed {
				info.Shape[0], info.Shape[1] = info.Shape[1], info.Shape[0]
			}
			virtual = append(virtual, info)
			c.slices[m.Tensor] = stored{info, k, m.Transposed, read}
		}
	}
	for _, info := range file.Tensors() {
		switch {
		case claimed[info.Name]:
		case len(products) > 0 && strings.HasPrefix(info.Name, factorsScope):
			return nil, fmt.Errorf("there is a tensor %.80s %v, a factor of no product that %s names", info.Name, info.Shape, settingsFile)
		default:
			c.tensors = append(c.tensors, info)
		}
	}
	c.tensors = append(c.tensors, virtual...)
	return c, nil
}

// readFactors reads the factors of product i, which have shapes.
func readFactors(file *safetensors.File, i int, shapes *weights.Product) (*weights.Product, error) {
	p := &weights.Product{Method: shapes.Method, Factors: map[string]weights.Factor{}}
	for name, f := range shapes.Factors {
		values := make([]float32, elements(f.Shape))
		if err := errors.Join(file.ReadFloats(factorName(i, name), values), weights.Finite(values)); err != nil {
			return nil, fmt.Errorf("tensor %s: %w", factorName(i, name), err)
		}
		for _, x := range values {
			f.Values = append(f.Values, float64(x))
		}
		p.Factors[name] = f
	}
	return p, nil
}

// Tensors lists what there is; factors are not among it.
func (c *contents) Tensors() []safetensors.Info { return c.tensors }

// Lookup finds a tensor by name.
func (c *contents) Lookup(name string) (safetensors.Info, bool) {
	if s, ok := c.slices[name]; ok {
		return s.info, true
	}
	return c.file.Lookup(name)
}

// Slice says which matrix of which product a tensor is.
func (c *contents) Slice(name string) (s weights.Slice, ok bool, err error) {
	from, ok := c.slices[name]
	if !ok {
		return s, false, nil
	}
	p, err := from.product()
	return weights.Slice{Product: p, Index: from.index, Transposed: from.transposed}, err == nil, err
}

// stored says how many matrices are stored as factors, "" for none.
func (c *contents) stored() string {
	if len(c.slices) == 0 {
		return ""
	}
	n := 0
	for _, s := range c.slices {
		n += elements(s.info.Shape)
	}
	return fmt.Sprintf("matrices that are stored as factors, and multiplied when they are read: %d (%d numbers in place of %d)", len(c.slices), c.factors, n)
}

// floats are the elements of a tensor in passing, as of [safetensors.Floats].
type floats interface {
	Read(dst []float32) error
	ReadTransposed(dst []float32, rows, columns int) error
}

// Floats gives the elements of a tensor, of one that is a product all at once.
func (c *contents) Floats(name string) (floats, error) {
	s, ok, err := c.Slice(name)
	if err != nil {
		return nil, err
	}
	if !ok {
		return c.file.Floats(name)
	}
	values := make([]float32, elements(c.slices[name].info.Shape))
	return &multiplied{values}, s.Read(values)
}

// Close closes the file.
func (c *contents) Close() error { return c.file.Close() }

// multiplied are the elements of a matrix that was a product.
type multiplied struct{ left []float32 }

// Read implements floats.
func (m *multiplied) Read(dst []float32) error {
	m.left = m.left[copy(dst, m.left):]
	return nil
}

// ReadTransposed implements floats.
func (m *multiplied) ReadTransposed(dst []float32, rows, columns int) error {
	for i := range dst {
		dst[i] = m.left[i%rows*columns+i/rows]
	}
	m.left = m.left[len(dst):]
	return nil
}
