// SPDX-License-Identifier: Apache-2.0

package moe_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/layers"
	"metrolab/layers/moe"
)

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
