// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"fmt"
	"slices"

	"metrolab/internal/safetensors"
	"metrolab/metro"
	"metrolab/metro/tokens"
	"metrolab/metro/weights"
)

// ExportFactors is [Export] that writes the matrices that src has as factors (see [weights.Factored]) as these, each factor once, in
// the place of the matrices, in float32: model.safetensors is smaller by as much. A folder in which there are some is of model_type "metro",
// because no other program would multiply them. A product of which so few matrices are left that its factors would be no fewer
// numbers is written whole.
func ExportFactors(dir string, t tokens.Tokenizer, src weights.Source) (notes []string, err error) {
	found := map[string]weights.Slice{}
	for _, tensor := range src.Tensors() {
		s, ok, err := weights.SliceOf(src, tensor.Name)
		if err != nil {
			return nil, err
		}
		if ok {
			found[tensor.Name] = s
		}
	}
	return export(dir, t, src, found, full)
}

// factored is a product on its way into a folder.
type factored struct {
	*weights.Product
	tensors []string // ours, in the order of its slices
	slices  []weights.Slice
}

// findProducts finds those weights of the model that are to be written as factors. Weights that are sums are written whole.
func (l *exportedModel) findProducts(c metro.Config, vocab int, slicesOf map[string]weights.Slice) {
	inv := metro.Describe(c, vocab)
	var found []factored
	for _, w := range weightsOf(c, vocab, l.role, l.heads) {
		s, ok := slicesOf[w.Tensor()]
		if _, sum := inv.DifferenceOf(w); !ok || sum && l.role == mainRole {
			continue
		}
		at := slices.IndexFunc(found, func(f factored) bool { return f.Product == s.Product })
		if at < 0 {
			at = len(found)
			found = append(found, factored{Product: s.Product})
		}
		found[at].tensors, found[at].slices = append(found[at].tensors, w.Tensor()), append(found[at].slices, s)
	}
	matrices := 0
	for _, f := range found {
		if f = f.picked(); f.Numbers() < len(f.slices)*f.Shape()[0]*f.Shape()[1] {
			l.products = append(l.products, f)
			matrices += len(f.slices)
		}
	}
	if matrices > 0 {
		l.reasons = append(l.reasons, fmt.Sprintf("matrices as factors (%d)", matrices))
	}
}

// picked is f without the slices of matrices that are not in it.
func (f factored) picked() factored {
	var matrices []int
	for _, s := range f.slices {
		matrices = append(matrices, s.Index)
	}
	f.Product = f.Pick(matrices)
	return f
}

// factor notes which tensors of the folder are written as factors.
func (o *outgoing) factor(list []factored) {
	o.products = list
	ours := map[string]joint{}
	for _, j := range o.joints {
		ours[j.ours] = j
	}
	for _, f := range list {
		said := product{Method: f.Method}
		for i, name := range f.tensors {
			j := ours[name]
			said.Matrices = append(said.Matrices, matrix{j.theirs, f.slices[i].Transposed != j.transposed})
		}
		o.settings.Metrolab.Products = append(o.settings.Metrolab.Products, said)
	}
}

// whole are the tensors that are written themselves.
func (o *outgoing) whole() []joint {
	return slices.DeleteFunc(slices.Clone(o.joints), func(j joint) bool {
		return slices.ContainsFunc(o.products, func(f factored) bool { return slices.Contains(f.tensors, j.ours) })
	})
}

// factors are the tensors that are written in the place of the rest, and their numbers.
func (o *outgoing) factors() (infos []safetensors.Info, values map[string][]float64) {
	values = map[string][]float64{}
	for i, f := range o.products {
		for _, name := range weights.FactorNames(f.Method) {
			one := f.Factors[name]
			infos = append(infos, safetensors.Info{Name: factorName(i, name), DType: "F32", Shape: one.Shape})
			values[factorName(i, name)] = one.Values
		}
	}
	return infos, values
}
