// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
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
	"metrolab/metro/recipes"
)

// small is a model that a gradient check can afford: every part of the recipe, nothing wide.
func small() metro.Model {
	c := recipes.Micro()
	c.Data.SeqLen = 6
	c.Main = metro.Encoder{Layers: 2, Width: 8, Heads: 2, FFN: 12, Activation: "gelu_tanh", Epsilon: 1e-6, Init: "fan_in"}
	c.Generator = metro.Encoder{Layers: 1, Width: 6, Heads: 3, FFN: 10, Activation: "gelu", Epsilon: 1e-5, Init: "normal"}
	c.Positions.Bins, c.Positions.MaxDistance, c.Positions.Scale = 8, 16, 3
	return metro.Model{Config: c, Vocab: 11}
}

// batch is two rows, the second padded and with an unused slot.
type batch struct {
	tokens, masked, positions [][]int32
	weights, uniforms         [][]float64
}

func smallBatch() batch {
	return batch{
		tokens:    [][]int32{{2, 5, 6, 7, 8, 3}, {2, 9, 10, 5, 3, 0}},
		masked:    [][]int32{{2, 4, 6, 4, 8, 3}, {2, 9, 4, 5, 3, 0}},
		positions: [][]int32{{1, 3}, {2, 0}},
		weights:   [][]float64{{1, 1}, {1, 0}},
		uniforms:  [][]float64{{.3, .6}, {.9, .1}},
	}
}

func (b batch) args() []any { return []any{b.tokens, b.masked, b.positions, b.weights, b.uniforms} }

// forward builds m's pass in f64 with the weights of its config.
func forward(m metro.Model, scope *model.Scope, in []*Node) metro.Output {
	scalar := func(x float64) *Node { return Scalar(in[0].Graph(), dtypes.Float64, x) }
	return m.Forward(scope,
		metro.Batch{Tokens: in[0], Masked: in[1], Positions: in[2], Weights: in[3], Uniforms: in[4]},
		metro.Scalars{
			RTDWeight: scalar(m.Config.Objective.RTDWeight), CLMWeight: scalar(m.Config.Objective.CLMWeight),
			BiasScale: scalar(m.Config.Positions.Scale),
		})
}

func float64Store(seed int64) *model.Store {
	store := model.NewStore()
	store.SetParam(layers.ParamDType, dtypes.Float64)
	store.SetParam(layers.ParamSeed, seed)
	return store
}

// shake moves every variable off its first value, so that nothing is zero by construction.
func shake(store *model.Store) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, v := range variables(store) {
		values := tensors.MustCopyFlatData[float64](v.MustValue())
		for i := range values {
			values[i] += 0.1 * rng.NormFloat64()
		}
		setValue(v, values)
	}
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

// gradients returns loss and d loss / d variable by path.
func gradients(t *testing.T, be compute.Backend, store *model.Store, m metro.Model, pick func(metro.Output) *Node) (float64, map[string][]float64) {
	t.Helper()
	var paths []string
	exec := model.MustNewExec(be, store, func(scope *model.Scope, in []*Node) []*Node {
		loss := pick(forward(m, scope, in))
		paths = nil
		var nodes []*Node
		for _, v := range variables(scope.Store()) {
			paths, nodes = append(paths, v.Path()), append(nodes, v.NodeValue(in[0].Graph()))
		}
		return append([]*Node{loss}, Gradient(loss, nodes...)...)
	})
	defer exec.Finalize()
	out := exec.MustCall(smallBatch().args()...)
	byPath := map[string][]float64{}
	for i, path := range paths {
		byPath[path] = tensors.MustCopyFlatData[float64](out[1+i])
	}
	return tensors.ToScalar[float64](out[0]), byPath
}

func makeVariables(be compute.Backend, store *model.Store, m metro.Model) {
	model.MustNewExec(be, store, func(scope *model.Scope, in []*Node) []*Node {
		return []*Node{forward(m, scope, in).Loss}
	}).MustCall(smallBatch().args()...)
}

func total(o metro.Output) *Node { return o.Loss }

// Every gradient of the whole recipe against central differences in f64. The samples do not move with the weights
// here: the steps are far smaller than the distance of any uniform to the next step of the distribution.
func TestGradientsOfTheRecipe(t *testing.T) {
	short, published := small(), small()
	published.Config.Objective.GeneratorHead, published.Config.Objective.RTDHead = metro.GeneratorHeadNorm, metro.RTDHeadLinear
	for name, m := range map[string]metro.Model{"heads of short runs": short, "published heads": published} {
		t.Run(name, func(t *testing.T) { checkGradients(t, m) })
	}
}

func checkGradients(t *testing.T, m metro.Model) {
	be := backendtest.Go(t)
	store := float64Store(3)
	makeVariables(be, store, m)
	shake(store)
	_, analytic := gradients(t, be, store, m, total)
	exec := model.MustNewExec(be, store, func(scope *model.Scope, in []*Node) []*Node {
		return []*Node{forward(m, scope, in).Loss}
	})
	rng := rand.New(rand.NewPCG(7, 8))
	for _, v := range variables(store) {
		values := tensors.MustCopyFlatData[float64](v.MustValue())
		at := func(k int, x float64) float64 {
			moved := append([]float64(nil), values...)
			moved[k] = x
			setValue(v, moved)
			return tensors.ToScalar[float64](exec.MustCall(smallBatch().args()...)[0])
		}
		const h = 1e-5
		for range min(len(values), 6) {
			k := rng.IntN(len(values))
			numeric := (at(k, values[k]+h) - at(k, values[k]-h)) / (2 * h)
			require.InDelta(t, numeric, analytic[v.Path()][k], 1e-6*max(1, math.Abs(numeric)), "%s[%d]", v.Path(), k)
		}
		setValue(v, values)
	}
}

// The relative tables of both encoders must learn on every backend: fused attention kernels can drop their gradient
// without a word.
func TestRelativePositionTablesGetGradients(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		m, store := small(), float64Store(3)
		makeVariables(be, store, m)
		shake(store)
		_, g := gradients(t, be, store, m, total)
		require.NotZero(t, norm(g["/main/relative_position_table"]))
		require.NotZero(t, norm(g["/generator/relative_position_table"]))
	})
}

// With tables of their own, nothing that the main model learns reaches the generator, exactly; with shared tables it
// reaches these and nothing else of it. What the generator learns never reaches the main model's own weights.
func TestStopGradient(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		mainLosses := func(o metro.Output) *Node { return Add(o.RTDLoss, o.CLMLoss) }
		for _, sharing := range []string{metro.SharingNone, metro.SharingTokenPosition} {
			m, store := small(), float64Store(3)
			m.Config.Sharing = sharing
			makeVariables(be, store, m)
			shake(store)
			_, fromMain := gradients(t, be, store, m, mainLosses)
			_, fromGenerator := gradients(t, be, store, m, func(o metro.Output) *Node { return o.GeneratorLoss })
			for path, g := range fromMain {
				if strings.HasPrefix(path, "/generator/") {
					require.Zero(t, norm(g), "%s moves %s", sharing, path)
				}
				if strings.HasPrefix(path, "/main/") {
					require.Zero(t, norm(fromGenerator[path]), "%s moves %s", sharing, path)
				}
			}
			require.NotZero(t, norm(fromMain["/shared/token_embedding"]))
			require.Equal(t, sharing == metro.SharingTokenPosition, norm(fromGenerator["/shared/token_embedding"]) != 0)
		}
	})
}

// What stands in the padding must not matter to any number, nor the shape of the padding to a row's real tokens.
func TestPaddingChangesNothing(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		m, store := small(), float64Store(3)
		exec := model.MustNewExec(be, store, func(scope *model.Scope, in []*Node) []*Node {
			o := forward(m, scope, in)
			return []*Node{o.GeneratorLoss, o.CLMLoss, Mul(o.RTDLogits, ConvertDType(o.NonPad, o.RTDLogits.DType()))}
		})
		makeVariables(be, store, m)
		shake(store)
		b := smallBatch()
		first := exec.MustCall(b.args()...)
		for _, id := range []int32{1, 4, 7} { // the generator's input at padding; padding is known by the original row
			b.masked[1][5] = id
			again := exec.MustCall(b.args()...)
			for i := range first {
				require.Equal(t, first[i].Value(), again[i].Value())
			}
		}
	})
}

// A row alone and the same row beside a padded one have the same logits.
func TestRowsDoNotSeeEachOther(t *testing.T) {
	be := backendtest.Go(t)
	m, store := small(), float64Store(3)
	makeVariables(be, store, m)
	shake(store)
	exec := model.MustNewExec(be, store, func(scope *model.Scope, in []*Node) []*Node {
		return []*Node{m.Detect(scope, in[0], Scalar(in[0].Graph(), dtypes.Float64, 3))}
	})
	both := exec.MustCall([][]int32{{2, 5, 6, 7, 8, 3}, {2, 9, 10, 5, 3, 0}})[0].Value().([][]float64)
	other := exec.MustCall([][]int32{{2, 5, 6, 7, 8, 3}, {2, 1, 1, 1, 1, 1}})[0].Value().([][]float64)
	require.InDeltaSlice(t, both[0], other[0], 1e-12)
}

// Step 0: RTD = ln 2 whatever the encoder does; tied heads over normalised states of width H and embeddings of σ give
// ln V + H·σ²/2 (the log-sum-exp of V draws from N(0, H·σ²)).
func TestLossesAtStepZero(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for _, name := range []string{"micro", "tiny"} {
			c, err := recipes.Get(name)
			require.NoError(t, err)
			const v, rows = 512, 4
			s, p := c.Data.SeqLen, c.MaskedPositions()
			rng := rand.New(rand.NewPCG(1, 2))
			tokens, masked, positions := make([]int32, rows*s), make([]int32, rows*s), make([]int32, rows*p)
			weights, noise := make([]float64, rows*p), make([]float64, rows*p)
			for i := range tokens {
				tokens[i] = 5 + rng.Int32N(v-5)
			}
			copy(masked, tokens)
			for i := range positions {
				positions[i], weights[i], noise[i] = int32(2*(i%p)+1), 1, rng.Float64()
				masked[i/p*s+int(positions[i])] = 4
			}
			m := metro.Model{Config: c, Vocab: v}
			exec := model.MustNewExec(be, float64Store(1), func(scope *model.Scope, in []*Node) []*Node {
				o := forward(m, scope, in)
				return []*Node{o.RTDLoss, o.GeneratorLoss, o.CLMLoss}
			})
			out := exec.MustCall(
				tensors.FromFlatDataAndDimensions(tokens, rows, s), tensors.FromFlatDataAndDimensions(masked, rows, s),
				tensors.FromFlatDataAndDimensions(positions, rows, p), tensors.FromFlatDataAndDimensions(weights, rows, p),
				tensors.FromFlatDataAndDimensions(noise, rows, p))
			require.InDelta(t, math.Ln2, tensors.ToScalar[float64](out[0]), 1e-12, name)
			want := math.Log(v) + float64(c.Main.Width)*0.02*0.02/2
			require.InDelta(t, want, tensors.ToScalar[float64](out[1]), 0.05, name)
			require.InDelta(t, want, tensors.ToScalar[float64](out[2]), 0.05, name)
		}
	})
}

// The same weights, batch and noise give the same numbers on every backend.
func TestBackendsAgree(t *testing.T) {
	xla, pureGo := backendtest.XLA(t), backendtest.Go(t)
	m := small()
	var losses []float64
	var all []map[string][]float64
	for _, be := range []compute.Backend{pureGo, xla} {
		store := float64Store(3)
		makeVariables(be, store, m)
		shake(store)
		loss, g := gradients(t, be, store, m, total)
		losses, all = append(losses, loss), append(all, g)
	}
	require.InDelta(t, losses[0], losses[1], 1e-9)
	for path, g := range all[0] {
		require.InDeltaSlice(t, g, all[1][path], 1e-8*max(1, norm(g)), path)
	}
}

func norm(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum)
}
