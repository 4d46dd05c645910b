// SPDX-License-Identifier: Apache-2.0

package grow

import (
	"fmt"
	"math"

	"github.com/gomlx/compute"
	"gonum.org/v1/gonum/mat"

	"metrolab/metro"
	"metrolab/metro/outputs"
	"metrolab/metro/weights"
)

// Receipt says what a growth has done, measured on rows of tokens.
type Receipt struct {
	Outputs []outputs.Difference // of what both models answer

	// Gradient is how far, at most, the gradient of a grown weight is from what it would be if copies were copies: the old gradient,
	// divided among what was copied. It is in parts of the weight's largest, and NaN where layers were added or maps became experts,
	// whose gradients are those of the tokens that chose them. 0 means that copies will stay equal under any optimizer, unless dropout tells them apart.
	Gradient float64

	Ranks []Rank   // of the matrices that grew
	Notes []string // why the function is not kept, a sentence each; none where it is, to the rounding of float32
}

// Rank is the numerical rank of a matrix: how many of its singular values are above 1e-5 of the largest.
type Rank struct {
	Tensor           string
	Before, Now, Can int // Can is the most that a matrix of that shape can have
}

// Keeps reports whether no reason is known why the larger model should answer otherwise than the smaller.
func (r Receipt) Keeps() bool { return len(r.Notes) == 0 }

// Notes says why a model of config from that grows to one of config to so does not keep its function, a sentence each.
func Notes(from, to metro.Config, o Options) (notes []string) {
	o, _ = o.filled()
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	uneven := func(path string, old, now int) {
		if old > 0 && now%old != 0 {
			add("%s=%d is %.3g times %d: some coordinates are copied more often than others, which layer normalisation notices", path, now, float64(now)/float64(old), old)
		}
	}
	uneven("main.width", from.Main.Width, to.Main.Width)
	uneven("generator.width", from.Generator.Width, to.Generator.Width)
	if from.Embeddings.Width > 0 {
		uneven("embeddings.width", from.EmbeddingWidth(), to.EmbeddingWidth())
	}
	if scale := scaleOf(from, to); to.Idle("embeddings.output_scale") == "" && to.Embeddings.OutputScale != scale {
		add("embeddings.output_scale is %g, and heads that are tied to the token table say what they said at %g", to.Embeddings.OutputScale, scale)
	}
	wider := from.Main.Width != to.Main.Width || from.Generator.Width != to.Generator.Width
	if wider && o.Width == WidthAKI {
		add("copies are taken from the layer above (%s), which gives the function up", WidthAKI)
	}
	if (from.Main.Layers != to.Main.Layers || from.Generator.Layers != to.Generator.Layers) && o.Depth != DepthZero {
		add("layers are repeated (%s), and a layer does not do nothing where it stands twice", o.Depth)
	}
	for _, reader := range []metro.Owner{metro.OwnerMain, metro.OwnerGenerator} {
		notes = append(notes, expertsNotes(from, to, reader)...)
	}
	if o.RestartGenerator {
		add("the generator starts anew")
	}
	return notes
}

// Inexact are those of [Notes] that no option asks for: what sizes alone do, whatever o is otherwise.
func Inexact(from, to metro.Config) []string {
	to.Main.Layers, to.Generator.Layers = from.Main.Layers, from.Generator.Layers
	to.Main.FeedForward, to.Generator.FeedForward = from.Main.FeedForward, from.Generator.FeedForward
	return Notes(from, to, Options{})
}

// Inspect runs a model and what it has grown to, made by [Grow], on rows of equally many ids, and compares them. Rows are no
// longer than the model's; the padding is its PadID.
func Inspect(be compute.Backend, large weights.Source, rows [][]int32) (Receipt, error) {
	g, ok := large.(*grown)
	if !ok {
		return Receipt{}, fmt.Errorf("inspect %s: it is not what Grow has made", large)
	}
	before, err := outputs.Of(be, g.Source, rows)
	if err != nil {
		return Receipt{}, err
	}
	after, err := outputs.Of(be, g, rows)
	if err != nil {
		return Receipt{}, err
	}
	r := Receipt{Notes: Notes(g.Source.Model().Config, g.model.Config, g.options)}
	for _, name := range before.Names {
		r.Outputs = append(r.Outputs, g.compare(name, before.Values[name], after.Values[name]))
	}
	for _, d := range r.Outputs {
		if len(r.Notes) == 0 && d.Largest > unexplained*d.Scale {
			r.Notes = append(r.Notes, fmt.Sprintf("the %s differ by %.2g, for which no reason is known; please report this", d.Name, d.Largest))
		}
	}
	r.Gradient = g.gradients(before.Gradients, after.Gradients)
	r.Ranks, err = g.ranks()
	return r, err
}

// unexplained is the largest difference that rounding can be blamed for, in parts of the largest value: products in TF32 have some 1e-3.
const unexplained = 1e-2

// compare finds the largest difference; states are compared copy by copy.
func (g *grown) compare(name string, before, after []float32) outputs.Difference {
	if name == outputs.States {
		a := g.axes[metro.OwnerMain]
		var copied []float32
		for at := 0; at < len(before); at += a.old[state] {
			for _, old := range a.copies[state] {
				copied = append(copied, before[at+old])
			}
		}
		before = copied
	}
	return outputs.Compare(name, before, after)
}

// gradients returns [Receipt.Gradient].
func (g *grown) gradients(before, after map[string][]float32) float64 {
	for _, reader := range []metro.Owner{metro.OwnerMain, metro.OwnerGenerator} {
		if old, now := g.depths(reader); old != now {
			return math.NaN()
		}
		if _, ok := upcycles(g.Source.Model().Config, g.model.Config, reader); ok {
			return math.NaN()
		}
	}
	all := 0.0
	for _, gradient := range before {
		all = max(all, largest(gradient))
	}
	most := 0.0
	for name, w := range g.wanted {
		old, ok := g.places[readerOf(w)][w.Place]
		if !ok || len(before[old.Tensor()]) == 0 {
			continue
		}
		want := g.gradient(w, before[old.Tensor()])
		scale := max(largest(want), 1e-4*all) // a key's bias has no gradient: what is there is rounding
		for i, x := range want {
			most = max(most, math.Abs(float64(x)-float64(after[name][i]))/scale)
		}
	}
	return most
}

// gradient is the old gradient of what w grew from, divided among the copies that w's columns are.
func (g *grown) gradient(w metro.Weight, old []float32) []float32 { return g.parts(w, old, old, 1) }

func largest(values []float32) (most float64) {
	for _, x := range values {
		most = max(most, math.Abs(float64(x)))
	}
	return most
}

// maxRankSide is the shorter side of the largest matrix whose singular values are computed: seconds each.
const maxRankSide = 1024

// ranks are those of the matrices that grew.
func (g *grown) ranks() (list []Rank, err error) {
	for _, t := range g.list {
		w, _ := g.one(g.wanted[t.Name])
		at := g.origin(w)
		old, ok := g.places[readerOf(w)][at]
		if w.Kind != "weights" || !ok || isMapOfTables(w) || min(w.Shape[0], w.Shape[1]) > maxRankSide || min(w.Shape[0], w.Shape[1]) == 1 ||
			old.Shape[0] == w.Shape[0] && old.Shape[1] == w.Shape[1] {
			continue
		}
		now, err := g.oneOf(w)
		if err != nil {
			return nil, err
		}
		before, err := g.old(w, at)
		if err != nil {
			return nil, err
		}
		list = append(list, Rank{t.Name, rank(before, old.Shape), rank(now, w.Shape), min(w.Shape[0], w.Shape[1])})
	}
	return list, nil
}

// rank counts the singular values above 1e-5 of the largest.
func rank(values []float64, shape []int) (n int) {
	var svd mat.SVD
	if !svd.Factorize(mat.NewDense(shape[0], shape[1], values), mat.SVDNone) {
		return 0
	}
	singular := svd.Values(nil)
	for _, s := range singular {
		if s > 1e-5*singular[0] {
			n++
		}
	}
	return n
}
