// SPDX-License-Identifier: Apache-2.0

package grow

import (
	"fmt"
	"math"
	"slices"

	"metrolab/metro"
	"metrolab/metro/weights"
)

// Moments returns the mean of a power of the gradients of a tensor of the larger model, made by [Grow], from that of the tensor which
// it grew from in the smaller one, which read reads by its name there. The copies that a weight writes share its gradient:
//
//	m′ = copy(m) / c^power,  c the number of copies of what the weight's column writes
//
// where the function is kept and there is no noise; elsewhere these are no more than near. With power 0 it copies. It is nil for what
// grew from nothing: maps that are new, layers that add nothing yet, gates, and a generator that starts anew. It panics for experts.
func Moments(large weights.Source, tensor string, power float64, read func(tensor string, dst []float32) error) ([]float32, error) {
	g, ok := large.(*grown)
	if !ok {
		return nil, fmt.Errorf("moments of %s: it is not what Grow has made", large)
	}
	w, ok := g.wanted[tensor]
	if !ok {
		return nil, fmt.Errorf("%s has no tensor %.80s", g, tensor)
	}
	if g.isGate(w) || g.addsNothing(w) || g.options.RestartGenerator && w.Owner == metro.OwnerGenerator {
		return nil, nil
	}
	places, at := g.places[readerOf(w)], g.origin(w)
	there, ok := places[at]
	if !ok {
		return nil, nil
	}
	from := make([]float32, there.Size())
	if err := read(there.Tensor(), from); err != nil {
		return nil, err
	}
	above := from
	if next, ok := g.above(w, at); ok {
		above = make([]float32, there.Size())
		if err := read(places[next].Tensor(), above); err != nil {
			return nil, err
		}
	}
	return g.parts(w, from, above, power), nil
}

// parts copies what is known of the tensor that w grew from, or of that in the layer above where its copies are from there, and divides it
// by a power of the number of copies that w's columns are.
func (g *grown) parts(w metro.Weight, from, above []float32, power float64) []float32 {
	d, err := dimensionsOf(w)
	if err != nil {
		panic(err) // Grow has looked
	}
	a := g.axes[readerOf(w)]
	columns := along(d[len(d)-1], a, w.Shape[len(w.Shape)-1])
	into := copies{0}
	if len(d) == 2 {
		into = along(d[0], a, w.Shape[0])
	}
	width := slices.Max(columns) + 1
	counts := columns.counts(width)
	values := make([]float32, 0, w.Size())
	for _, row := range into {
		for j, column := range columns {
			x := from[row*width+column]
			if j >= width {
				x = above[row*width+column]
			}
			values = append(values, x/float32(math.Pow(float64(counts[column]), power)))
		}
	}
	return values
}
