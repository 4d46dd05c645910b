// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/layers"
)

// param makes the variables of the given names, [3, 2] each, in order, and returns their values by name.
func param(t *testing.T, store *model.Store, names ...string) map[string][]float64 {
	t.Helper()
	values := map[string][]float64{}
	build(t, store, func(scope *model.Scope, x *Node) {
		for _, name := range names {
			layers.Param(scope.At("room"), x, name, layers.InitNormal(1), 3, 2)
		}
	})
	for _, name := range names {
		values[name] = flat(store.GetVariable("/room/" + name).MustValue())
	}
	return values
}

// A first value follows from the seed and the path, not from the order of the code or from what else there is.
func TestParamDependsOnSeedAndPath(t *testing.T) {
	abc := param(t, float64Store(), "a", "b", "c")
	require.Equal(t, abc, param(t, float64Store(), "c", "a", "b"))
	require.Equal(t, abc["b"], param(t, float64Store(), "b")["b"])
	require.NotEqual(t, abc["a"], abc["b"])

	other := float64Store()
	other.SetParam(layers.ParamSeed, int64(2))
	require.NotEqual(t, abc["a"], param(t, other, "a")["a"])
}

// Written down on the day the streams were defined, from this code: if they change, no old run can be reproduced.
func TestParamGolden(t *testing.T) {
	want := []float64{
		-0.14384219893484596, -0.26992645354554146, 1.2648678833207918, -0.10447739143186652, -1.0860936148993452, 1.6065741843328263,
	}
	require.Equal(t, want, param(t, float64Store(), "a")["a"])
}

// Asked for again, a variable is the one that is there, trained or not; with another shape it is a mistake.
func TestParamIsMadeOnce(t *testing.T) {
	store := float64Store()
	first := param(t, store, "a")
	require.Equal(t, first, param(t, store, "a"))
	trained := []float64{1, 2, 3, 4, 5, 6}
	require.NoError(t, store.GetVariable("/room/a").SetValue(tensors.FromFlatDataAndDimensions(trained, 3, 2)))
	require.Equal(t, trained, param(t, store, "a")["a"])

	require.PanicsWithError(t, "layers: variable /room/a has shape (Float64)[3, 2], asked for (Float64)[2, 3]", func() {
		build(t, store, func(scope *model.Scope, x *Node) { layers.Param(scope.At("room"), x, "a", layers.InitOnes, 2, 3) })
	})
}

// Variables are float32 unless the store says float64; both start at the same values, but for rounding.
func TestParamDType(t *testing.T) {
	wide := param(t, float64Store(), "a")["a"]
	store := model.NewStore()
	store.SetParam(layers.ParamSeed, int64(1))
	build(t, store, func(scope *model.Scope, x *Node) { layers.Param(scope.At("room"), x, "a", layers.InitNormal(1), 3, 2) })
	narrow := store.GetVariable("/room/a")
	require.Equal(t, dtypes.Float32, narrow.DType())
	for i, v := range tensors.MustCopyFlatData[float32](narrow.MustValue()) {
		require.Equal(t, float32(wide[i]), v)
	}

	store = model.NewStore()
	store.SetParam(layers.ParamDType, dtypes.BFloat16)
	require.PanicsWithError(t, "layers: variables are float32 or float64, not BFloat16", func() {
		build(t, store, func(scope *model.Scope, x *Node) { layers.Param(scope, x, "a", layers.InitOnes, 2) })
	})
}
