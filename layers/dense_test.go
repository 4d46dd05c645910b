// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/layers"
)

// x·W + b on the last axis, whatever stands before it, worked out by hand.
func TestDense(t *testing.T) {
	store := float64Store()
	set(t, store, "/map/weights", [][]float64{{1, 0, 2}, {0, -1, 3}})
	set(t, store, "/map/bias", []float64{10, 20, 30})
	dense := func(scope *model.Scope, in []*Node) *Node {
		return layers.Dense(scope.At("map"), in[0], 3, layers.InitZeros)
	}
	out := runGo(t, store, dense, [][][]float64{{{1, 2}}, {{-1, 0.5}}})
	require.Equal(t, [][][]float64{{{11, 18, 38}}, {{9, 19.5, 29.5}}}, out.Value())
	require.Equal(t, [][]float64{{11, 18, 38}}, runGo(t, store, dense, [][]float64{{1, 2}}).Value())
}

// Its first weights are the initializer's and its bias is 0, so that zero weights give zero.
func TestDenseStart(t *testing.T) {
	store := float64Store()
	out := runGo(t, store, func(scope *model.Scope, in []*Node) *Node {
		return layers.Dense(scope, in[0], 4, layers.InitZeros)
	}, normal(1, 2, 3))
	require.Equal(t, make([]float64, 8), flat(out))
	require.Equal(t, []int{3, 4}, store.GetVariable("/weights").Shape().Dimensions)
	require.Equal(t, []int{4}, store.GetVariable("/bias").Shape().Dimensions)
}

func TestEmbed(t *testing.T) {
	out := runGo(t, float64Store(), func(scope *model.Scope, in []*Node) *Node { return layers.Embed(scope, in[0], in[1]) },
		[][]float64{{0, 1}, {10, 11}, {20, 21}}, [][]int32{{2, 0, 2}})
	require.Equal(t, [][][]float64{{{20, 21}, {0, 1}, {20, 21}}}, out.Value())
}

// gain·(x−mean)/√(variance+ε) + offset, the variance over all H elements, not H−1.
func TestLayerNorm(t *testing.T) {
	const epsilon, h = 1e-5, 7
	x, gain, offset := normal(2, 3, 2, h), normal(3, h), normal(4, h)
	norm := func(scope *model.Scope, in []*Node) *Node { return layers.LayerNorm(scope.At("norm"), in[0], epsilon) }

	store := float64Store()
	set(t, store, "/norm/gain", gain)
	set(t, store, "/norm/offset", offset)
	got, values := flat(runGo(t, store, norm, x)), flat(x)
	for row := 0; row < len(values); row += h {
		mean, variance := 0.0, 0.0
		for _, v := range values[row : row+h] {
			mean += v / h
		}
		for _, v := range values[row : row+h] {
			variance += (v - mean) * (v - mean) / h
		}
		for i := range h {
			want := flat(gain)[i]*(values[row+i]-mean)/math.Sqrt(variance+epsilon) + flat(offset)[i]
			require.InDelta(t, want, got[row+i], 1e-12)
		}
	}

	// It starts without gain and offset, and neither shift nor scale of a row matter. A constant row gives 0, not 0/0.
	fresh := float64Store()
	first := flat(runGo(t, fresh, norm, [][]float64{{1, 2, 3, 4}, {3, 5, 7, 9}, {6, 6, 6, 6}}))
	require.InDeltaSlice(t, first[:4], first[4:8], 1e-5)
	require.InDelta(t, 0, first[0]+first[1]+first[2]+first[3], 1e-12)
	require.Equal(t, []float64{0, 0, 0, 0}, first[8:])
	require.Equal(t, []float64{1, 1, 1, 1}, fresh.GetVariable("/norm/gain").MustValue().Value())
	require.Equal(t, []float64{0, 0, 0, 0}, fresh.GetVariable("/norm/offset").MustValue().Value())
}

// x·Φ(x) with Φ from a table of the normal distribution (NIST, to 10 digits), and the activations against their
// formulas in float64, far out on both sides too. A layer normalisation stands beside them to check it on every backend.
func TestActivations(t *testing.T) {
	table := map[float64]float64{
		0: 0, 0.5: 0.5 * 0.6914624613, 1: 0.8413447461, 1.5: 1.5 * 0.9331927987, 2: 2 * 0.9772498681, 3: 3 * 0.9986501020,
		-1: -0.1586552539, -2: -2 * 0.0227501319, -3: -3 * 0.0013498980,
	}
	var x, exact, approximate, rectified []float64
	for v := -40.0; v <= 40; v += 0.25 {
		x = append(x, v)
		exact = append(exact, v*(1+math.Erf(v/math.Sqrt2))/2)
		approximate = append(approximate, v*(1+math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))/2)
		rectified = append(rectified, max(v, 0))
		if want, ok := table[v]; ok {
			require.InDelta(t, want, exact[len(exact)-1], 1e-9)
		}
	}
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		out := run(t, be, float64Store(), func(scope *model.Scope, in []*Node) []*Node {
			return []*Node{
				layers.GELU(in[0]), layers.GELUTanh(in[0]), layers.LayerNorm(scope, in[1], 0),
				layers.GELU(ConvertDType(in[0], dtypes.Float32)), layers.GELUTanh(ConvertDType(in[0], dtypes.Float32)),
				layers.ReLU(in[0]), Gradient(ReduceAllSum(layers.ReLU(in[0])), in[0])[0],
			}
		}, x, [][]float64{{-1, 1, 1, -1}})
		require.InDeltaSlice(t, exact, flat(out[0]), 1e-9)
		require.InDeltaSlice(t, approximate, flat(out[1]), 1e-12)
		require.InDeltaSlice(t, []float64{-1, 1, 1, -1}, flat(out[2]), 1e-12)
		require.Equal(t, rectified, flat(out[5]))
		for i, slope := range flat(out[6]) {
			require.Equal(t, x[i] > 0, slope == 1, "at %g", x[i])
			require.Equal(t, x[i] <= 0, slope == 0, "at %g", x[i])
		}
		for i, f32 := range [][]float32{tensors.MustCopyFlatData[float32](out[3]), tensors.MustCopyFlatData[float32](out[4])} {
			for k, v := range f32 {
				require.InDelta(t, [][]float64{exact, approximate}[i][k], float64(v), 2e-5)
			}
		}
	})
}

// A layer hides its parts' names in its scope: two maps in two scopes are two maps.
func TestScopesKeepWeightsApart(t *testing.T) {
	store := float64Store()
	runGo(t, store, func(scope *model.Scope, in []*Node) *Node {
		a := layers.Dense(scope.In("a"), in[0], 3, layers.InitFanIn)
		return layers.Dense(scope.In("b"), a, 3, layers.InitFanIn)
	}, normal(1, 2, 3))
	require.NotEqual(t, store.GetVariable("/a/weights").MustValue().Value(), store.GetVariable("/b/weights").MustValue().Value())
}
