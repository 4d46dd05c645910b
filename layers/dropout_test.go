// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
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
)

// key is a dropout key, an input of a step.
func key(words ...uint64) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(words, 3) }

// Elements are dropped at the rate asked for and the others scaled so that the mean stays; a mask is a function of the
// key and of the site alone: the same in a graph with other sites in another order, another at another site or key.
func TestDropout(t *testing.T) {
	const rate, n = 0.3, 40_000
	zeros := make([]float64, n) // each element is one more
	at := func(scope *model.Scope, in []*Node, site string) *Node {
		return layers.Dropout(scope.At("%s", site), OnePlus(in[0]), in[1], rate)
	}
	both := func(first, second string) parts {
		return func(scope *model.Scope, in []*Node) []*Node {
			return []*Node{at(scope, in, first), at(scope, in, second)}
		}
	}
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		store := float64Store()
		exec := model.MustNewExec(be, store, both("a", "b"))
		defer exec.Finalize()
		out := exec.MustCall(zeros, key(1, 2, 0))
		a, b := flat(out[0]), flat(out[1])
		dropped := 0
		for _, v := range a {
			if v == 0 {
				dropped++
			} else {
				require.InDelta(t, 1/(1-rate), v, 1e-12)
			}
		}
		require.InDelta(t, rate, float64(dropped)/n, 0.01) // four standard deviations
		require.InDelta(t, rate*rate, shared(a, b), 0.006, "two sites drop independently")

		again := exec.MustCall(zeros, key(1, 2, 0))
		require.Equal(t, a, flat(again[0]))
		otherStep := exec.MustCall(zeros, key(1, 3, 0))
		require.InDelta(t, rate*rate, shared(a, flat(otherStep[0])), 0.006, "two steps drop independently")

		swapped := run(t, be, store, both("b", "a"), zeros, key(1, 2, 0))
		require.Equal(t, b, flat(swapped[0]))
		require.Equal(t, a, flat(swapped[1]))
	})
}

// The rows of a batch are dropped alike however many of them are computed at a time, and alike on every backend.
func TestDropoutOfARow(t *testing.T) {
	store := float64Store()
	drop := func(scope *model.Scope, in []*Node) *Node { return layers.Dropout(scope.At("a"), in[0], in[1], 0.3) }
	x := func() *tensors.Tensor { return normal(1, 6, 5, 4) }
	whole := flat(runGo(t, store, drop, x(), key(1, 2, 0)))
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		got := flat(run(t, be, store, func(scope *model.Scope, in []*Node) []*Node { return []*Node{drop(scope, in)} }, x(), key(1, 2, 0))[0])
		require.InDeltaSlice(t, whole, got, 1e-12)
		for _, first := range []int{0, 2, 4} {
			rows := run(t, be, store, func(scope *model.Scope, in []*Node) []*Node {
				return []*Node{drop(scope, []*Node{Slice(in[0], AxisRange(first, first+2)), in[1]})}
			}, x(), key(1, 2, uint64(first)))
			require.InDeltaSlice(t, whole[first*20:(first+2)*20], flat(rows[0]), 1e-12, "rows from %d", first)
		}
	})
}

// shared is the part of elements that both masks drop.
func shared(a, b []float64) float64 {
	n := 0
	for i := range a {
		if a[i] == 0 && b[i] == 0 {
			n++
		}
	}
	return float64(n) / float64(len(a))
}

// Without a key, or at rate 0, it is not there: the node itself comes back.
func TestDropoutOff(t *testing.T) {
	build(t, float64Store(), func(scope *model.Scope, x *Node) {
		require.Same(t, x, layers.Dropout(scope, x, nil, 0.5))
		require.Same(t, x, layers.Dropout(scope, x, Const(x.Graph(), []uint64{1, 2, 0}), 0))
	}, 3)
}

// Attention drops weights, and an encoder's sites all differ: with dropout the same input gives another result at
// another key, and the result without a key is the one that rate 0 gives.
func TestEncoderDropout(t *testing.T) {
	store, x := float64Store(), normal(1, 2, 3, width)
	encode := func(rate float64, args ...any) []float64 {
		return flat(runGo(t, store, func(scope *model.Scope, in []*Node) *Node {
			in = append(in, nil) // no key
			return layers.Encoder(scope, in[0], make([]*Node, 2), in[1], layers.Block{
				Heads: heads, FFN: 8, Activation: layers.GELUTanh, Dropout: rate, Epsilon: 1e-6, Init: layers.InitFanIn,
			})[1]
		}, args...))
	}
	one := encode(0.4, x, key(1, 2, 0))
	require.Equal(t, one, encode(0.4, x, key(1, 2, 0)))
	require.NotEqual(t, one, encode(0.4, x, key(1, 3, 0)))
	require.Equal(t, encode(0, x), encode(0.4, x))
	require.NotEqual(t, one, encode(0.4, x))
}

// Numbers are even over [0, 1), equal on every backend, and a dropout mask is where they are below its rate; another stream in the
// same scope draws others.
func TestUniform(t *testing.T) {
	var want []float32 // of pure Go
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		out := run(t, be, float64Store(), func(scope *model.Scope, in []*Node) []*Node {
			site := scope.At("a")
			return []*Node{
				layers.Uniform(site, "dropout", in[0], 8, 50, 50), layers.Uniform(site, "other", in[0], 8, 50, 50),
				layers.Dropout(site, Ones(in[0].Graph(), shapes.Make(dtypes.Float64, 8, 50, 50)), in[0], 0.3),
			}
		}, key(1, 2, 0))
		require.Equal(t, []int{8, 50, 50}, out[0].Shape().Dimensions)
		u, other, kept := tensors.MustCopyFlatData[float32](out[0]), tensors.MustCopyFlatData[float32](out[1]), flat(out[2])
		require.NotEqual(t, u, other)
		if want == nil {
			want = u
		}
		require.Equal(t, want, u)
		var mean, square float64
		for i, v := range u {
			require.Equal(t, v < 0.3, kept[i] == 0)
			require.True(t, v >= 0 && v < 1)
			mean += float64(v) / float64(len(u))
			square += float64(v) * float64(v) / float64(len(u))
		}
		require.InDelta(t, 0.5, mean, 0.01) // five standard deviations
		require.InDelta(t, 1.0/3, square, 0.01)
	})
}
