// SPDX-License-Identifier: Apache-2.0

package grow

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"metrolab/internal/machine"
	"metrolab/internal/randstream"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/weights"
)

// Values of [Options.Width]: what the copies of a layer's coordinates are at first; see [metro.Growth].
const (
	WidthFPI = metro.WidthFPI
	WidthAKI = metro.WidthAKI
)

// Values of [Options.Depth]: which old layer a layer of a deeper model begins as; see [metro.Growth].
const (
	DepthStack       = metro.DepthStack
	DepthInterpolate = metro.DepthInterpolate
	DepthZero        = metro.DepthZero
)

// Options say how a model grows. The zero value preserves the function where that can be done at all.
type Options struct {
	Width string // WidthFPI or WidthAKI; "" is WidthFPI
	Depth string // DepthStack, DepthInterpolate or DepthZero; "" is DepthStack

	// Noise tells copies apart, in parts of the standard deviation of the weights that read them. Over the copies of one coordinate
	// it adds up to 0, so that the function stays. Without it, copies that nothing else tells apart stay equal for ever.
	Noise float64

	RestartGenerator bool  // the generator's own weights are drawn anew, those that it shares are not
	Seed             int64 // of the noise, of gates, and of a generator that starts anew
}

// filled returns o with what stands for what was left out.
func (o Options) filled() (Options, error) {
	if o.Width == "" {
		o.Width = WidthFPI
	}
	if o.Depth == "" {
		o.Depth = DepthStack
	}
	switch {
	case o.Width != WidthFPI && o.Width != WidthAKI:
		return o, usererr.New("models grow in width by %q or %q, not by %q", WidthFPI, WidthAKI, o.Width)
	case o.Depth != DepthStack && o.Depth != DepthInterpolate && o.Depth != DepthZero:
		return o, usererr.New("models grow in depth by %q, %q or %q, not by %q", DepthStack, DepthInterpolate, DepthZero, o.Depth)
	case !(o.Noise >= 0 && o.Noise <= 1):
		return o, usererr.New("the noise must be in [0, 1], in parts of the weights' standard deviation; it is %g", o.Noise)
	}
	return o, nil
}

// Sizes are the fields of a config that growing changes. Dense feed-forward maps become experts by two more, and their options.
var Sizes = []string{
	"main.width", "main.heads", "main.ffn", "main.layers", "generator.width", "generator.heads", "generator.ffn", "generator.layers",
	"embeddings.width", "embeddings.output_scale", "main.feed_forward", "generator.feed_forward",
}

// Changes reports whether growing may change the field at path.
func Changes(path string) bool {
	field, _, _ := strings.Cut(path, "_options.")
	return slices.Contains(Sizes, field)
}

// Target returns the config that from grows to: from with assignments made. The models keep the size of their heads, and what
// nobody sets follows: heads and inner widths grow with the width, the generator with the main model, and the logits of tied heads
// are scaled back (embeddings.output_scale).
func Target(from metro.Config, assignments ...string) (metro.Config, error) {
	to := from
	set := map[string]bool{}
	for _, a := range assignments {
		path, _, _ := strings.Cut(a, "=")
		set[strings.TrimSpace(path)] = true
	}
	if err := to.SetAll(assignments...); err != nil {
		return to, err
	}
	if !set["generator.width"] && to.Generator.Width > 0 && to.Main.Width%from.Main.Width == 0 {
		to.Generator.Width *= to.Main.Width / from.Main.Width
	}
	follow := func(prefix string, old metro.Encoder, e *metro.Encoder) {
		if old.Width == 0 {
			return
		}
		if !set[prefix+".heads"] && e.Width*old.Heads%old.Width == 0 {
			e.Heads = e.Width * old.Heads / old.Width
		}
		if !set[prefix+".ffn"] && e.FFN == old.FFN {
			e.FFN = max(old.FFN, e.FFN*e.Width/old.Width)
		}
	}
	follow("main", from.Main, &to.Main)
	follow("generator", from.Generator, &to.Generator)
	if !set["embeddings.output_scale"] {
		to.Embeddings.OutputScale = scaleOf(from, to)
	}
	return to, to.Validate()
}

// scaleOf is the scale at which the tied heads of a model of config to say what those of from said: a table that holds every
// coordinate twice has products that are twice as large.
func scaleOf(from, to metro.Config) float64 {
	old, now := from.EmbeddingWidth(), to.EmbeddingWidth()
	if old == now {
		return from.Embeddings.OutputScale
	}
	scale := cmp.Or(from.Embeddings.OutputScale, 1) * float64(old) / float64(now)
	if scale == 1 {
		return 0
	}
	return scale
}

// grown is a source of the weights of a larger model.
type grown struct {
	weights.Source // the smaller one's
	model          metro.Model
	options        Options
	wanted         map[string]metro.Weight // by tensor
	list           []weights.Tensor
	places         map[metro.Owner]map[metro.Place]metro.Weight // the smaller model's
	shapes         map[string][]int
	axes           map[metro.Owner]axes
}

// Grow returns the weights of src, grown to a model of config to (see [Target]). What the function of the larger model has to do
// with that of the smaller one, [Inspect] says. Configs that differ in more than widths, heads, inner widths and layers, sizes
// that do not grow, and parts from elsewhere are the user's error. Closing the result closes src.
func Grow(src weights.Source, to metro.Config, o Options) (weights.Source, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	m := src.Model()
	if err := mismatch(m.Config, to, o); err != nil {
		return nil, usererr.New("%s cannot grow so: %w", src, err)
	}
	if err := fits(to, m.Vocab, machine.MemoryLimit()); err != nil {
		return nil, err
	}
	g := &grown{
		Source: src, model: m, options: o, wanted: map[string]metro.Weight{}, shapes: weights.Shapes(src),
		places: map[metro.Owner]map[metro.Place]metro.Weight{}, axes: map[metro.Owner]axes{},
	}
	g.model.Config = to
	described := metro.Describe(m.Config, m.Vocab)
	for _, of := range []struct {
		reader   metro.Owner
		from, to metro.Encoder
	}{{metro.OwnerMain, m.Config.Main, to.Main}, {metro.OwnerGenerator, m.Config.Generator, to.Generator}} {
		if of.from.Width == 0 {
			continue
		}
		g.places[of.reader] = described.Of(of.reader).ByPlace()
		if g.axes[of.reader], err = axesOf(of.from, of.to, m.Config.EmbeddingWidth(), to.EmbeddingWidth()); err != nil {
			return nil, usererr.New("%s cannot grow so: the %s model's %w", src, of.reader, err)
		}
	}
	for _, w := range metro.Describe(to, m.Vocab) {
		if !g.has(w) {
			continue
		}
		if one, _ := g.one(w); !g.isGate(w) {
			if _, err := dimensionsOf(one); err != nil {
				return nil, err
			}
		}
		g.wanted[w.Tensor()] = w
		g.list = append(g.list, weights.Tensor{Name: w.Tensor(), Shape: w.Shape})
	}
	return g, nil
}

// fits is the user's error if a machine with so much memory, 0 for not known, cannot hold the weights of a model of config c and their
// gradients, which both comparing it and training it take: it would end the program.
func fits(c metro.Config, vocab int, memory uint64) error {
	const bytes, giga = 2 * 4, 1e9
	if need := bytes * c.Parameters(vocab); memory > 0 && need > float64(memory) {
		return usererr.New("a model of %.3g million weights needs %.3g GB at least, for these and their gradients; this machine has %.3g GB. Grow to less",
			c.Parameters(vocab)/1e6, need/giga, float64(memory)/giga)
	}
	return nil
}

// mismatch returns why a model of config from cannot grow to one of config to.
func mismatch(from, to metro.Config, o Options) error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	same := func(path string, a, b any) {
		if a != b {
			bad("%s is %v and would become %v, which is no growth", path, a, b)
		}
	}
	if len(from.ExitLayers()) > 0 {
		bad("RTD heads below the last layer (objective.name=%s) belong to a layer of so many, and are not grown", from.Objective.Name)
	}
	same("sharing", from.Sharing, to.Sharing)
	same("embeddings.kind", from.Embeddings.Kind, to.Embeddings.Kind)
	same("embeddings.options", from.Embeddings.Options, to.Embeddings.Options)
	same("embeddings.token_types", from.Embeddings.TokenTypes, to.Embeddings.TokenTypes)
	same("positions", from.Positions, to.Positions)
	same("objective.rtd_head", from.Objective.RTDHead, to.Objective.RTDHead)
	same("objective.generator_head", from.Objective.GeneratorHead, to.Objective.GeneratorHead)
	encoder := func(prefix string, a, b metro.Encoder) {
		if a.Width == 0 {
			return
		}
		if _, ok := from.Experts(metro.Owner(prefix)); ok {
			bad("%s.feed_forward=%s has experts, which are not grown", prefix, a.FeedForward)
			return
		}
		grows := map[string]bool{prefix + ".layers": true, prefix + ".width": true, prefix + ".heads": true, prefix + ".ffn": true}
		if _, ok := upcycles(from, to, metro.Owner(prefix)); ok {
			grows[prefix+".feed_forward"], grows[prefix+".feed_forward_options"] = true, true
		}
		there := b.Computes(prefix)
		for i, s := range a.Computes(prefix) {
			if !grows[s.Path] {
				same(s.Path, s.Value, there[i].Value)
			}
		}
		if head := a.Width / a.Heads; head != b.Width/b.Heads {
			way := fmt.Sprintf("set %s.heads=%d", prefix, b.Width/head)
			if b.Width%head != 0 {
				way = fmt.Sprintf("take a width that is a multiple of %d", head)
			}
			bad("heads are copied whole, and %s.heads=%d makes them %d wide in the place of %d; %s", prefix, b.Heads, b.Width/b.Heads, head, way)
		}
		if sharing := a.LayerSharing; shares(a) && b.Layers != a.Layers {
			bad("%s.layer_sharing=%s has one layer's weights for all, so that %s.layers=%d cannot become %d; grow its width, or from a model with %s.layer_sharing=%s", prefix, sharing,
				prefix, a.Layers, b.Layers, prefix, metro.LayerSharingNone)
		}
		if shares(a) && o.Width == WidthAKI && a.Layers > 1 {
			bad("%s takes copies from the layer above, and %s.layer_sharing=%s has none; grow by %s", WidthAKI, prefix, a.LayerSharing, WidthFPI)
		}
		if b.Layers < a.Layers {
			bad("%s.layers is %d and would become %d, which is less", prefix, a.Layers, b.Layers)
		}
		if o.Depth == DepthZero && b.Layers > a.Layers && a.Norm != metro.NormPre {
			bad("depth by %q needs layers that can add nothing, which %s.norm=%s has not; grow by %q or %q", DepthZero, prefix, a.Norm, DepthStack, DepthInterpolate)
		}
		if a.Width != from.EmbeddingWidth() && b.Width == to.EmbeddingWidth() {
			bad("the map between the tables, %d wide, and the %s model, %d wide, has no place where both are %d wide; set embeddings.width to another width",
				from.EmbeddingWidth(), prefix, a.Width, b.Width)
		}
	}
	encoder("main", from.Main, to.Main)
	encoder("generator", from.Generator, to.Generator)
	return errors.Join(problems...)
}

// shares reports whether layers of an encoder have weights in common.
func shares(e metro.Encoder) bool {
	return cmp.Or(e.LayerSharing, metro.LayerSharingNone) != metro.LayerSharingNone
}

// Idle returns the user's error for options that would do nothing between two configs, and for configs between which nothing grows.
// [Grow] takes them all the same, and is the identity where nothing grows.
func (o Options) Idle(from, to metro.Config) error {
	wider := from.Main.Width != to.Main.Width || from.Main.FFN != to.Main.FFN || from.Generator.Width != to.Generator.Width ||
		from.Generator.FFN != to.Generator.FFN || from.EmbeddingWidth() != to.EmbeddingWidth()
	deeper := from.Main.Layers != to.Main.Layers || from.Generator.Layers != to.Generator.Layers
	maps := func(e metro.Encoder) any { return [2]any{e.FeedForward, e.FeedForwardOptions} }
	experts := maps(from.Main) != maps(to.Main) || maps(from.Generator) != maps(to.Generator)
	switch {
	case !wider && !deeper && !experts && !o.RestartGenerator:
		return usererr.New("nothing grows; set one of %s to more than it is", strings.Join(Sizes, ", "))
	case o.Noise > 0 && !wider:
		return usererr.New("noise tells copies apart, and no width grows, so that there are none; leave it out")
	case o.Width == WidthAKI && !wider:
		return usererr.New("%s says where copies are from, and no width grows, so that there are none; leave it out", WidthAKI)
	case o.Depth != "" && o.Depth != DepthStack && !deeper:
		return usererr.New("depth by %q does nothing where no layers are added; leave it out", o.Depth)
	case o.Seed != 0 && o.Noise == 0 && !o.RestartGenerator && !experts:
		return usererr.New("nothing is drawn without noise, without gates and without a generator that starts anew; leave the seed out")
	}
	return nil
}

// readerOf is the model by which a weight is found in the smaller model, and by whose axes it grows.
func readerOf(w metro.Weight) metro.Owner {
	if w.ByMain {
		return metro.OwnerMain
	}
	return metro.OwnerGenerator
}

// has reports whether the smaller model has what w grows from.
func (g *grown) has(w metro.Weight) bool {
	if g.isGate(w) {
		w.Part = "ffn_in" // a gate is there with its experts
	}
	old, ok := g.places[readerOf(w)][g.origin(w)]
	if !ok {
		return isMapOfTables(w) && g.hasEncoder(readerOf(w), w.Head)
	}
	_, ok = g.shapes[old.Tensor()]
	return ok
}

// isMapOfTables reports whether w is part of a map between tables and states of another width, which a model has only there.
func isMapOfTables(w metro.Weight) bool { return strings.HasSuffix(w.Part, "projection") }

// hasEncoder reports whether src has the encoder, or its head, that a new map belongs to.
func (g *grown) hasEncoder(reader metro.Owner, head string) bool {
	for place, w := range g.places[reader] {
		if _, ok := g.shapes[w.Tensor()]; ok && place.Head == head && (head != "" || place.Layer == 0) {
			return true
		}
	}
	return false
}

// origin is the place of the smaller model that w grows from.
func (g *grown) origin(w metro.Weight) metro.Place {
	at := w.Place
	if at.Layer >= 0 {
		old, now := g.depths(readerOf(w))
		at.Layer = g.from(at.Layer, old, now)
	}
	return at
}

func (g *grown) depths(reader metro.Owner) (old, now int) {
	if reader == metro.OwnerGenerator {
		return g.Source.Model().Config.Generator.Layers, g.model.Config.Generator.Layers
	}
	return g.Source.Model().Config.Main.Layers, g.model.Config.Main.Layers
}

// from is the old layer that layer i of now layers begins as, of old.
func (g *grown) from(i, old, now int) int {
	if g.options.Depth == DepthInterpolate {
		return i * old / now
	}
	return i % old
}

// Model implements [weights.Source].
func (g *grown) Model() metro.Model { return g.model }

// Tensors implements [weights.Source].
func (g *grown) Tensors() []weights.Tensor { return g.list }

// Read implements [weights.Source].
func (g *grown) Read(name string, dst []float32) error {
	values, err := g.values(name)
	if err != nil {
		return err
	}
	if len(dst) != len(values) {
		return fmt.Errorf("%s: tensor %s has %d elements, the buffer %d", g, name, len(values), len(dst))
	}
	for i, x := range values {
		dst[i] = float32(x)
	}
	return nil
}

// values computes a tensor of the larger model.
func (g *grown) values(name string) ([]float64, error) {
	w, ok := g.wanted[name]
	if !ok {
		return nil, fmt.Errorf("%s has no tensor %.80s", g, name)
	}
	one, experts := g.one(w)
	values, err := g.oneOf(one)
	return slices.Repeat(values, experts), err
}

// oneOf computes a tensor that no experts share.
func (g *grown) oneOf(w metro.Weight) ([]float64, error) {
	stream := randstream.New(g.options.Seed, "grow"+w.Path())
	if g.isGate(w) || g.options.RestartGenerator && w.Owner == metro.OwnerGenerator {
		values := make([]float64, w.Size())
		w.Init(stream, values, w.Shape)
		return values, nil
	}
	if g.addsNothing(w) {
		return make([]float64, w.Size()), nil
	}
	at := g.origin(w)
	from, err := g.old(w, at)
	if err != nil {
		return nil, err
	}
	above := from
	if next, ok := g.above(w, at); ok {
		if above, err = g.old(w, next); err != nil {
			return nil, err
		}
	}
	d, err := dimensionsOf(w)
	if err != nil {
		return nil, err
	}
	return expand(from, above, w.Shape, d, g.axes[readerOf(w)], g.options.Noise, stream.NormFloat64), nil
}

// above is the place, in the smaller model, of what the copies of w's coordinates are if not those of w's own origin.
func (g *grown) above(w metro.Weight, at metro.Place) (metro.Place, bool) {
	old, _ := g.depths(readerOf(w))
	if g.options.Width != WidthAKI || at.Layer < 0 || at.Layer+1 >= old || !isDense(w) {
		return at, false
	}
	at.Layer++
	return at, true
}

// isDense reports whether w belongs to a dense map.
func isDense(w metro.Weight) bool { return w.Kind == "weights" || w.Kind == "bias" }

// addsNothing reports whether w ends a sub-layer of a new layer that adds nothing yet.
func (g *grown) addsNothing(w metro.Weight) bool {
	old, _ := g.depths(readerOf(w))
	return g.options.Depth == DepthZero && w.Layer >= old && (w.Part == "attention/output" || w.Part == "ffn_out")
}

// old reads the tensor at a place of the smaller model; a map that it did without is the identity.
func (g *grown) old(w metro.Weight, at metro.Place) ([]float64, error) {
	there, ok := g.places[readerOf(w)][at]
	if !ok {
		a := g.axes[readerOf(w)]
		if w.Kind != "weights" {
			return make([]float64, a.old[embedding]), nil
		}
		n := a.old[embedding]
		identity := make([]float64, n*n)
		for i := range n {
			identity[i*n+i] = 1
		}
		return identity, nil
	}
	values := make([]float32, there.Size())
	if err := g.Source.Read(there.Tensor(), values); err != nil {
		return nil, err
	}
	wide := make([]float64, len(values))
	for i, x := range values {
		wide[i] = float64(x)
	}
	return wide, nil
}

// expand copies an old tensor along its axes into one of a new shape: columns that are the first copy from it, the others from
// above, its counterpart in the layer above or the same. What sums over copies is divided by their number; noise, in parts of the
// standard deviation, is added where the copies of a coordinate are read, and adds up to 0 over them.
func expand(from, above []float64, shape []int, d []dimension, a axes, noise float64, normal func() float64) []float64 {
	columns := along(d[len(d)-1], a, shape[len(shape)-1])
	into := copies{0}
	var read []int // how often each old row is copied, where copies are summed over
	if len(d) == 2 {
		into = along(d[0], a, shape[0])
		if d[0].read {
			read = into.counts(slices.Max(into) + 1)
		}
	}
	width := slices.Max(columns) + 1 // of the old tensor
	values := make([]float64, 0, len(into)*len(columns))
	for _, row := range into {
		for j, column := range columns {
			x := from[row*width+column]
			if j >= width {
				x = above[row*width+column]
			}
			if read != nil {
				x /= float64(read[row])
			}
			values = append(values, x)
		}
	}
	if noise > 0 && read != nil {
		addCompensated(values, into, read, len(columns), noise*deviation(values), normal)
	}
	return values
}

// along is how a dimension of a weight is copied.
func along(d dimension, a axes, n int) copies {
	if c, ok := a.copies[d.axis]; ok {
		return c
	}
	return tiled(n, n)
}

// addCompensated adds noise of a size to the rows that are copies, so that over the copies of each it adds up to 0.
func addCompensated(values []float64, into copies, counts []int, columns int, size float64, normal func() float64) {
	sums := make([]float64, len(counts)*columns)
	noise := make([]float64, len(values))
	for i, row := range into {
		for j := range columns {
			if counts[row] > 1 {
				noise[i*columns+j] = size * normal()
				sums[row*columns+j] += noise[i*columns+j]
			}
		}
	}
	for i, row := range into {
		for j := range columns {
			values[i*columns+j] += noise[i*columns+j] - sums[row*columns+j]/float64(counts[row])
		}
	}
}

// deviation is the standard deviation.
func deviation(values []float64) float64 {
	mean, squares := 0.0, 0.0
	for _, x := range values {
		mean += x / float64(len(values))
	}
	for _, x := range values {
		squares += (x - mean) * (x - mean)
	}
	return math.Sqrt(squares / float64(len(values)))
}
