// SPDX-License-Identifier: Apache-2.0

package compress

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"metrolab/internal/randstream"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/weights"
)

// Values of [Options.Method].
const (
	MethodCP     = weights.ProductCP     // [CP] of the stack, by alternating least squares
	MethodTucker = weights.ProductTucker // [Tucker] of the stack, all of its slices kept
	MethodSVD    = weights.ProductSVD    // each matrix by itself: what a stack has to be better than
	MethodNoise  = "noise"               // noise as large as what cp leaves out: what any compression has to be better than
)

// Values of [Options.Target].
const (
	TargetFeedForward = "feed_forward" // W_in and W_outᵀ of a layer, H×F×2
	TargetAttention   = "attention"    // Q, K, V and O of a layer, H×H×4
	TargetEmbeddings  = "embeddings"   // the token table, V×E×1
)

// Values of [Options.Start].
const (
	StartHOSVD  = "hosvd"  // the leading singular vectors of each mode
	StartRandom = "random" // numbers between 0 and 1, as tensorly draws them
)

// Methods, Targets and Starts list what [Options] can name.
var (
	Starts  = []string{StartHOSVD, StartRandom}
	Methods = []string{MethodCP, MethodTucker, MethodSVD, MethodNoise}
	Targets = []string{TargetFeedForward, TargetAttention, TargetEmbeddings}
)

// Options say which matrices of the main model become of low rank, and how.
type Options struct {
	Method string // one of Methods
	Target string // one of Targets
	Layers string // "all", "last", "2" or "0-2", counted from 0; "" is "all". Not read for embeddings
	Across bool   // the chosen layers are one stack, in the place of one each; not for svd, which stacks nothing
	Rank   int    // components (cp), singular values (svd), sizes of the first two modes of the core (tucker)

	// Normalise divides each matrix of a stack by its norm first, so that large ones do not decide alone, and multiplies by it
	// afterwards. It is ours. For cp and tucker.
	Normalise bool

	Start string // of the factors, for cp and noise: one of Starts; "" is hosvd
	Seed  int64  // of noise and of random starts

	Factors bool // they are to be stored: there must be some, fewer numbers of them than of the matrices, and they are rounded to float32
}

// Part is what became of one stack.
type Part struct {
	Tensors []string
	Shape   [3]int
	Error   float64 // ‖T − T′‖ / ‖T‖
	Before  int     // numbers
	After   int     // numbers of the factors
}

// slice is a matrix of a stack.
type slice struct {
	weight     metro.Weight
	transposed bool
}

// stack is matrices of equal shape that are approximated together.
type stack []slice

// compressed is a source with some tensors replaced.
type compressed struct {
	weights.Source
	values map[string][]float32
	slices map[string]weights.Slice // what values are made of, where they have factors
}

// Read implements [weights.Source].
func (c *compressed) Read(name string, dst []float32) error {
	values, ok := c.values[name]
	if !ok {
		return c.Source.Read(name, dst)
	}
	if len(dst) != len(values) {
		return fmt.Errorf("%s: tensor %s has %d elements, the buffer %d", c, name, len(values), len(dst))
	}
	copy(dst, values)
	return nil
}

// Slice implements [weights.Factored]. What was not compressed is what it was in the source.
func (c *compressed) Slice(name string) (s weights.Slice, ok bool, err error) {
	if _, replaced := c.values[name]; replaced {
		s, ok = c.slices[name]
		return s, ok, nil
	}
	return weights.SliceOf(c.Source, name)
}

// Compress returns the weights of src with the chosen matrices of the main model approximated, whole again and in their shapes, and
// what became of each stack; all others are as they were to the bit. The weights are the product of the factors (see
// [weights.Slice.Read]), which are rounded to float32 under [Options.Factors]: the result is [weights.Factored]. Ranks above a mode's size, layers
// that there are not and feed-forward maps from elsewhere are the user's error. progress hears of stacks done and their number.
// Closing the result closes src.
func Compress(ctx context.Context, src weights.Source, o Options, progress func(done, total int)) (weights.Source, []Part, error) {
	stacks, err := o.stacks(src)
	if err != nil {
		return nil, nil, err
	}
	out := &compressed{src, map[string][]float32{}, map[string]weights.Slice{}}
	var parts []Part
	for i, s := range stacks {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		low, err := o.approximate(src, s)
		if err != nil {
			return nil, nil, err
		}
		maps.Copy(out.values, low.values)
		maps.Copy(out.slices, low.slices)
		parts = append(parts, low.part)
		if progress != nil {
			progress(i+1, len(stacks))
		}
	}
	return out, parts, nil
}

// stacks are the matrices that o chooses.
func (o Options) stacks(src weights.Source) (stacks []stack, err error) {
	c := src.Model().Config
	switch {
	case !slices.Contains(Methods, o.Method):
		return nil, usererr.New("the method is one of %q, not %q", Methods, o.Method)
	case !slices.Contains(Targets, o.Target):
		return nil, usererr.New("the target is one of %q, not %q", Targets, o.Target)
	case o.Rank < 1:
		return nil, usererr.New("the rank must be at least 1, it is %d", o.Rank)
	case o.Across && (o.Method == MethodSVD || o.Target == TargetEmbeddings):
		return nil, usererr.New("%s of %s has no stack to take layers into; leave across out", o.Method, o.Target)
	case o.Normalise && (o.Method == MethodSVD || o.Target == TargetEmbeddings):
		return nil, usererr.New("%s of %s takes each matrix by itself, so that dividing it by its norm does nothing; leave normalise out", o.Method, o.Target)
	case o.Target == TargetFeedForward && c.Main.FeedForward != "" && c.Main.FeedForward != metro.FeedForwardDense:
		return nil, usererr.New("main.feed_forward=%s is no dense map of two matrices", c.Main.FeedForward)
	case o.Start != "" && !slices.Contains(Starts, o.Start):
		return nil, usererr.New("the start is one of %q, not %q", Starts, o.Start)
	case o.Start != "" && o.Method != MethodCP && o.Method != MethodNoise:
		return nil, usererr.New("%s begins in one way; leave the start out", o.Method)
	case o.Seed != 0 && o.Method != MethodNoise && o.Start != StartRandom:
		return nil, usererr.New("%s draws nothing; leave the seed out", o.said())
	case o.Target == TargetEmbeddings && o.Layers != "":
		return nil, usererr.New("the embeddings are in no layer; leave the layers out")
	case o.Target == TargetEmbeddings && cmp.Or(c.Embeddings.Kind, metro.EmbedderTable) != metro.EmbedderTable:
		return nil, usererr.New("embeddings.kind=%s has no token table; the targets are %s and %s", c.Embeddings.Kind, TargetFeedForward, TargetAttention)
	case o.Factors && o.Method == MethodNoise:
		return nil, usererr.New("noise has no factors that could be stored; leave factors out")
	case o.Factors && o.Target == TargetEmbeddings && c.Sharing == metro.SharingGDES:
		return nil, usererr.New("under sharing=%s the main model's token table is a sum, which has no factors; leave factors out", c.Sharing)
	}
	places := metro.Describe(c, src.Model().Vocab).Of(metro.OwnerMain).ByPlace()
	at := func(layer int, part, kind string) slice {
		return slice{weight: places[metro.Place{Layer: layer, Part: part, Kind: kind}]}
	}
	if o.Target == TargetEmbeddings {
		return o.fitting(src, []stack{{at(-1, "token_embedding", "")}})
	}
	layers, err := o.layers(c.Main.Layers)
	if err != nil {
		return nil, err
	}
	if o.shared(c.Main) && (len(layers) > 1 || layers[0] != 0) {
		return nil, usererr.New("main.layer_sharing=%s has one %s for all layers, which counts as that of layer 0; name layer 0", c.Main.LayerSharing, o.Target)
	}
	if o.Across && len(layers) == 1 {
		return nil, usererr.New("layer %d is one, which across cannot stack with others; leave across out, or name more layers", layers[0])
	}
	for _, layer := range layers {
		var s stack
		if o.Target == TargetAttention {
			for _, part := range []string{"query", "key", "value", "output"} {
				s = append(s, at(layer, "attention/"+part, "weights"))
			}
		} else {
			out := at(layer, "ffn_out", "weights")
			out.transposed = true
			s = stack{at(layer, "ffn_in", "weights"), out}
		}
		if o.Across && len(stacks) > 0 {
			stacks[0] = append(stacks[0], s...)
		} else {
			stacks = append(stacks, s)
		}
	}
	return o.fitting(src, stacks)
}

// shared reports whether all layers of a model of more than one have what is compressed in common.
func (o Options) shared(e metro.Encoder) bool {
	return e.Layers > 1 && (e.LayerSharing == metro.LayerSharingAll || e.LayerSharing == metro.LayerSharingFeedForward && o.Target == TargetFeedForward)
}

// said is the method with its start, where it has one that could be another.
func (o Options) said() string {
	if o.Method == MethodCP {
		return o.Method + " from " + cmp.Or(o.Start, StartHOSVD)
	}
	return o.Method
}

// layers reads Layers.
func (o Options) layers(n int) ([]int, error) {
	first, last, ok := 0, n-1, true
	switch o.Layers {
	case "", "all":
	case "last":
		first = n - 1
	default:
		from, to, isRange := strings.Cut(o.Layers, "-")
		if !isRange {
			to = from
		}
		var a, b error
		first, a = strconv.Atoi(from)
		last, b = strconv.Atoi(to)
		ok = a == nil && b == nil
	}
	if !ok || first < 0 || last >= n || first > last {
		return nil, usererr.New("the layers are all, last, one such as 0, or some such as 0-%d, of the %d that there are; not %q", n-1, n, o.Layers)
	}
	var list []int
	for i := first; i <= last; i++ {
		list = append(list, i)
	}
	return list, nil
}

// fitting returns stacks if the rank fits into them, and src has them.
func (o Options) fitting(src weights.Source, stacks []stack) ([]stack, error) {
	shapes := weights.Shapes(src)
	for _, s := range stacks {
		for _, m := range s {
			shape, ok := shapes[m.weight.Tensor()]
			if !ok || len(shape) != 2 {
				return nil, usererr.New("%s has no matrix %s, which %s is made of", src, m.weight.Tensor(), o.Target)
			}
			if most := min(shape[0], shape[1]); o.Rank > most {
				return nil, usererr.New("a rank of %d is more than %s, %d × %d, can have; take %d or less", o.Rank, m.weight.Tensor(), shape[0], shape[1], most)
			}
		}
		if err := o.fewer(s); err != nil {
			return nil, err
		}
	}
	return stacks, nil
}

// approximation is what becomes of a stack, and of its matrices.
type approximation struct {
	part   Part
	values map[string][]float32     // by tensor
	slices map[string]weights.Slice // the same as factors, none of noise
}

// approximate reads a stack's matrices and approximates them.
func (o Options) approximate(src weights.Source, s stack) (a approximation, err error) {
	t, err := s.read(src)
	if err != nil {
		return a, err
	}
	p := Part{Shape: t.Shape, Before: len(t.Data)}
	for _, m := range s {
		p.Tensors = append(p.Tensors, m.weight.Tensor())
	}
	norms := make([]float64, len(s))
	for k := range norms {
		norms[k] = 1
		if o.Normalise {
			norms[k] = t.slice(k).Norm()
		}
	}
	a = approximation{p, map[string][]float32{}, map[string]weights.Slice{}}
	low, scaled, stream := NewTensor(t.Shape[0], t.Shape[1], t.Shape[2]), t.scaled(norms, false), s[0].weight.Path()
	if o.Method == MethodNoise {
		a.part.After, low = len(t.Data), o.noisy(scaled, stream).scaled(norms, true)
	} else {
		a.part.After = o.numbers(t.Shape, o.Rank)
		for k, slice := range o.factors(scaled, norms, stream) {
			for i, x := range slice.Multiply() {
				*low.At(i/t.Shape[1], i%t.Shape[1], k) = x
			}
			slice.Transposed = s[k].transposed
			a.slices[s[k].weight.Tensor()] = slice
		}
	}
	for k, m := range s {
		a.values[m.weight.Tensor()] = m.values(low, k)
	}
	a.part.Error = t.Error(low)
	return a, nil
}

// fitCP decomposes t.
func (o Options) fitCP(t Tensor, stream string) CP {
	c := StartCP(t, o.Rank)
	if o.Start == StartRandom {
		c = RandomCP(t.Shape, o.Rank, randstream.New(o.Seed, "compress/start/"+stream).Float64)
	}
	c.Fit(t, Sweeps{Tolerance: 1e-6})
	return c
}

// noisy is t with as much noise as cp leaves out.
func (o Options) noisy(t Tensor, stream string) Tensor {
	normal := randstream.New(o.Seed, "compress/"+stream).NormFloat64
	noise := NewTensor(t.Shape[0], t.Shape[1], t.Shape[2])
	for i := range noise.Data {
		noise.Data[i] = normal()
	}
	scale := t.Error(o.fitCP(t, stream).Tensor()) * t.Norm() / noise.Norm()
	for i, x := range t.Data {
		noise.Data[i] = x + scale*noise.Data[i]
	}
	return noise
}

// read reads the matrices of a stack side by side.
func (s stack) read(src weights.Source) (Tensor, error) {
	shape := s[0].weight.Shape
	t := NewTensor(shape[0], shape[1], len(s))
	for k, m := range s {
		values := make([]float32, m.weight.Size())
		if err := src.Read(m.weight.Tensor(), values); err != nil {
			return t, err
		}
		for i := range t.Shape[0] {
			for j := range t.Shape[1] {
				*t.At(i, j, k) = float64(values[m.place(t, i, j)])
			}
		}
	}
	return t, nil
}

// place is where element (i, j) of the slice is in the weight.
func (m slice) place(t Tensor, i, j int) int {
	if m.transposed {
		return j*t.Shape[0] + i
	}
	return i*t.Shape[1] + j
}

// values is slice k of t as the weight.
func (m slice) values(t Tensor, k int) []float32 {
	values := make([]float32, m.weight.Size())
	for i := range t.Shape[0] {
		for j := range t.Shape[1] {
			values[m.place(t, i, j)] = float32(*t.At(i, j, k))
		}
	}
	return values
}

// slice is t's k-th, [I, J, 1].
func (t Tensor) slice(k int) Tensor {
	out := NewTensor(t.Shape[0], t.Shape[1], 1)
	for i := range t.Shape[0] {
		for j := range t.Shape[1] {
			*out.At(i, j, 0) = *t.At(i, j, k)
		}
	}
	return out
}

// scaled divides each slice by its norm, or multiplies it back.
func (t Tensor) scaled(norms []float64, back bool) Tensor {
	out := NewTensor(t.Shape[0], t.Shape[1], t.Shape[2])
	for i, x := range t.Data {
		switch norm := norms[i%t.Shape[2]]; {
		case back:
			out.Data[i] = x * norm
		case norm > 0:
			out.Data[i] = x / norm
		}
	}
	return out
}

// Numbers is how many numbers the matrices of all parts are, and how many their factors are.
func Numbers(parts []Part) (before, after int) {
	for _, p := range parts {
		before, after = before+p.Before, after+p.After
	}
	return before, after
}

// Ratio is how many times as many numbers as the factors the matrices of all parts are.
func Ratio(parts []Part) float64 {
	before, after := Numbers(parts)
	if after == 0 {
		return math.Inf(1)
	}
	return float64(before) / float64(after)
}
