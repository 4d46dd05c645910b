// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/layers"
)

// A slot whose key is hidden changes nothing of the tokens' states, whatever stands in it, and one that is seen does. One that is
// overwritten in every layer is another than one that the layers change.
func TestSlots(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		block := layers.Block{Heads: 2, FFN: 12, Activation: layers.GELU, Epsilon: 1e-6, Init: layers.InitFanIn}
		states := func(hidden float64, slots int, again bool) []float32 {
			store := model.NewStore()
			out := run(t, be, store, func(scope *model.Scope, in []*Node) []*Node {
				x, mask, s := in[0], in[1], in[0].Shape().Dim(1)
				biases := make([]*Node, 3)
				adapters := make([]layers.Adapter, len(biases))
				for i := range biases {
					biases[i] = Add(layers.PaddingBias(mask, x), MulScalar(Ones(x.Graph(), in[2].Shape()), 0.5))
					adapters[i].Reads = func(x, bias *Node) (*Node, *Node) {
						if again {
							x = Slice(x, AxisRange(), AxisRange(x.Shape().Dim(1)-s))
						}
						if x.Shape().Dim(1) == s && slots > 0 {
							x = layers.Slots(MulScalar(OnesLike(Slice(x, AxisRange(), AxisRange(0, slots))), 3), x)
						}
						bias = layers.SlotsBias(bias, slots)
						keys := Iota(x.Graph(), bias.Shape(), 3)
						slot := ConvertDType(LessThan(keys, AddScalar(ZerosLike(keys), float64(slots))), bias.DType())
						return x, Add(bias, MulScalar(slot, hidden))
					}
				}
				all := layers.Encoder(scope, x, biases, nil, block, adapters...)
				return []*Node{Slice(all[2], AxisRange(), AxisRange(slots))}
			}, rows(2, 5, 8), [][]bool{{true, true, true, true, true}, {true, true, true, false, false}}, rows(1, 2, 5, 5))[0]
			return tensors.MustCopyFlatData[float32](out)
		}
		bare := states(0, 0, false)
		for _, again := range []bool{false, true} {
			require.InDeltaSlice(t, bare, states(-1e9, 2, again), 1e-5)
			require.NotEqual(t, bare, states(0, 2, again))
		}
		require.NotEqual(t, states(0, 2, false), states(0, 2, true))
	})
}

// rows are made-up numbers.
func rows(dims ...int) *tensors.Tensor {
	x := tensors.FromScalarAndDimensions(float32(0), dims...)
	tensors.MustMutableFlatData(x, func(flat []float32) {
		for i := range flat {
			flat[i] = float32((i*7+3)%11)/5 - 1
		}
	})
	return x
}

// The bias of slots is 0 to them and from them, and that of the tokens among themselves.
func TestSlotsBias(t *testing.T) {
	require.Equal(t, [][][][]float32{{{{0, 0, 0, 0}, {0, 0, 0, 0}, {0, 0, 1, 2}, {0, 0, 3, 4}}}}, slotted(t, [][][][]float32{{{{1, 2}, {3, 4}}}}, 2))
	require.Equal(t, [][][][]float32{{{{0, 1, 2}}}}, slotted(t, [][][][]float32{{{{1, 2}}}}, 1))
	require.Equal(t, [][][][]float32{{{{1, 2}}}}, slotted(t, [][][][]float32{{{{1, 2}}}}, 0))
}

func slotted(t *testing.T, bias [][][][]float32, k int) any {
	t.Helper()
	return runGo(t, model.NewStore(), func(_ *model.Scope, in []*Node) *Node { return layers.SlotsBias(in[0], k) }, bias).Value()
}

// What a map of low rank adds is scale·(x·down)·up, which is nothing at first, in the maps that are asked for it.
func TestLowRank(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		store := model.NewStore()
		set(t, store, "/down", [][]float32{{1, 0}, {2, 1}, {0, -1}})
		set(t, store, "/up", [][]float32{{1, 2}, {3, 4}})
		l := layers.LowRank{Rank: 2, Scale: 0.5}
		got := run(t, be, store, func(scope *model.Scope, in []*Node) []*Node { return []*Node{l.Apply(scope, in[0], 2)} }, [][][]float32{{{1, 1, 1}, {0, 2, 0}}})[0]
		require.Equal(t, [][][]float32{{{1.5, 3}, {5, 8}}}, got.Value()) // x·down is [3 0] and [4 2]

		attention := func(scale float64, names ...string) []float32 {
			store := model.NewStore()
			adds := layers.Adapter{Adds: func(name string, x *Node, width int) *Node {
				for _, n := range names {
					if n == name {
						return MulScalar(x, scale)
					}
				}
				return nil
			}}
			out := run(t, be, store, func(scope *model.Scope, in []*Node) []*Node {
				return []*Node{layers.SelfAttention{Heads: 2, Init: layers.InitFanIn, Adapter: adds}.Apply(scope, in[0], nil, nil)}
			}, rows(2, 3, 4))[0]
			return tensors.MustCopyFlatData[float32](out)
		}
		bare := attention(0)
		require.Equal(t, bare, attention(0, "query", "key", "value", "output"))
		for _, name := range []string{"query", "key", "value", "output"} {
			require.NotEqual(t, bare, attention(1, name), name)
		}
	})
}
