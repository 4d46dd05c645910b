// SPDX-License-Identifier: Apache-2.0

package moe_test

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/layers/moe"
)

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
