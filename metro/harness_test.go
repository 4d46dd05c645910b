// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/layers"
	"metrolab/metro"
	"metrolab/metro/recipes"
)

// small is a model that a gradient check can afford, every part of the recipe and nothing wide, with the assignments
// made.
func small(t testing.TB, assignments ...string) metro.Model {
	t.Helper()
	c := recipes.Micro()
	c.Data.SeqLen = 8
	c.Main = metro.Encoder{
		Layers: 2, Width: 8, Heads: 2, FFN: 12, FeedForward: metro.FeedForwardDense, LayerSharing: metro.LayerSharingNone, Activation: "gelu_tanh", Norm: metro.NormPost, Epsilon: 1e-6,
		Init: metro.InitFanIn, InitScale: metro.InitScaleNone,
	}
	c.Generator = metro.Encoder{
		Layers: 1, Width: 6, Heads: 3, FFN: 10, FeedForward: metro.FeedForwardDense, LayerSharing: metro.LayerSharingNone, Activation: "gelu", Norm: metro.NormPost, Epsilon: 1e-5,
		Init: metro.InitNormal, InitScale: metro.InitScaleNone,
	}
	c.Positions.Bins, c.Positions.MaxDistance, c.Positions.Scale = 8, 16, 3
	for _, a := range assignments {
		require.NoError(t, c.Set(a))
	}
	require.NoError(t, c.Validate())
	const v = 11
	m := metro.Model{Config: c, Vocab: v, LogUnigram: make([]float32, v), LogUniform: make([]float32, v)}
	for id := range v {
		if id < 5 { // special
			m.LogUnigram[id], m.LogUniform[id] = -1e9, -1e9
		} else {
			m.LogUnigram[id] = -float32(id) / 4
		}
	}
	return m
}

// batch is what a pass reads, without dropout.
type batch struct {
	tokens, masked, positions [][]int32
	weights, uniforms         [][]float64
	rows                      []float64
}

// smallBatch is two rows for [small], the second padded and with an unused slot.
func smallBatch() batch {
	return batch{
		tokens:    [][]int32{{2, 5, 6, 7, 8, 9, 10, 3}, {2, 9, 10, 5, 6, 3, 0, 0}},
		masked:    [][]int32{{2, 4, 6, 4, 8, 9, 10, 3}, {2, 9, 4, 5, 6, 3, 0, 0}},
		positions: [][]int32{{1, 3}, {2, 0}},
		weights:   [][]float64{{1, 1}, {1, 0}},
		uniforms:  [][]float64{{.3, .6}, {.9, .1}},
		rows:      []float64{.3, .7},
	}
}

func (b batch) args() []any {
	return []any{b.tokens, b.masked, b.positions, b.weights, b.uniforms, b.rows}
}

// forward builds m's pass, in the dtype of the store's variables, with the numbers of its config. An input after those of
// [batch.args] is the dropout key.
func forward(m metro.Model, scope *model.Scope, in []*Node) *metro.Pass {
	dtype := model.GetParamOr(scope, layers.ParamDType, dtypes.Float32)
	scalar := func(x float64) *Node { return Scalar(in[0].Graph(), dtype, x) }
	number := func(i int) *Node { return ConvertDType(in[i], dtype) }
	o := m.Config.Objective
	b := metro.Batch{Tokens: in[0], Masked: in[1], Positions: in[2], Weights: number(3), Uniforms: number(4), Rows: number(5)}
	if len(in) > 6 {
		b.Key = in[6]
	}
	options := map[string]*Node{}
	for _, path := range m.Config.InputOptions() {
		options[path] = scalar(m.Config.Option(path).(float64))
	}
	return m.Forward(scope, b, metro.Scalars{
		Options:         options,
		GeneratorWeight: scalar(o.GeneratorWeight), RTDWeight: scalar(o.RTDWeight), CLMWeight: scalar(o.CLMWeight), SCLWeight: scalar(o.SCLWeight),
		BiasScale: scalar(m.Config.Positions.Scale), Temperature: scalar(m.Config.Replacements.Temperature),
	})
}

func total(p *metro.Pass) *Node { return p.Loss }

// term picks the loss of one term, unweighted.
func term(name string) func(p *metro.Pass) *Node {
	return func(p *metro.Pass) *Node {
		for _, t := range p.Terms {
			if t.Name == name {
				return t.Loss
			}
		}
		panic("no term " + name)
	}
}

// weighted is the sum of terms, each times its weight.
func weighted(terms []metro.Term) *Node {
	sum := Mul(terms[0].Weight, terms[0].Loss)
	for _, t := range terms[1:] {
		sum = Add(sum, Mul(t.Weight, t.Loss))
	}
	return sum
}

// ofMain is what the main model is trained on: all terms behind the generator's.
func ofMain(p *metro.Pass) *Node { return weighted(p.Terms[1:]) }

func float64Store(seed int64) *model.Store {
	store := model.NewStore()
	store.SetParam(layers.ParamDType, dtypes.Float64)
	store.SetParam(layers.ParamSeed, seed)
	return store
}

// shaken returns a store with the variables of all models, moved off their first values, so that nothing is zero by
// construction.
func shaken(be compute.Backend, models ...metro.Model) *model.Store {
	store := fresh(be, models...)
	rng := rand.New(rand.NewPCG(5, 6))
	for _, v := range variables(store) {
		values := flat(v.MustValue())
		for i := range values {
			values[i] += 0.1 * rng.NormFloat64()
		}
		setValue(v, values)
	}
	return store
}

// fresh returns a store with the first values of the variables of all models. Nothing is run.
func fresh(be compute.Backend, models ...metro.Model) *model.Store {
	store := float64Store(3)
	g := NewGraph(be, "variables")
	defer g.Finalize()
	model.SetStore(g, store)
	var in []*Node
	for _, x := range smallBatch().args() {
		in = append(in, Const(g, x))
	}
	for _, m := range models {
		forward(m, store.RootScope(), in)
	}
	return store
}

func setValue(v *model.Variable, values []float64) {
	if err := v.SetValue(tensors.FromFlatDataAndDimensions(values, v.Shape().Dimensions...)); err != nil {
		panic(err)
	}
}

func variables(store *model.Store) (list []*model.Variable) {
	for v := range store.IterVariables() {
		list = append(list, v)
	}
	return list
}

// paths lists the variables of m, sorted.
func paths(store *model.Store) (list []string) {
	for _, v := range variables(store) {
		list = append(list, v.Path())
	}
	return list
}

// call runs one graph of m's pass on b, and, if there is one, a dropout key. build must require nothing: a test that ends
// within it would wait for its own graph for ever.
func call(be compute.Backend, store *model.Store, m metro.Model, b batch, build func(p *metro.Pass) []*Node, key ...uint64) []*tensors.Tensor {
	exec := model.MustNewExec(be, store, func(scope *model.Scope, in []*Node) []*Node {
		p := forward(m, scope, in)
		// One more, and a new one, since pure Go fails where some variable's node is newer than all outputs.
		return append(build(p), Neg(p.Loss))
	})
	defer exec.Finalize()
	args := b.args()
	if len(key) > 0 {
		args = append(args, key)
	}
	out := exec.MustCall(args...)
	return out[:len(out)-1]
}

func flat(x *tensors.Tensor) []float64 { return tensors.MustCopyFlatData[float64](x) }

func number(x *tensors.Tensor) float64 { return tensors.ToScalar[float64](x) }

// gradients returns, for each of losses, its value and its derivative by every variable, by path.
func gradients(be compute.Backend, store *model.Store, m metro.Model, losses ...func(*metro.Pass) *Node) ([]float64, []map[string][]float64) {
	all := variables(store)
	out := call(be, store, m, smallBatch(), func(p *metro.Pass) (nodes []*Node) {
		values := make([]*Node, len(all))
		for i, v := range all {
			values[i] = v.NodeValue(p.NonPad.Graph())
		}
		for _, pick := range losses {
			loss := pick(p)
			nodes = append(append(nodes, loss), Gradient(loss, values...)...)
		}
		return nodes
	})
	var values []float64
	var byPath []map[string][]float64
	for len(out) > 0 {
		values = append(values, number(out[0]))
		derivative := map[string][]float64{}
		for i, v := range all {
			derivative[v.Path()] = flat(out[1+i])
		}
		byPath = append(byPath, derivative)
		out = out[1+len(all):]
	}
	return values, byPath
}

func norm(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum)
}
