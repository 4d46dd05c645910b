// SPDX-License-Identifier: Apache-2.0

package grow

import "metrolab/metro/weights"

// Values is a tensor of a source that [Grow] has made, before it is rounded to float32.
func Values(src weights.Source, name string) ([]float64, error) { return src.(*grown).values(name) }

// IsGrown reports whether src is such a source and has the tensor.
func IsGrown(src weights.Source, name string) bool {
	g, ok := src.(*grown)
	if ok {
		_, ok = g.wanted[name]
	}
	return ok
}

// GrownGradient is what the gradient of a grown weight is, by that of what it grew from.
func GrownGradient(src weights.Source, name string, old []float32) []float32 {
	g := src.(*grown)
	return g.gradient(g.wanted[name], old)
}

// Old is the tensor that a grown one grew from.
func Old(src weights.Source, name string) string {
	g := src.(*grown)
	w := g.wanted[name]
	return g.places[readerOf(w)][w.Place].Tensor()
}
