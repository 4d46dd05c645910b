// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/layers"
)

const heads, width = 2, 6

// attend is self-attention on in[0] with the bias that makeBias builds, if any.
func attend(makeBias func(in []*Node) *Node) func(scope *model.Scope, in []*Node) *Node {
	return func(scope *model.Scope, in []*Node) *Node {
		var bias *Node
		if makeBias != nil {
			bias = makeBias(in)
		}
		return layers.SelfAttention{Heads: heads, Init: layers.InitFanIn}.Apply(scope, in[0], bias, nil)
	}
}

// The whole of it against loops.
func TestSelfAttentionAgainstLoops(t *testing.T) {
	const s = 4
	store := float64Store()
	x, bias := normal(1, 1, s, width), normal(2, 1, heads, s, s)
	got := flat(runGo(t, store, attend(func(in []*Node) *Node { return in[1] }), x, bias))
	require.InDeltaSlice(t, reference{store}.attention("", flat(x), flat(bias)), got, 1e-12)
}

// Without a bias attention does not know where a token stands: moved tokens give the moved result.
func TestSelfAttentionIsPermutationEquivariant(t *testing.T) {
	const s = 5
	store, order := float64Store(), []int{3, 0, 4, 1, 2}
	x := normal(3, 2, s, width)
	move := func(values []float64) []float64 {
		moved := make([]float64, len(values))
		for row := range 2 * s {
			from := row/s*s + order[row%s]
			copy(moved[row*width:(row+1)*width], values[from*width:(from+1)*width])
		}
		return moved
	}
	still := flat(runGo(t, store, attend(nil), x))
	moved := flat(runGo(t, store, attend(nil), tensors.FromFlatDataAndDimensions(move(flat(x)), 2, s, width)))
	require.InDeltaSlice(t, move(still), moved, 1e-12)

	relative := attend(func(in []*Node) *Node { return layers.RelativePositionBias(in[1], s, 20) })
	table := normal(4, 8, heads)
	still = flat(runGo(t, store, relative, x, table))
	moved = flat(runGo(t, store, relative, tensors.FromFlatDataAndDimensions(move(flat(x)), 2, s, width), table))
	require.Greater(t, distance(move(still), moved), 0.01, "with positions it does know")
}

// What stands at hidden positions reaches no other position, exactly; a mask that hides nothing changes nothing.
func TestPaddingBiasHides(t *testing.T) {
	const s = 4
	masked := attend(func(in []*Node) *Node { return layers.PaddingBias(in[1], in[0]) })
	store := float64Store()
	mask := [][]bool{{true, true, true, false}, {true, false, true, true}}
	x := normal(5, 2, s, width)
	other := flat(x)
	for _, hidden := range []int{3, s + 1} {
		for i := range width {
			other[hidden*width+i] = 1000 * float64(i)
		}
	}
	a := flat(runGo(t, store, masked, x, mask))
	b := flat(runGo(t, store, masked, tensors.FromFlatDataAndDimensions(other, 2, s, width), mask))
	for row := range 2 * s {
		if row != 3 && row != s+1 {
			require.Equal(t, a[row*width:(row+1)*width], b[row*width:(row+1)*width], "row %d", row)
		}
	}
	all := flat(runGo(t, store, masked, x, [][]bool{{true, true, true, true}, {true, true, true, true}}))
	require.Equal(t, flat(runGo(t, store, attend(nil), x)), all)
	require.NotEqual(t, all, a)
}

// A relative table of zeros is no relative table: bit for bit the same numbers. So a model that starts there starts as
// one without.
func TestZeroRelativeTableChangesNothing(t *testing.T) {
	const s = 7
	store, x := float64Store(), normal(6, 2, s, width)
	relative := attend(func(in []*Node) *Node { return layers.RelativePositionBias(in[1], s, 20) })
	zeros := tensors.FromFlatDataAndDimensions(make([]float64, 8*heads), 8, heads)
	require.Equal(t, flat(runGo(t, store, attend(nil), x)), flat(runGo(t, store, relative, x, zeros)))
}

// Logits of any size are safe: the largest is taken off before exp.
func TestSelfAttentionOfLargeLogits(t *testing.T) {
	store := float64Store()
	x := flat(normal(7, 1, 3, width))
	for i := range x {
		x[i] *= 1e4
	}
	for _, v := range flat(runGo(t, store, attend(nil), tensors.FromFlatDataAndDimensions(x, 1, 3, width))) {
		require.False(t, math.IsNaN(v) || math.IsInf(v, 0))
	}
}

func TestSelfAttentionNeedsDividingHeads(t *testing.T) {
	require.PanicsWithError(t, "layers: 4 heads do not divide width 6", func() {
		build(t, float64Store(), func(scope *model.Scope, x *Node) {
			layers.SelfAttention{Heads: 4, Init: layers.InitFanIn}.Apply(scope, x, nil, nil)
		}, 1, 3, width)
	})
}

func distance(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += (a[i] - b[i]) * (a[i] - b[i])
	}
	return math.Sqrt(sum)
}
