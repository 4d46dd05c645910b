// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/layers"
)

// With and without [layers.ParamDeterministic], rows are the same, bit for bit, and so, but for rounding, is the gradient, in which
// rows that are looked up twice count twice. With it there is no scatter.
func TestDeterministicLookUps(t *testing.T) {
	lookUps := map[string]func(scope *model.Scope, x, ids *Node) *Node{"table": layers.Embed, "positions": layers.GatherPositions}
	shapesOf := map[string][]int{"table": {7, 3}, "positions": {2, 5, 3}}
	ids := [][]int32{{4, 0, 4}, {1, 2, 4}}
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for name, lookUp := range lookUps {
			build := func(scope *model.Scope, in []*Node) []*Node {
				x := Reshape(in[0], shapesOf[name]...)
				rows := lookUp(scope, x, in[1])
				weights := OnePlus(IotaFull(x.Graph(), rows.Shape()))
				return []*Node{rows, Gradient(ReduceAllSum(Mul(weights, Square(rows))), in[0])[0]}
			}
			size := 1
			for _, n := range shapesOf[name] {
				size *= n
			}
			want := run(t, be, float64Store(), build, normal(5, size), ids)
			store := float64Store()
			store.SetParam(layers.ParamDeterministic, true)
			got := run(t, be, store, build, normal(5, size), ids)
			require.Equal(t, want[0].Value(), got[0].Value(), name)
			require.InDeltaSlice(t, flat(want[1]), flat(got[1]), 1e-12, name)

			g := NewGraph(be, "graph")
			defer g.Finalize()
			model.SetStore(g, store)
			build(store.RootScope(), []*Node{Parameter(g, "x", shapes.Make(dtypes.Float64, size)), Const(g, ids)})
			require.Zero(t, count(g, NodeTypeScatterSum), name)
			require.Equal(t, 1, count(g, NodeTypeDotGeneral), name)
		}
	})
}

// Of integers there is no gradient, and nothing changes.
func TestDeterministicLookUpsOfIntegers(t *testing.T) {
	store := float64Store()
	store.SetParam(layers.ParamDeterministic, true)
	rows := run(t, backendtest.Go(t), store, func(scope *model.Scope, in []*Node) []*Node {
		return []*Node{layers.Embed(scope, in[0], in[1])}
	}, [][]int32{{1, 2}, {3, 4}}, []int32{1, 1, 0})
	require.Equal(t, [][]int32{{3, 4}, {3, 4}, {1, 2}}, rows[0].Value())
}
