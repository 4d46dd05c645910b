// SPDX-License-Identifier: Apache-2.0

package moe_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/layers"
	"metrolab/layers/moe"
)

const width, inner = 8, 12

// ofExperts are the experts' variables, each with the experts along its first axis.
var ofExperts = []string{"/layer/ffn_in/weights", "/layer/ffn_in/bias", "/layer/ffn_out/weights", "/layer/ffn_out/bias"}

// parts is a graph of several outputs on a store of variables.
type parts = func(scope *model.Scope, in []*Node) []*Node

// mixture is a layer of the tests' width whose gate tells tokens apart from the start.
func mixture(experts, choices int, capacity float64) moe.FeedForward {
	return moe.FeedForward{
		Router: moe.Router{
			Experts: experts, Choices: choices, TrainingCapacity: capacity, EvaluationCapacity: capacity, Init: layers.InitNormal(1),
		},
		Inner: inner, Activation: layers.GELU, Init: layers.InitFanIn,
	}
}

// newStore makes variables of a dtype.
func newStore(dtype dtypes.DType) *model.Store {
	store := model.NewStore()
	store.SetParam(layers.ParamDType, dtype)
	store.SetParam(layers.ParamSeed, int64(1))
	return store
}

// normal draws [dims] from N(0, 1), in the dtype of the tests that ask for it.
func normal[T float32 | float64](seed uint64, dims ...int) *tensors.Tensor {
	rng := rand.New(rand.NewPCG(seed, 0))
	values := make([]T, shapes.Make(dtypes.Float32, dims...).Size())
	for i := range values {
		values[i] = T(rng.NormFloat64())
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

// key is an input of a training step.
func key(words ...uint64) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(words, 3) }

// run runs a graph once.
func run(t *testing.T, be compute.Backend, store *model.Store, graph parts, args ...any) []*tensors.Tensor {
	t.Helper()
	exec, err := model.NewExec(be, store, graph)
	require.NoError(t, err)
	defer exec.Finalize()
	out, err := exec.Call(args...)
	require.NoError(t, err)
	return out
}

// apply runs a layer once on its input and, in training, a key.
func apply(t *testing.T, be compute.Backend, store *model.Store, f layers.FeedForward, args ...any) *tensors.Tensor {
	t.Helper()
	return run(t, be, store, func(scope *model.Scope, in []*Node) []*Node {
		return []*Node{f.Apply(scope.In("layer"), in[0], append(in, nil)[1])}
	}, args...)[0]
}

func flat[T float32 | float64](x *tensors.Tensor) []T { return tensors.MustCopyFlatData[T](x) }

// change replaces the value of a variable.
func change(t *testing.T, store *model.Store, path string, f func(values []float32)) {
	t.Helper()
	v := store.GetVariable(path)
	require.NotNil(t, v, path)
	values := flat[float32](v.MustValue())
	f(values)
	require.NoError(t, v.SetValue(tensors.FromFlatDataAndDimensions(values, v.Shape().Dimensions...)))
}

// requireNear compares to a relative distance, that of the largest difference to the largest value.
func requireNear(t *testing.T, want, got []float32, relative float64) {
	t.Helper()
	require.Len(t, got, len(want))
	size, apart := 0.0, 0.0
	for i := range want {
		size = max(size, math.Abs(float64(want[i])))
		apart = max(apart, math.Abs(float64(want[i]-got[i])))
	}
	require.LessOrEqual(t, apart, relative*size)
	t.Logf("relative difference %.2g", apart/size)
}

// One expert with room for all is the dense map, from the same first values on, while gate, dispatch and combine are in the graph:
// bit for bit in pure Go, where sums have one order.
func TestOneExpertIsTheDenseMap(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		x := normal[float32](1, 3, 7, width)
		one := layers.DenseFeedForward{Inner: inner, Activation: layers.GELU, Init: layers.InitFanIn}
		dense := flat[float32](apply(t, be, newStore(dtypes.Float32), one, x))
		for _, router := range []moe.Router{{}, {TrainingCapacity: 1, EvaluationCapacity: 1}, {EvaluationCapacity: 2}, {GroupRows: 1}} {
			f := mixture(1, 1, 0)
			router.Experts, router.Choices, router.Init = 1, 1, f.Router.Init
			f.Router = router
			var products, argMaxes, exponentials int
			store := newStore(dtypes.Float32)
			got := flat[float32](run(t, be, store, func(scope *model.Scope, in []*Node) []*Node {
				y := f.Apply(scope.In("layer"), in[0], nil)
				for _, node := range y.Graph().Nodes() {
					switch node.Type() {
					case NodeTypeDotGeneral:
						products++
					case NodeTypeArgMinMax:
						argMaxes++
					case NodeTypeExp:
						exponentials++
					}
				}
				return []*Node{y}
			}, x)[0])
			require.Equal(t, 5, products, "gate, dispatch, two maps, combine")
			require.Equal(t, 1, argMaxes, "a choice")
			require.Positive(t, exponentials, "probabilities")
			require.NotNil(t, store.GetVariable("/layer/gate/weights"))
			if be.Name() == backendtest.Go(t).Name() {
				require.Equal(t, dense, got)
			} else {
				requireNear(t, dense, got, 1e-6)
			}
		}
	})
}

// Four copies of one map are that map if a token's two weights add up to 1, and p times it with the weight p.
func TestEqualExpertsAreTheDenseMap(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		x := normal[float32](2, 3, 7, width)
		denseStore, store := newStore(dtypes.Float32), newStore(dtypes.Float32)
		dense := layers.DenseFeedForward{Inner: inner, Activation: layers.GELU, Init: layers.InitNormal(1)}
		apply(t, be, denseStore, dense, x)
		apply(t, be, store, mixture(4, 2, 0), x)
		for i, path := range ofExperts {
			one := normal[float32](uint64(10+i), denseStore.GetVariable(path).Shape().Dimensions...)
			values := flat[float32](one)
			require.NoError(t, denseStore.GetVariable(path).SetValue(one))
			change(t, store, path, func(v []float32) { copy(v, slices.Repeat(values, 4)) })
		}
		want := flat[float32](apply(t, be, denseStore, dense, x))
		requireNear(t, want, flat[float32](apply(t, be, store, mixture(4, 2, 0), x)), 1e-6)
		whole := mixture(4, 1, 0)
		whole.Router.Whole = true
		requireNear(t, want, flat[float32](apply(t, be, store, whole, x)), 1e-6)

		// With too little room, nothing but the dropped tokens differs.
		tight := run(t, be, store, func(scope *model.Scope, in []*Node) []*Node {
			f := mixture(4, 2, 0.5)
			var dispatch, apart *Node
			f.Routed = func(_ *model.Scope, r moe.Routing) { dispatch, apart = r.Dispatch, r.Divergence }
			return []*Node{f.Apply(scope.In("layer"), in[0], nil), ReduceSum(dispatch, 2, 3), apart}
		}, x)
		require.Equal(t, []float32{0}, flat[float32](tight[2]), "copies are not apart")
		left := slices.Clone(want)
		kept := flat[float32](tight[1])
		require.Contains(t, kept, float32(0))
		require.Contains(t, kept, float32(1))
		require.Contains(t, kept, float32(2))
		for i := range left {
			if kept[i/width] == 0 {
				left[i] = 0
			}
		}
		requireNear(t, left, flat[float32](tight[0]), 1e-6)

		one := run(t, be, store, func(scope *model.Scope, in []*Node) []*Node {
			f := mixture(4, 1, 0)
			var combine *Node
			f.Routed = func(_ *model.Scope, r moe.Routing) { combine = r.Combine }
			return []*Node{f.Apply(scope.In("layer"), in[0], nil), ReduceSum(combine, 2, 3)}
		}, x)
		p := flat[float32](one[1])
		for i := range want {
			want[i] *= p[i/width]
		}
		requireNear(t, want, flat[float32](one[0]), 1e-6)
	})
}

// Divergence is that of all pairs, taken one by one.
func TestDivergence(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		x := normal[float64](2, 1, 3, width)
		store := newStore(dtypes.Float64)
		apply(t, be, store, mixture(3, 1, 0), x)
		squares, norms := 0.0, 0.0
		for i, path := range []string{ofExperts[0], ofExperts[2]} {
			w := normal[float64](uint64(20+i), store.GetVariable(path).Shape().Dimensions...)
			require.NoError(t, store.GetVariable(path).SetValue(w))
			values := flat[float64](w)
			n := len(values) / 3
			for a := range 3 {
				for k := range n {
					norms += values[a*n+k] * values[a*n+k] / 3
					for b := range a {
						squares += math.Pow(values[a*n+k]-values[b*n+k], 2) / 3
					}
				}
			}
		}
		got := run(t, be, store, func(scope *model.Scope, in []*Node) []*Node {
			f := mixture(3, 1, 0)
			var apart *Node
			f.Routed = func(_ *model.Scope, r moe.Routing) { apart = r.Divergence }
			answer := f.Apply(scope.In("layer"), in[0], nil)
			return []*Node{apart, answer}
		}, x)
		require.InDelta(t, math.Sqrt(squares/norms), flat[float64](got[0])[0], 1e-12)
	})
}

// Experts have no order: with their weights and the gate's columns exchanged alike, every token is answered as before, those
// dropped included.
func TestExpertsHaveNoOrder(t *testing.T) {
	const experts = 4
	order := []int{2, 0, 3, 1}
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		x := normal[float32](3, 3, 7, width)
		for choices := 1; choices <= 2; choices++ {
			store, f := newStore(dtypes.Float32), mixture(experts, choices, 0.75)
			want := flat[float32](apply(t, be, store, f, x))
			change(t, store, "/layer/gate/weights", func(v []float32) { // [H, E]
				for h := range width {
					row := slices.Clone(v[h*experts : (h+1)*experts])
					for e, from := range order {
						v[h*experts+e] = row[from]
					}
				}
			})
			for _, path := range ofExperts {
				change(t, store, path, func(v []float32) {
					was, size := slices.Clone(v), len(v)/experts
					for e, from := range order {
						copy(v[e*size:(e+1)*size], was[from*size:(from+1)*size])
					}
				})
			}
			requireNear(t, want, flat[float32](apply(t, be, store, f, x)), 1e-6)
		}
	})
}

// A token without a slot, or padding, is answered by zero, whatever the biases: a residual leaves it as it was, to the last bit.
// Other tokens change.
func TestDroppedTokensStayAsTheyAre(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		const tokens = 24
		x, store := normal[float32](4, 3, 8, width), newStore(dtypes.Float32)
		mask := make([][]bool, 3)
		for i := range tokens {
			mask[i/8] = append(mask[i/8], i%8 < 6)
		}
		build := func(scope *model.Scope, in []*Node) []*Node {
			f := mixture(4, 2, 0.25)
			f.Mask = in[1]
			var kept *Node
			f.Routed = func(_ *model.Scope, r moe.Routing) { kept = ReduceSum(r.Dispatch, 2, 3) }
			return []*Node{Add(in[0], f.Apply(scope.In("layer"), in[0], nil)), kept}
		}
		run(t, be, store, build, x, mask)
		for _, path := range []string{"/layer/ffn_in/bias", "/layer/ffn_out/bias"} {
			change(t, store, path, func(v []float32) {
				for i := range v {
					v[i] = float32(i%3) - 1.25
				}
			})
		}
		out := run(t, be, store, build, x, mask)
		was, is, kept := flat[float32](x), flat[float32](out[0]), flat[float32](out[1])
		dropped := 0
		for s := range tokens {
			a, b := was[s*width:(s+1)*width], is[s*width:(s+1)*width]
			if kept[s] > 0 {
				require.True(t, mask[s/8][s%8])
				require.NotEqual(t, a, b, "token %d", s)
				continue
			}
			dropped++
			require.Equal(t, a, b, "token %d", s)
		}
		require.Greater(t, dropped, 6+3, "more than padding")
	})
}

// The gate learns by its probabilities alone: where all experts answer zero, or one answer with weights that add up to 1, there is
// nothing to learn from the answers. The losses teach it in any case.
func TestTheGateLearnsByProbabilities(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		x := normal[float64](5, 3, 7, width)
		gradient := func(f moe.FeedForward, weigh func(y *Node, r moe.Routing) *Node) float64 {
			out := run(t, be, newStore(dtypes.Float64), func(scope *model.Scope, in []*Node) []*Node {
				var routing moe.Routing
				f.Routed = func(_ *model.Scope, r moe.Routing) { routing = r }
				y := f.Apply(scope.In("layer"), in[0], nil)
				w := scope.Store().GetVariable("/layer/gate/weights").NodeValue(y)
				return []*Node{ReduceAllMax(Abs(Gradient(weigh(y, routing), w)[0]))}
			}, x)
			return out[0].Value().(float64)
		}
		answers := func(y *Node, _ moe.Routing) *Node { return ReduceAllSum(Sin(AddScalar(y, 1))) }
		for choices := 1; choices <= 2; choices++ {
			f := mixture(4, choices, 1)
			require.Greater(t, gradient(f, answers), 1e-3)
			require.Greater(t, gradient(f, func(_ *Node, r moe.Routing) *Node { return r.Balance }), 1e-3)
			require.Greater(t, gradient(f, func(_ *Node, r moe.Routing) *Node { return r.ZLoss }), 1e-3)
			require.Zero(t, gradient(f, func(_ *Node, r moe.Routing) *Node { return ReduceAllSum(r.Dispatch) }))
			f.InitOutput = layers.InitZeros
			require.Zero(t, gradient(f, answers))
		}
		alike := mixture(4, 2, 0)
		alike.Init = func(_ *rand.Rand, values []float64, _ []int) {
			for i := range values {
				values[i] = math.Sin(float64(i))
			}
		}
		require.Less(t, gradient(alike, answers), 1e-12)
	})
}

// Every gradient, by the input and each weight, of answers and losses, against central differences in float64, in training with
// lots and jitter, and with tokens dropped.
func TestGradients(t *testing.T) {
	const step = 1e-6
	for choices := 1; choices <= 2; choices++ {
		f, store := mixture(3, choices, 0.75), newStore(dtypes.Float64)
		f.Router.RandomSelection, f.Router.RandomSecond, f.Router.Jitter = true, true, 0.1
		paths := append([]string{"/layer/gate/weights"}, ofExperts...)
		exec := model.MustNewExec(backendtest.Go(t), store, func(scope *model.Scope, in []*Node) []*Node {
			var routing moe.Routing
			f.Routed = func(_ *model.Scope, r moe.Routing) { routing = r }
			y := f.Apply(scope.In("layer"), in[0], in[1])
			loss := Add(ReduceAllSum(Sin(y)), Add(routing.Balance, MulScalar(routing.ZLoss, 0.5)))
			wrt := []*Node{in[0]}
			for _, path := range paths {
				wrt = append(wrt, store.GetVariable(path).NodeValue(loss))
			}
			return append([]*Node{loss, routing.Dropped, routing.Dispatch}, Gradient(loss, wrt...)...)
		})
		defer exec.Finalize()
		x := normal[float64](6, 2, 5, width)
		values := flat[float64](x)
		call := func() []*tensors.Tensor {
			return exec.MustCall(tensors.FromFlatDataAndDimensions(slices.Clone(values), 2, 5, width), key(1, 2, 0))
		}
		analytic := call()
		require.Greater(t, analytic[1].Value().(float64), 0.1, "some are dropped")
		dispatch, worst := flat[float64](analytic[2]), 0.0
		check := func(name string, analytic, at []float64, changed func()) {
			for i, v := range at {
				at[i] = v + step
				changed()
				above := call()
				at[i] = v - step
				changed()
				below := call()
				at[i] = v
				changed()
				require.Equal(t, dispatch, flat[float64](above[2]), "the same choices")
				require.Equal(t, dispatch, flat[float64](below[2]), "the same choices")
				numeric := (above[0].Value().(float64) - below[0].Value().(float64)) / (2 * step)
				require.InDelta(t, numeric, analytic[i], 1e-7*(1+math.Abs(analytic[i])), "%s, element %d", name, i)
				worst = max(worst, math.Abs(numeric-analytic[i]))
			}
		}
		check("input", flat[float64](analytic[3]), values, func() {})
		for i, path := range paths {
			v := store.GetVariable(path)
			at := flat[float64](v.MustValue())
			check(path, flat[float64](analytic[4+i]), at, func() {
				require.NoError(t, v.SetValue(tensors.FromFlatDataAndDimensions(slices.Clone(at), v.Shape().Dimensions...)))
			})
		}
		t.Logf("%d choices: largest difference %.2g", choices, worst)
	}
}

// With room for half of the tokens the end of a batch is dropped if who comes first is served first, and any part of it alike if
// lots are drawn.
func TestLotsServeTheEndOfABatchToo(t *testing.T) {
	const rows, positions, steps, parts = 4, 32, 40, 8
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		rate := func(random bool) []float64 { // by eighths of the batch
			f := mixture(4, 1, 0.5)
			f.Router.RandomSelection = random
			exec := model.MustNewExec(be, newStore(dtypes.Float32), func(scope *model.Scope, in []*Node) *Node {
				var dispatch *Node
				f.Routed = func(_ *model.Scope, r moe.Routing) { dispatch = r.Dispatch }
				f.Apply(scope.In("layer"), in[0], in[1])
				return ReduceSum(dispatch, 2, 3)
			})
			defer exec.Finalize()
			dropped := make([]float64, parts)
			for step := range steps {
				kept := flat[float32](exec.MustCall(normal[float32](uint64(100+step), rows, positions, width), key(1, uint64(step), 0))[0])
				for s, k := range kept {
					dropped[s*parts/len(kept)] += (1 - float64(k)) / float64(steps*len(kept)/parts)
				}
			}
			return dropped
		}
		first, drawn := rate(false), rate(true)
		t.Logf("dropped by eighths of the batch: first come %.2f, drawn by lot %.2f", first, drawn)
		require.Zero(t, first[0])
		require.Greater(t, first[parts-1], 0.9)
		// χ² of the eighths' counts around their mean, 7 degrees of freedom. 24.3 is exceeded once in a thousand times.
		mean, square := 0.0, 0.0
		for _, d := range drawn {
			mean += d / parts
		}
		const n = float64(rows * positions * steps / parts)
		for _, d := range drawn {
			square += n * (d - mean) * (d - mean) / (mean * (1 - mean))
		}
		require.Less(t, square, 24.3, "χ² of the drop rate by position")
		t.Logf("χ² %.1f with 7 degrees of freedom", square)
	})
}

// In training, lots and jitter are those of the key and the scope: equal on every backend, others at another key or layer, and none
// when evaluating.
func TestTrainingIsRandomByItsKey(t *testing.T) {
	var want []float32 // of pure Go
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for name, router := range map[string]func(r *moe.Router){
			"lots":   func(r *moe.Router) { r.RandomSelection = true },
			"second": func(r *moe.Router) { r.RandomSecond = true },
			"jitter": func(r *moe.Router) { r.Jitter = 0.5 },
			"all":    func(r *moe.Router) { r.RandomSelection, r.RandomSecond, r.Jitter = true, true, 0.1 },
			"none":   func(*moe.Router) {},
		} {
			dispatch := func(layer string, args ...any) []float32 {
				return flat[float32](run(t, be, newStore(dtypes.Float32), func(scope *model.Scope, in []*Node) []*Node {
					f := mixture(4, 2, 0.5)
					router(&f.Router)
					f.Router.Init = func(_ *rand.Rand, values []float64, _ []int) {
						for i := range values {
							values[i] = math.Sin(float64(i * i)) // whatever the layer
						}
					}
					var dispatch *Node
					f.Routed = func(_ *model.Scope, r moe.Routing) { dispatch = r.Dispatch }
					y := f.Apply(scope.In("%s", layer), in[0], append(in, nil)[1])
					return []*Node{dispatch, y}
				}, args...)[0])
			}
			if name != "all" && be.Name() != backendtest.Go(t).Name() {
				continue // each of them is in that one
			}
			x := normal[float32](7, 3, 8, width)
			got, evaluated := dispatch("a", x, key(1, 2, 0)), dispatch("a", x)
			require.Equal(t, got, dispatch("a", x, key(1, 2, 0)), name)
			if name == "none" {
				require.Equal(t, evaluated, got)
				continue
			}
			require.NotEqual(t, evaluated, got, name)
			require.NotEqual(t, got, dispatch("a", x, key(1, 3, 0)), name)
			require.NotEqual(t, got, dispatch("b", x, key(1, 2, 0)), name)
			if name == "all" {
				if want == nil {
					want = got
				}
				require.Equal(t, want, got)
			}
		}
	})
}

// Jitter is of the gate's input alone: with one expert, whose probability is always 1, nothing is to be seen of it. It is even
// around 1: logits of states and weights of 1 keep their mean.
func TestJitterIsTheGates(t *testing.T) {
	be := backendtest.Go(t)
	x := normal[float32](8, 3, 7, width)
	plain, jittered := mixture(1, 1, 1), mixture(1, 1, 1)
	jittered.Router.Jitter = 0.9
	require.Equal(t, flat[float32](apply(t, be, newStore(dtypes.Float32), plain, x)),
		flat[float32](apply(t, be, newStore(dtypes.Float32), jittered, x, key(1, 2, 0))))

	zLoss := func(jitter float64) float64 {
		return float64(run(t, be, newStore(dtypes.Float32), func(scope *model.Scope, in []*Node) []*Node {
			f := mixture(1, 1, 1)
			f.Router.Jitter, f.Router.Init = jitter, layers.InitOnes
			var loss *Node
			f.Routed = func(_ *model.Scope, r moe.Routing) { loss = r.ZLoss }
			f.Apply(scope.In("layer"), OnesLike(in[0]), in[1])
			return []*Node{Sqrt(loss)}
		}, x, key(1, 2, 0))[0].Value().(float32))
	}
	require.InDelta(t, width, zLoss(0), 1e-5)
	require.NotEqual(t, zLoss(0), zLoss(0.1))
	require.InEpsilon(t, width, zLoss(0.1), 0.02, "four standard deviations of the mean of 168 numbers")
}

// In an encoder's block: weights are listed as they are read, with roles; padding and losses go in and out; recomputing changes no
// loss and no gradient.
func TestInABlock(t *testing.T) {
	f := mixture(4, 2, 1)
	f.Router.RandomSelection = true
	block := layers.Block{Heads: 2, FeedForward: f, Dropout: 0.3, Epsilon: 1e-6, Init: layers.InitFanIn}
	var listed []string
	for _, w := range block.Weights(width) {
		listed = append(listed, "/"+w.Part+"/"+w.Kind)
	}
	require.Subset(t, listed, []string{"/gate/weights", "/ffn_in/weights", "/ffn_in/bias", "/ffn_out/weights", "/ffn_out/bias"})

	mask := [][]bool{{true, true, true, true, true, false}, {true, true, true, true, false, false}}
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		x := normal[float64](9, 2, 6, width)
		step := func(recompute bool) [][]float64 {
			store := newStore(dtypes.Float64)
			out := run(t, be, store, func(scope *model.Scope, in []*Node) []*Node {
				f, block, scopes := f, block, []string(nil)
				loss := ScalarZero(in[0].Graph(), dtypes.Float64)
				f.Mask = in[1]
				f.Routed = func(scope *model.Scope, r moe.Routing) {
					scopes = append(scopes, scope.Scope())
					loss = Add(loss, Add(r.Balance, r.ZLoss))
				}
				block.FeedForward, block.Recompute = f, recompute
				loss = Add(loss, ReduceAllSum(Sin(block.Apply(scope, in[0], layers.PaddingBias(in[1], in[0]), in[2]))))
				require.Equal(t, []string{scope.Scope()}, scopes)
				wrt := []*Node{in[0]}
				for _, path := range listed {
					require.NotNil(t, store.GetVariable(path), path)
					wrt = append(wrt, store.GetVariable(path).NodeValue(loss))
				}
				return append([]*Node{loss}, Gradient(loss, wrt...)...)
			}, x, mask, key(1, 2, 0))
			n := 0
			for v := range store.IterVariables() {
				require.Contains(t, listed, v.Path())
				n++
			}
			require.Len(t, listed, n)
			var values [][]float64
			for _, o := range out {
				values = append(values, flat[float64](o))
			}
			return values
		}
		plain, again := step(false), step(true)
		for i := range plain {
			require.InDeltaSlice(t, plain[i], again[i], 1e-12)
		}
	})
}

// Where matrices are multiplied in bfloat16 the gate is not: choices and weights are those of float32, and answers are near.
func TestTheGateIsFloat32(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		x := normal[float32](10, 3, 7, width)
		both := func(dtype dtypes.DType) (combine, answers []float32) {
			store := newStore(dtypes.Float32)
			store.SetParam(layers.ParamMatMulDType, dtype)
			out := run(t, be, store, func(scope *model.Scope, in []*Node) []*Node {
				f := mixture(4, 2, 1)
				var combine *Node
				f.Routed = func(_ *model.Scope, r moe.Routing) { combine = r.Combine }
				x := ConvertDType(ConvertDType(in[0], dtypes.BFloat16), dtypes.Float32)
				if dtype == dtypes.BFloat16 && be.Name() != backendtest.Go(t).Name() { // where states can be narrow too
					x = ConvertDType(x, dtype)
				}
				y := f.Apply(scope, x, nil)
				require.Equal(t, x.DType(), y.DType())
				return []*Node{combine, ConvertDType(y, dtypes.Float32)}
			}, x)
			return flat[float32](out[0]), flat[float32](out[1])
		}
		combine, want := both(dtypes.InvalidDType)
		narrow, got := both(dtypes.BFloat16)
		require.InDeltaSlice(t, combine, narrow, 1e-6)
		requireNear(t, want, got, 0.03)
		require.NotEqual(t, want, got)
	})
}

// With rows in groups, each with slots of its own, a batch computed in parts is answered as a whole one, lots included, and its
// losses are the means of theirs; a group is what a batch of its rows is.
func TestGroupsAreRoutedByThemselves(t *testing.T) {
	const rows, positions = 6, 8
	for choices := 1; choices <= 2; choices++ {
		f := mixture(4, choices, 0.5)
		f.Router.GroupRows, f.Router.RandomSelection, f.Router.Jitter = 2, true, 0.1
		backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
			x, store := normal[float32](11, rows, positions, width), newStore(dtypes.Float32)
			call := func(f moe.FeedForward, from, to int) (answers []float32, balance, zLoss, dropped float32) {
				out := run(t, be, store, func(scope *model.Scope, in []*Node) []*Node {
					f := f
					var r moe.Routing
					f.Routed = func(_ *model.Scope, routing moe.Routing) { r = routing }
					y := f.Apply(scope.In("layer"), Slice(in[0], AxisRange(from, to)), in[1])
					require.Equal(t, []int{(to - from) / 2, 2 * positions, 4}, r.Dispatch.Shape().Dimensions[:3])
					return []*Node{y, r.Balance, r.ZLoss, r.Dropped}
				}, x, key(1, 2, uint64(from)))
				value := func(i int) float32 { return out[i].Value().(float32) }
				return flat[float32](out[0]), value(1), value(2), value(3)
			}
			whole, balance, zLoss, dropped := call(f, 0, rows)
			require.Positive(t, dropped)
			var parts []float32
			var sums [3]float32
			for from := 0; from < rows; from += 2 {
				answers, balance, zLoss, dropped := call(f, from, from+2)
				parts = append(parts, answers...)
				sums[0], sums[1], sums[2] = sums[0]+balance/3, sums[1]+zLoss/3, sums[2]+dropped/3
				one := f
				one.Router.GroupRows = 0
				alone, _, _, _ := call(one, from, from+2)
				requireNear(t, answers, alone, 1e-6)
			}
			requireNear(t, whole, parts, 1e-6)
			require.InDeltaSlice(t, []float32{balance, zLoss, dropped}, sums[:], 1e-5)
		})
	}
}

// A mixture has the weights of E dense maps, and of a gate.
func TestCountOfWeights(t *testing.T) {
	count := func(f layers.FeedForward) (n int) {
		for _, w := range f.Weights(width) {
			n += shapes.Make(dtypes.Float32, w.Shape...).Size()
		}
		return n
	}
	dense := count(layers.DenseFeedForward{Inner: inner, Activation: layers.GELU, Init: layers.InitFanIn})
	for _, experts := range []int{1, 4} {
		require.Equal(t, experts*dense+width*experts, count(mixture(experts, 1, 1)))
	}
}

// Lots come from streams of their own, by the gate's scope: with other names no old run could be reproduced, and with one name who
// is drawn as a second choice would also be first in line.
func TestStreams(t *testing.T) {
	f := mixture(4, 2, 0.5)
	f.Router.RandomSelection, f.Router.RandomSecond, f.Router.GroupRows = true, true, 1
	x := normal[float32](12, 3, 8, width)
	out := run(t, backendtest.Go(t), newStore(dtypes.Float32), func(scope *model.Scope, in []*Node) []*Node {
		scope = scope.In("layer")
		var dispatch *Node
		f.Routed = func(_ *model.Scope, r moe.Routing) { dispatch = r.Dispatch }
		y := f.Apply(scope, in[0], in[1])
		gate := scope.Store().GetVariable("/layer/gate/weights").NodeValue(y)
		draw := func(stream string) *Node { return layers.Uniform(scope.At("gate"), stream, in[1], 3, 8, 4) }
		lots := moe.Lots{Priority: draw("selection"), Second: draw("second")}
		want := moe.Route(Einsum("gth,he->gte", in[0], gate), nil, lots, 2, f.Router.Capacity(8, true))
		return []*Node{y, dispatch, want.Dispatch}
	}, x, key(1, 2, 0))
	require.Equal(t, flat[float32](out[2]), flat[float32](out[1]))
}
