// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"math"
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
)

// logits is everything that multiplies: an encoder layer with a learned bias, and a product with a vocabulary.
func logits(scope *model.Scope, x *Node) *Node {
	table := layers.Param(scope, x, "position_table", layers.InitNormal(1), 8, heads)
	words := layers.Param(scope, x, "words", layers.InitNormal(1), 11, width)
	bias := layers.T5PositionBias(table, x.Shape().Dim(1), 16)
	x = layers.Encoder(scope, x, []*Node{bias}, nil, small)[0]
	return layers.Product(scope, "bsh,vh->bsv", x, words)
}

// float32Store makes variables as models have them, to be multiplied in dtype.
func float32Store(dtype dtypes.DType) *model.Store {
	store := model.NewStore()
	store.SetParam(layers.ParamSeed, int64(1))
	store.SetParam(layers.ParamMatMulDType, dtype)
	return store
}

// In bfloat16 the logits and the gradients, which arrive at float32 variables in float32, are those of float32 but for the
// rounding of eight bits, on both backends.
func TestMatMulsInBFloat16(t *testing.T) {
	x := make([]float32, 2*3*width)
	for i, v := range flat(normal(30, len(x))) {
		x[i] = float32(v)
	}
	var names []string
	train := func(t *testing.T, be compute.Backend, dtype dtypes.DType) []*tensors.Tensor {
		store := float32Store(dtype)
		return run(t, be, store, func(scope *model.Scope, in []*Node) []*Node {
			out := logits(scope, Reshape(in[0], 2, 3, width))
			names = slices.Sorted(slices.Values(paths(store)))
			wrt := []*Node{in[0]}
			for _, path := range names {
				wrt = append(wrt, store.GetVariable(path).NodeValue(out))
			}
			return append([]*Node{out}, Gradient(ReduceAllMean(Square(out)), wrt...)...)
		}, x)
	}
	want := train(t, backendtest.Go(t), dtypes.InvalidDType)
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		got := train(t, be, dtypes.BFloat16)
		for i, name := range append([]string{"logits", "input"}, names...) {
			require.Equal(t, dtypes.Float32, got[i].DType(), name)
			off, size := 0.0, 0.0
			a, b := tensors.MustCopyFlatData[float32](want[i]), tensors.MustCopyFlatData[float32](got[i])
			for k := range a {
				off += math.Pow(float64(a[k]-b[k]), 2)
				size += math.Pow(float64(a[k]), 2)
			}
			if name == "/layer_0/attention/key/bias" { // softmax does not see it: no gradient but rounding
				require.InDelta(t, 0, off, 1e-6)
				continue
			}
			require.Less(t, math.Sqrt(off/size), 0.03, name)
			require.NotZero(t, off, name)
		}
	})
}

// Between layers in bfloat16 too, the states and the weights' gradients are those of float32 but for rounding: layer normalisation,
// softmax, activation and the sums of biases' gradients are not taken in bfloat16.
func TestStatesInBFloat16(t *testing.T) {
	x := make([]float32, 2*5*width)
	for i, v := range flat(normal(31, len(x))) {
		x[i] = float32(v)
	}
	dropping := small
	dropping.Dropout = 0.25
	var names []string
	train := func(t *testing.T, be compute.Backend, dtype dtypes.DType) []*tensors.Tensor {
		store := float32Store(dtype)
		return run(t, be, store, func(scope *model.Scope, in []*Node) []*Node {
			state := ConvertDType(Reshape(in[0], 2, 5, width), dtype)
			out := layers.Encoder(scope, state, []*Node{nil, nil}, in[1], dropping)[1]
			require.Equal(t, dtype, out.DType())
			out = ConvertDType(out, dtypes.Float32)
			names = slices.Sorted(slices.Values(paths(store)))
			wrt := []*Node{in[0]}
			for _, path := range names {
				wrt = append(wrt, store.GetVariable(path).NodeValue(out))
			}
			weights := ConvertDType(Sin(IotaFull(out.Graph(), out.Shape())), dtypes.Float32)
			return append([]*Node{out}, Gradient(ReduceAllSum(Mul(weights, out)), wrt...)...)
		}, x, []uint64{1, 2, 0})
	}
	want := train(t, backendtest.Go(t), dtypes.Float32)
	t.Run("xla", func(t *testing.T) { // pure Go is refused by who trains
		got := train(t, backendtest.XLA(t), dtypes.BFloat16)
		var off, size [2]float64 // of the states, and of all gradients together: of one alone, little may be left but rounding
		for i, name := range append([]string{"states", "input"}, names...) {
			a, b := tensors.MustCopyFlatData[float32](want[i]), tensors.MustCopyFlatData[float32](got[i])
			before := off
			for k := range a {
				off[min(i, 1)] += math.Pow(float64(a[k]-b[k]), 2)
				size[min(i, 1)] += math.Pow(float64(a[k]), 2)
			}
			require.NotEqual(t, before, off, name)
		}
		for i, what := range []string{"states", "gradients"} {
			t.Logf("%s: %.3f of their norm", what, math.Sqrt(off[i]/size[i]))
			require.Less(t, math.Sqrt(off[i]/size[i]), 0.08, what)
		}
	})
}

// Only products are taken in another dtype: what is not one, or a change of shape or dtype beside one, is float32, in both
// directions. Pure Go rounds to it and multiplies in float32. Asking for the dtype that the operands have, or for none, changes
// no operation.
func TestMatMulDTypeIsOnlyOfProducts(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		graph := func(dtype dtypes.DType) *Graph {
			g, store := NewGraph(be, "graph"), float32Store(dtype)
			t.Cleanup(g.Finalize)
			model.SetStore(g, store)
			out := logits(store.RootScope(), Parameter(g, "x", shapes.Make(dtypes.Float32, 2, 3, width)))
			var variables []*Node
			for _, path := range slices.Sorted(slices.Values(paths(store))) {
				variables = append(variables, store.GetVariable(path).NodeValue(g))
			}
			Gradient(ReduceAllSum(out), variables...)
			return g
		}
		plain := graph(dtypes.InvalidDType)
		require.Equal(t, plain.String(), graph(dtypes.Float32).String())

		const all = 3 * 7 // queries, keys and values, 2 + 1 in attention, 2 in feed-forward, 1 with the vocabulary, and two gradients of each
		want, allowed := all, []NodeType{NodeTypeConvertDType, NodeTypeDotGeneral, NodeTypeTranspose, NodeTypeReshape}
		if be.Name() == "Go Backend" {
			want, allowed = 0, allowed[:1]
		}
		rounded, products := graph(dtypes.BFloat16), 0
		for _, node := range rounded.Nodes() {
			if node.NumOutputs() != 1 || node.DType() != dtypes.BFloat16 {
				continue
			}
			require.Contains(t, allowed, node.Type(), "%s", node)
			if node.Type() == NodeTypeDotGeneral {
				products++
			}
		}
		require.Equal(t, want, products)
		require.Equal(t, all+3, count(rounded, NodeTypeDotGeneral), "the position table is spread, and its gradient summed, in float32")
	})
}

// Without a dtype Product is Einsum, operation by operation, in both directions.
func TestProductIsEinsum(t *testing.T) {
	for _, test := range []struct {
		equation string
		a, b     []int
	}{
		{"bsh,vh->bsv", []int{2, 3, 4}, []int{5, 4}},
		{"bqnd,bknd->bnqk", []int{2, 3, 4, 5}, []int{2, 6, 4, 5}},
		{"bnqk,bknd->bqnd", []int{2, 4, 3, 6}, []int{2, 6, 4, 5}},
		{"ab,bc->ca", []int{2, 3}, []int{3, 4}},
		{"ab,cb->ac", []int{2, 3}, []int{4, 3}},
		{"a,b->ba", []int{2}, []int{3}},
		{"abc,abc->", []int{2, 3, 4}, []int{2, 3, 4}},
		{"ab,ab->ab", []int{2, 3}, []int{2, 3}},
	} {
		graph := func(product func(scope *model.Scope, equation string, a, b *Node) *Node) string {
			g, store := NewGraph(backendtest.Go(t), "graph"), float64Store()
			defer g.Finalize()
			a := Parameter(g, "a", shapes.Make(dtypes.Float64, test.a...))
			b := Parameter(g, "b", shapes.Make(dtypes.Float64, test.b...))
			Gradient(ReduceAllSum(product(store.RootScope(), test.equation, a, b)), a, b)
			return g.String()
		}
		einsum := func(_ *model.Scope, equation string, a, b *Node) *Node { return Einsum(equation, a, b) }
		require.Equal(t, graph(einsum), graph(layers.Product), test.equation)
	}
}

func TestProductNeedsFittingEquation(t *testing.T) {
	for _, equation := range []string{
		"", "ab", "ab,bc", "abc,bd->acd", "ab,bc->ab", "ab,bc->abcd", "ab,bc->ad", "aa,bc->ac", "ab,cd->aacd",
	} {
		require.Panics(t, func() {
			build(t, float64Store(), func(scope *model.Scope, x *Node) { layers.Product(scope, equation, x, x) }, 3, 3)
		}, "%q", equation)
	}
	require.PanicsWithError(t, `layers: "abc,c->ab" is no product of (Float64)[3, 3] and (Float64)[3, 3]`, func() {
		build(t, float64Store(), func(scope *model.Scope, x *Node) { layers.Product(scope, "abc,c->ab", x, x) }, 3, 3)
	})
}

// A sum of bfloat16 products is taken in float32 and rounded once: in bfloat16 it would stop at 256.
func TestBFloat16SumsInFloat32(t *testing.T) {
	ones := slices.Repeat([]float32{1}, 4096)
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		out := run(t, be, float32Store(dtypes.BFloat16), func(scope *model.Scope, in []*Node) []*Node {
			sum := layers.Product(scope, "k,k->", in[0], in[0])
			matrix := layers.Product(scope, "ik,kj->ij", Reshape(in[0], 64, 64), Reshape(in[0], 64, 64))
			return []*Node{sum, Gradient(ReduceAllSum(layers.Product(scope, "i,k->ik", in[1], in[0])), in[1])[0], ReduceAllMax(matrix)}
		}, ones, []float32{1})
		require.Equal(t, []any{float32(4096), []float32{4096}, float32(64)}, []any{out[0].Value(), out[1].Value(), out[2].Value()})
	})
}

// A product in bfloat16 is that of the rounded operands, whichever of their axes it sums over.
func TestBFloat16ProductsExchangeAxes(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for _, equation := range []string{"rk,ko->ro", "kr,ko->ro", "rk,ok->ro", "kr,ok->ro"} {
			got := run(t, be, float32Store(dtypes.BFloat16), func(scope *model.Scope, in []*Node) []*Node {
				operand := func(axes string, seed float64) *Node { // whole numbers, which bfloat16 has
					sizes := map[byte]int{'r': 6, 'k': 48, 'o': 16}
					shape := shapes.Make(dtypes.Float32, sizes[axes[0]], sizes[axes[1]])
					return Floor(MulScalar(Sin(MulScalar(IotaFull(in[0].Graph(), shape), seed)), 5))
				}
				a, b := operand(equation[:2], 3), operand(equation[3:5], 7)
				return []*Node{layers.Product(scope, equation, a, b), ConvertDType(ConvertDType(Einsum(equation, a, b), dtypes.BFloat16), dtypes.Float32)}
			}, float32(0))
			require.Equal(t, tensors.MustCopyFlatData[float32](got[1]), tensors.MustCopyFlatData[float32](got[0]), equation)
		}
	})
}
