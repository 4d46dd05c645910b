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

// What the sparse block of transformers' Switch Transformers answered, 5.23.0, by scripts/parity/gating.py: three experts without
// biases, weights that are waves.
func TestSwitchBlock(t *testing.T) {
	const width, inner, experts = 4, 6, 3
	wave := func(phase float64, i int) float32 { return float32(math.Cos(phase + 1.3*float64(i))) }
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		store := newStore(dtypes.Float32)
		f := moe.FeedForward{
			Router: moe.Router{Experts: experts, Choices: 1}, Inner: inner, Activation: func(x *Node) *Node { return MaxScalar(x, 0) }, Init: layers.InitNormal(1),
		}
		var x []float32
		for i := range 5 * width {
			x = append(x, wave(0.5, i))
		}
		in := tensors.FromFlatDataAndDimensions(x, 1, 5, width)
		apply(t, be, store, f, in)
		for _, path := range []string{ofExperts[1], ofExperts[3]} {
			change(t, store, path, func(v []float32) { clear(v) })
		}
		turned := func(rows, columns int, phase float64, into []float32) { // torch has [out, in]
			for i := range rows {
				for j := range columns {
					into[i*columns+j] = wave(phase, j*rows+i)
				}
			}
		}
		change(t, store, "/layer/gate/weights", func(v []float32) { turned(width, experts, 6, v) })
		change(t, store, ofExperts[0], func(v []float32) {
			for e := range experts {
				turned(width, inner, float64(2*e), v[e*width*inner:])
			}
		})
		change(t, store, ofExperts[2], func(v []float32) {
			for e := range experts {
				turned(inner, width, float64(2*e+1), v[e*width*inner:])
			}
		})
		requireNear(t, []float32{
			1.089649, -2.810951, -1.392981, 2.660633,
			-0.032147, -2.499112, -0.237534, 2.473479,
			0.634714, -0.892746, -0.731051, 0.813858,
			2.049020, 1.234508, -1.915803, -1.441244,
			2.431159, -1.141521, -2.554341, 0.865880,
		}, flat[float32](apply(t, be, store, f, in)), 2e-6)
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
