// SPDX-License-Identifier: Apache-2.0

package grow_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/layers"
	"metrolab/metro"
	"metrolab/metro/grow"
	"metrolab/metro/recipes"
	"metrolab/metro/weights"
)

const vocab = 23

// memory is a source of random weights.
type memory struct {
	model  metro.Model
	values map[string][]float32
	list   []weights.Tensor
}

func (m *memory) String() string            { return "memory" }
func (m *memory) Model() metro.Model        { return m.model }
func (m *memory) Tensors() []weights.Tensor { return m.list }
func (m *memory) Close() error              { return nil }
func (m *memory) Read(name string, dst []float32) error {
	if len(m.values[name]) != len(dst) {
		return fmt.Errorf("no tensor %s of %d", name, len(dst))
	}
	copy(dst, m.values[name])
	return nil
}

// config is a small model with every part of the recipe, and the assignments made.
func config(t testing.TB, assignments ...string) metro.Config {
	t.Helper()
	c := recipes.Micro()
	c.Data.SeqLen = 8
	c.Main.Layers, c.Main.Width, c.Main.Heads, c.Main.FFN = 2, 8, 2, 12
	c.Generator = c.Main
	c.Generator.Layers = 1
	for _, a := range assignments {
		require.NoError(t, c.Set(a))
	}
	require.NoError(t, c.Validate())
	return c
}

// random is a model of config c whose weights are nowhere 0 or alike.
func random(c metro.Config) *memory {
	m := &memory{metro.Model{Config: c, Vocab: vocab, Spelling: layers.Spelling{Bytes: make([][]byte, vocab), Free: []int32{0, 1, 2, 3, 4}}}, map[string][]float32{}, nil}
	for id := 5; id < vocab; id++ {
		m.model.Spelling.Bytes[id] = []byte{'a', byte('a' + id)}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, w := range metro.Describe(c, vocab) {
		values := make([]float32, w.Size())
		for i := range values {
			values[i] = float32(0.5 * rng.NormFloat64())
			if w.Kind == "gain" {
				values[i]++
			}
		}
		m.values[w.Tensor()] = values
		m.list = append(m.list, weights.Tensor{Name: w.Tensor(), Shape: w.Shape})
	}
	return m
}

// outputs are what a model says of rows: states, logits of its heads, the generator's.
type outputs map[string][]float64

// run computes the answers of the model that src holds, in float64, and the gradients of all its weights of their sum, in
// squares.
func run(t testing.TB, be compute.Backend, src weights.Source) (outputs, map[string][]float64) {
	t.Helper()
	m := src.Model()
	store := model.NewStore()
	store.SetParam(layers.ParamDType, dtypes.Float64)
	inv := metro.Describe(m.Config, m.Vocab)
	inv.Fill(store)
	for _, w := range inv {
		require.NoError(t, store.GetVariable(w.Path()).SetValue(tensors.FromFlatDataAndDimensions(wide(t, src, w), w.Shape...)))
	}
	rows := [][]int32{{2, 5, 6, 7, 8, 9, 10, 3}, {2, 9, 10, 5, 6, 3, 0, 0}}
	names := []string{"states", "rtd", "clm", "generator"}
	exec := model.MustNewExec(be, store, func(scope *model.Scope, ids *Node) []*Node {
		g := ids.Graph()
		scale := Scalar(g, dtypes.Float64, m.Config.Positions.Scale)
		nonPad := NotEqual(ids, ScalarZero(g, dtypes.Int32))
		states := m.MainStates(scope, ids, nonPad, scale, nil)
		generated := m.GeneratorLayers(scope, ids, nonPad, scale, nil)
		outputs := []*Node{
			states, m.RTDHead(scope, states), m.CLMHead(scope, states), m.GeneratorHead(scope, generated[len(generated)-1]),
		}
		for i, x := range outputs { // what is said of padding is nobody's concern
			real := ConvertDType(nonPad, dtypes.Float64)
			for real.Rank() < x.Rank() {
				real = ExpandAxes(real, -1)
			}
			outputs[i] = Mul(x, real)
		}
		var variables []*Node
		for _, w := range inv {
			variables = append(variables, store.GetVariable(w.Path()).NodeValue(g))
		}
		loss := Add(ReduceAllMean(Square(outputs[2])), Add(ReduceAllMean(Square(outputs[1])), ReduceAllMean(Square(outputs[3]))))
		outputs = append(outputs, Gradient(loss, variables...)...)
		return append(outputs, Neg(loss)) // pure Go wants a newest node among the outputs
	})
	defer exec.Finalize()
	out := exec.MustCall(rows)
	a, gradients := outputs{}, map[string][]float64{}
	for i, name := range names {
		a[name] = tensors.MustCopyFlatData[float64](out[i])
	}
	for i, w := range inv {
		gradients[w.Tensor()] = tensors.MustCopyFlatData[float64](out[len(names)+i])
	}
	return a, gradients
}

// wide reads a weight in float64, which a grown source computes in.
func wide(t testing.TB, src weights.Source, w metro.Weight) []float64 {
	t.Helper()
	if grow.IsGrown(src, w.Tensor()) {
		values, err := grow.Values(src, w.Tensor())
		require.NoError(t, err)
		return values
	}
	values := make([]float64, w.Size())
	narrow := make([]float32, w.Size())
	if err := src.Read(w.Tensor(), narrow); err != nil {
		require.Contains(t, w.Part, "transform") // heads that this config does without
		return values
	}
	for i, x := range narrow {
		values[i] = float64(x)
	}
	return values
}

// far is the largest difference, where grown states are compared copy by copy.
func far(t testing.TB, small, large outputs, c []int, width int) map[string]float64 {
	t.Helper()
	most := map[string]float64{}
	for name, values := range small {
		if name == "states" {
			var repeated []float64
			for at := 0; at < len(values); at += width {
				for _, old := range c {
					repeated = append(repeated, values[at+old])
				}
			}
			values = repeated
		}
		require.Len(t, large[name], len(values), name)
		for i, x := range values {
			most[name] = max(most[name], math.Abs(x-large[name][i]))
		}
	}
	return most
}

// tiled is the even map from n coordinates to m.
func tiled(n, m int) []int {
	c := make([]int, m)
	for i := range c {
		c[i] = i % n
	}
	return c
}

// shapes are models that differ in all that growth has to know of.
var shapes = []string{
	"", "main.norm=pre generator.norm=pre", "positions.per_layer=true", "positions.relative=none", "sharing=none", "sharing=all generator.layers=2",
	"sharing=token_position_norm", "sharing=gdes", "embeddings.width=6", "objective.rtd_head=linear", "objective.generator_head=norm",
	"embeddings.token_types=2 objective.name=rtd_clm_scl", "embeddings.kind=bytes embeddings.options.byte_width=8 sharing=gdes",
	"main.layer_sharing=feed_forward", "main.layer_sharing=all main.norm=pre",
}

func TestWidthKeepsTheFunction(t *testing.T) {
	be := backendtest.Go(t)
	for _, shape := range shapes {
		small := random(config(t, strings.Fields(shape)...))
		before, _ := run(t, be, small)
		for factor := 2; factor <= 3; factor++ {
			for _, noise := range []float64{0, 0.5} {
				t.Run(fmt.Sprintf("%s/%d/%g", shape, factor, noise), func(t *testing.T) {
					set := []string{fmt.Sprint("main.width=", 8*factor)}
					if strings.Contains(shape, "embeddings.width") {
						set = append(set, fmt.Sprint("embeddings.width=", 6*factor))
					}
					to, err := grow.Target(small.model.Config, set...)
					require.NoError(t, err)
					require.Equal(t, 2*factor, to.Main.Heads)
					large, err := grow.Grow(small, to, grow.Options{Noise: noise, Seed: 4})
					require.NoError(t, err)
					after, _ := run(t, be, large)
					for name, d := range far(t, before, after, tiled(8, 8*factor), 8) {
						require.LessOrEqual(t, d, 1e-12, name)
					}
				})
			}
		}
	}
}

func TestKeptGenerator(t *testing.T) {
	be := backendtest.Go(t)
	small := random(config(t))
	before, _ := run(t, be, small)
	to, err := grow.Target(small.model.Config, "main.width=16", "generator.width=8")
	require.NoError(t, err)
	require.Equal(t, 2, to.Generator.Heads)
	large, err := grow.Grow(small, to, grow.Options{})
	require.NoError(t, err)
	after, _ := run(t, be, large)
	for name, d := range far(t, before, after, tiled(8, 16), 8) {
		require.LessOrEqual(t, d, 1e-12, name)
	}
}

// A table that keeps its width needs a map to the wider main model, which is new.
func TestKeptTables(t *testing.T) {
	be := backendtest.Go(t)
	small := random(config(t))
	before, _ := run(t, be, small)
	to, err := grow.Target(small.model.Config, "main.width=16", "embeddings.width=8", "generator.width=8")
	require.NoError(t, err)
	require.Zero(t, to.Embeddings.OutputScale)
	large, err := grow.Grow(small, to, grow.Options{})
	require.NoError(t, err)
	after, _ := run(t, be, large)
	for name, d := range far(t, before, after, tiled(8, 16), 8) {
		require.LessOrEqual(t, d, 1e-12, name)
	}
}

func TestGrowingOnceIsTheIdentity(t *testing.T) {
	for _, shape := range shapes {
		small := random(config(t, strings.Fields(shape)...))
		to, err := grow.Target(small.model.Config)
		require.NoError(t, err)
		same, err := grow.Grow(small, to, grow.Options{Noise: 0.5})
		require.NoError(t, err)
		requireEqual(t, small, same)
	}
}

func TestGrowingTwiceIsGrowingFourfold(t *testing.T) {
	small := random(config(t))
	twofold := func(src weights.Source, width int) weights.Source {
		to, err := grow.Target(src.Model().Config, fmt.Sprint("main.width=", width))
		require.NoError(t, err)
		large, err := grow.Grow(src, to, grow.Options{})
		require.NoError(t, err)
		return large
	}
	requireEqual(t, twofold(small, 32), twofold(twofold(small, 16), 32))
	require.Equal(t, 0.25, twofold(small, 32).Model().Config.Embeddings.OutputScale)
}

// requireEqual compares two sources bit by bit.
func requireEqual(t *testing.T, want, got weights.Source) {
	t.Helper()
	require.Equal(t, want.Tensors(), got.Tensors())
	for _, tensor := range want.Tensors() {
		a, b := make([]float32, tensor.Size()), make([]float32, tensor.Size())
		require.NoError(t, want.Read(tensor.Name, a))
		require.NoError(t, got.Read(tensor.Name, b))
		require.Equal(t, a, b, tensor.Name)
	}
}

// The gradient of a grown weight is the old one's, divided by the copies of what it writes.
func TestGradientsAreDividedAmongCopies(t *testing.T) {
	be := backendtest.Go(t)
	for _, shape := range []string{"", "embeddings.width=6", "main.norm=pre generator.norm=pre sharing=none"} {
		small := random(config(t, strings.Fields(shape)...))
		_, before := run(t, be, small)
		set := []string{"main.width=16"}
		if strings.Contains(shape, "embeddings.width") {
			set = append(set, "embeddings.width=12")
		}
		to, err := grow.Target(small.model.Config, set...)
		require.NoError(t, err)
		large, err := grow.Grow(small, to, grow.Options{})
		require.NoError(t, err)
		_, after := run(t, be, large)
		for _, tensor := range large.Tensors() {
			var old []float32
			for _, x := range before[grow.Old(large, tensor.Name)] {
				old = append(old, float32(x))
			}
			for i, x := range grow.GrownGradient(large, tensor.Name, old) {
				require.InDelta(t, x, after[tensor.Name][i], 1e-6*(1+math.Abs(float64(x))), tensor.Name)
			}
		}
	}
}

// Under pre-LN, new layers that add nothing keep the function; repeated ones do not.
func TestDepth(t *testing.T) {
	be := backendtest.Go(t)
	for _, c := range []struct {
		norm, depth string
		keeps       bool
	}{{"pre", grow.DepthZero, true}, {"pre", grow.DepthStack, false}, {"post", grow.DepthStack, false}, {"post", grow.DepthInterpolate, false}} {
		small := random(config(t, "main.norm="+c.norm, "generator.norm="+c.norm))
		before, _ := run(t, be, small)
		to, err := grow.Target(small.model.Config, "main.layers=4", "main.width=16", "generator.layers=2")
		require.NoError(t, err)
		large, err := grow.Grow(small, to, grow.Options{Depth: c.depth})
		require.NoError(t, err)
		after, _ := run(t, be, large)
		for name, d := range far(t, before, after, tiled(8, 16), 8) {
			if c.keeps {
				require.LessOrEqual(t, d, 1e-12, name)
			} else {
				require.Greater(t, d, 1e-3, name)
			}
		}
		require.Equal(t, c.keeps, len(grow.Notes(small.model.Config, to, grow.Options{Depth: c.depth})) == 0)
	}
}

func TestDepthRepeatsLayers(t *testing.T) {
	small := random(config(t))
	for depth, order := range map[string][]int{grow.DepthStack: {0, 1, 0, 1}, grow.DepthInterpolate: {0, 0, 1, 1}} {
		to, err := grow.Target(small.model.Config, "main.layers=4")
		require.NoError(t, err)
		large, err := grow.Grow(small, to, grow.Options{Depth: depth})
		require.NoError(t, err)
		for i, old := range order {
			values := make([]float32, 64)
			require.NoError(t, large.Read(fmt.Sprintf("main.layer_%d.attention.query.weights", i), values))
			require.Equal(t, small.values[fmt.Sprintf("main.layer_%d.attention.query.weights", old)], values, depth)
		}
	}
}

// Copies come from the layer above, and in the last layer, above which there is none, from itself.
func TestAKI(t *testing.T) {
	small := random(config(t))
	to, err := grow.Target(small.model.Config, "main.width=16")
	require.NoError(t, err)
	large, err := grow.Grow(small, to, grow.Options{Width: grow.WidthAKI})
	require.NoError(t, err)
	for layer, above := range []int{1, 1} {
		values := make([]float32, 16*16)
		require.NoError(t, large.Read(fmt.Sprintf("main.layer_%d.attention.query.weights", layer), values))
		own, higher := small.values[fmt.Sprintf("main.layer_%d.attention.query.weights", layer)], small.values[fmt.Sprintf("main.layer_%d.attention.query.weights", above)]
		for row := range 16 {
			for k := range 8 {
				require.Equal(t, own[row%8*8+k]/2, values[row*16+k])
				require.Equal(t, higher[row%8*8+k]/2, values[row*16+8+k])
			}
		}
	}
}

// Inspect runs in float32 on every backend, and finds what the growth was: its size, its rank, and whether copies can part.
func TestInspect(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		small := random(config(t))
		rows := [][]int32{{2, 5, 6, 7, 8, 9, 10, 3}, {2, 9, 10, 5, 6, 3, 0, 0}}
		inspect := func(o grow.Options, set ...string) grow.Receipt {
			to, err := grow.Target(small.model.Config, set...)
			require.NoError(t, err)
			large, err := grow.Grow(small, to, o)
			require.NoError(t, err)
			r, err := grow.Inspect(be, large, rows)
			require.NoError(t, err)
			return r
		}
		plain := inspect(grow.Options{}, "main.width=16")
		require.True(t, plain.Keeps())
		require.Len(t, plain.Outputs, 5)
		for _, o := range plain.Outputs {
			require.LessOrEqual(t, o.Largest, 1e-5*(1+o.Scale), o.Name)
		}
		require.Less(t, plain.Gradient, 1e-3)
		for _, r := range plain.Ranks {
			require.Equal(t, r.Before, r.Now, r.Tensor)
		}
		if be.Name() != "go" { // what follows is host code, and compiling takes XLA a while
			return
		}
		noisy := inspect(grow.Options{Noise: 0.2}, "main.width=16")
		for _, o := range noisy.Outputs {
			require.LessOrEqual(t, o.Largest, 1e-5*(1+o.Scale), o.Name)
		}
		require.Greater(t, noisy.Gradient, 1e-2)
		for _, r := range noisy.Ranks {
			require.Equal(t, r.Can, r.Now, r.Tensor)
		}
		uneven := inspect(grow.Options{}, "main.width=12", "main.heads=3", "generator.width=12", "generator.heads=3")
		require.False(t, uneven.Keeps())
		require.Greater(t, uneven.Outputs[0].Largest, 0.01)
		require.True(t, math.IsNaN(inspect(grow.Options{}, "main.layers=3").Gradient))
	})
}

func TestRefusals(t *testing.T) {
	for set, message := range map[string]string{
		"main.width=4 main.heads=1":                      "8 coordinates do not grow to 4",
		"main.width=16 main.heads=2":                     "set main.heads=4",
		"main.width=14 main.heads=2":                     "heads are copied whole, and main.heads=2 makes them 7 wide in the place of 4; take a width that is a multiple of 4",
		"main.layers=1":                                  "main.layers is 2 and would become 1",
		"main.activation=relu":                           "main.activation is gelu_tanh and would become relu",
		"sharing=none":                                   "sharing is token_position and would become none",
		"positions.bins=16":                              "positions",
		"embeddings.kind=table embeddings.token_types=2": "embeddings.token_types",
		"main.width=16 generator.width=16 main.ffn=6":    "12 coordinates do not grow to 6",
		"main.width=16 objective.generator_head=norm":    "objective.generator_head",
		"main.width=1000000000":                          "GB at least, for these and their gradients; this machine has",
		"main.ffn=1000000000000":                         "Grow to less",
	} {
		small := random(config(t))
		to, err := grow.Target(small.model.Config, strings.Fields(set)...)
		require.NoError(t, err, set)
		_, err = grow.Grow(small, to, grow.Options{})
		require.ErrorContains(t, err, message, set)
	}
	for set, message := range map[string]string{
		"main.layers=4":                     "main.layer_sharing=feed_forward has one layer's weights for all, so that main.layers=2 cannot become 4; grow its width",
		"main.width=16 embeddings.width=16": "aki takes copies from the layer above, and main.layer_sharing=feed_forward has none; grow by fpi",
		"main.layer_sharing=none":           "main.layer_sharing is feed_forward and would become none",
	} {
		small := random(config(t, "main.layer_sharing=feed_forward"))
		to, err := grow.Target(small.model.Config, strings.Fields(set)...)
		require.NoError(t, err, set)
		_, err = grow.Grow(small, to, grow.Options{Width: grow.WidthAKI})
		require.ErrorContains(t, err, message, set)
	}
	small := random(config(t))
	for message, o := range map[string]grow.Options{
		`not by "net2net"`:                  {Width: "net2net"},
		`not by "copy"`:                     {Depth: "copy"},
		"the noise must be in [0, 1]":       {Noise: 2},
		"needs layers that can add nothing": {Depth: grow.DepthZero},
	} {
		to, err := grow.Target(small.model.Config, "main.layers=4")
		require.NoError(t, err)
		_, err = grow.Grow(small, to, o)
		require.ErrorContains(t, err, message)
	}
}
