// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/layers"
)

// halving is a feed-forward map of one weight.
type halving struct{}

func (halving) Weights(width int) []layers.Weight {
	return []layers.Weight{{Part: "half", Shape: []int{width}, Init: layers.InitOnes, Role: layers.RoleNorm}}
}

func (h halving) Apply(scope *model.Scope, x, _ *Node) *Node {
	return MulScalar(Mul(x, ExpandLeftToRank(h.Weights(x.Shape().Dim(-1))[0].Node(scope, x), 3)), 0.5)
}

// What a part lists is what it reads, with roles that the variables keep.
func TestPartsListTheirWeights(t *testing.T) {
	const h = 6
	deep, own := small, small
	deep.PreNorm, deep.InitResidual = true, layers.InitZeros
	own.FeedForward = halving{}
	block := func(b layers.Block) func(scope *model.Scope, x *Node) {
		return func(scope *model.Scope, x *Node) { b.Apply(scope, x, nil, nil) }
	}
	bias := layers.BucketBias{Bins: 8, MaxDistance: 16, Init: layers.InitNormal(1), Spread: layers.T5PositionBias}
	for name, part := range map[string]struct {
		list  []layers.Weight
		build func(scope *model.Scope, x *Node)
	}{
		"dense":           {layers.DenseWeights(h, 3, layers.InitFanIn), func(scope *model.Scope, x *Node) { layers.Dense(scope, x, 3, layers.InitFanIn) }},
		"layer norm":      {layers.LayerNormWeights(h), func(scope *model.Scope, x *Node) { layers.LayerNorm(scope, x, 1e-6) }},
		"block":           {small.Weights(h), block(small)},
		"pre-LN block":    {deep.Weights(h), block(deep)},
		"own map":         {own.Weights(h), block(own)},
		"relative bias":   {bias.Weights(2), func(scope *model.Scope, x *Node) { bias.Apply(scope, x, 2) }},
		"part of another": {layers.Within("a", layers.Within("b", layers.DenseWeights(h, 2, layers.InitOnes)...)...), func(scope *model.Scope, x *Node) { layers.Dense(scope.In("a").In("b"), x, 2, layers.InitOnes) }},
	} {
		read, made := model.NewStore(), model.NewStore()
		read.SetParam(layers.ParamDType, dtypes.Float64)
		made.SetParam(layers.ParamDType, dtypes.Float64)
		build(t, read, func(scope *model.Scope, x *Node) { part.build(scope.At("here"), x) }, 1, 3, h)
		for _, w := range part.list {
			w.Variable(made.RootScope().At("here"))
		}
		require.Equal(t, read.NumVariables(), made.NumVariables(), name)
		for v := range read.IterVariables() {
			same := made.GetVariable(v.Path())
			require.NotNil(t, same, "%s: %s", name, v.Path())
			require.Equal(t, v.MustValue().Value(), same.MustValue().Value(), "%s: %s", name, v.Path())
			require.Equal(t, layers.RoleOf(read, v), layers.RoleOf(made, same), "%s: %s", name, v.Path())
		}
	}
}

// A weight that is made by its name alone has the role that the name says.
func TestRolesByName(t *testing.T) {
	store := model.NewStore()
	want := map[string]layers.Role{
		"bias": layers.RoleBias, "output_bias": layers.RoleBias, "gain": layers.RoleNorm, "offset": layers.RoleNorm, "weights": layers.RoleDense, "anything": layers.RoleDense,
	}
	build(t, store, func(scope *model.Scope, x *Node) {
		for name := range want {
			layers.Param(scope, x, name, layers.InitOnes, 2)
		}
	}, 1, 1)
	for name, role := range want {
		require.Equal(t, role, layers.RoleOf(store, store.GetVariable("/"+name)), name)
		require.Equal(t, role != layers.RoleBias && role != layers.RoleNorm, role.Decays())
	}
}
