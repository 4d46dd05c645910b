// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"metrolab/internal/safetensors"
	"metrolab/internal/usererr"
	"metrolab/metro/weights"
)

// factorsScope begins the names of tensors that are factors: factor "rows" of the first product is "products.0.rows".
const factorsScope = "products."

func factorName(product int, factor string) string {
	return fmt.Sprintf("%s%d.%s", factorsScope, product, factor)
}

// product says in config.json which tensors are a product of factors, and are not in model.safetensors themselves.
type product struct {
	Method   string   `json:"method"`
	Matrices []matrix `json:"matrices"` // in the order of the slices
}

// matrix is a tensor that is a matrix of a product, or the transpose of one.
type matrix struct {
	Tensor     string `json:"tensor"`
	Transposed bool   `json:"transposed,omitempty"`
}

// products are those of a model. Unlike the rest of config.json they are read strictly: what is not known would be left out of weights.
type products []product

// UnmarshalJSON implements [json.Unmarshaler].
func (p *products) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var list []product
	if err := decoder.Decode(&list); err != nil {
		return usererr.New("metrolab.products: %w", err)
	}
	*p = list
	return nil
}

// check refuses products of no known kind, and tensors that stand in two.
func (p products) check() error {
	seen := map[string]bool{}
	for i, one := range p {
		switch {
		case weights.FactorNames(one.Method) == nil:
			return usererr.New("metrolab.products[%d].method is %.40q; %q, %q and %q are known", i, one.Method, weights.ProductCP, weights.ProductTucker, weights.ProductSVD)
		case len(one.Matrices) == 0:
			return usererr.New("metrolab.products[%d] names no tensor", i)
		}
		for _, m := range one.Matrices {
			if m.Tensor == "" || seen[m.Tensor] {
				return usererr.New("metrolab.products[%d] names the tensor %.80q, which is none or stands in two products", i, m.Tensor)
			}
			seen[m.Tensor] = true
		}
	}
	return nil
}

// maxMatrix bounds the elements of a matrix that is not stored itself, and so is not bounded by the size of its file.
const maxMatrix = 1 << 30

// shapes are the factors of product i as lookup finds them, without their numbers. They fit together.
func (p products) shapes(i int, lookup func(string) (safetensors.Info, bool)) (*weights.Product, error) {
	one := &weights.Product{Method: p[i].Method, Factors: map[string]weights.Factor{}}
	for _, name := range weights.FactorNames(one.Method) {
		info, ok := lookup(factorName(i, name))
		switch {
		case !ok:
			return nil, fmt.Errorf("there is no tensor %s, a factor of %s", factorName(i, name), p[i].Matrices[0].Tensor)
		case !safetensors.IsFloat(info.DType):
			return nil, fmt.Errorf("tensor %s is of type %s; factors are F64, F32, F16 or BF16", info.Name, info.DType)
		}
		one.Factors[name] = weights.Factor{Shape: slices.Clone(info.Shape)}
	}
	if err := one.Check(); err != nil {
		return nil, fmt.Errorf("%s%d, of which %s is a product: %w", factorsScope, i, p[i].Matrices[0].Tensor, err)
	}
	shape := one.Shape()
	switch {
	case shape[2] != len(p[i].Matrices):
		return nil, fmt.Errorf("%s%d is for %d matrices, and %s names %d", factorsScope, i, shape[2], settingsFile, len(p[i].Matrices))
	case shape[0] > maxMatrix/shape[1]:
		return nil, fmt.Errorf("%s%d is a matrix of %d × %d, and at most %d elements are read", factorsScope, i, shape[0], shape[1], maxMatrix)
	}
	return one, nil
}
