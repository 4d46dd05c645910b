// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"maps"
	"slices"
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

// small is a layer of the tests' width.
var small = layers.Block{Heads: heads, FFN: 8, Activation: layers.ReLU, Epsilon: 1e-6, Init: layers.InitFanIn}

// A post-LN layer is LN(x + attention) then LN(… + feed-forward): at zero dense weights nothing but the two
// normalisations, and each layer of an encoder has weights of its own.
func TestEncoder(t *testing.T) {
	block := small
	block.Init = layers.InitZeros
	x := normal(8, 2, 3, width)
	store := float64Store()
	got := runGo(t, store, func(scope *model.Scope, in []*Node) *Node {
		return layers.Encoder(scope, in[0], make([]*Node, 2), nil, block)[1]
	}, x)
	want := runGo(t, float64Store(), func(scope *model.Scope, in []*Node) *Node {
		y := in[0]
		for i := range 4 {
			y = layers.LayerNorm(scope.In("norm_%d", i), y, 1e-6)
		}
		return y
	}, x)
	require.InDeltaSlice(t, flat(want), flat(got), 1e-12)
	names := paths(store)
	require.Len(t, names, 2*(4*2+2+2*2+2))
	require.Contains(t, names, "/layer_0/attention/query/weights")
	require.Contains(t, names, "/layer_1/ffn_norm/offset")
}

// paths lists the variables of a store.
func paths(store *model.Store) []string {
	var names []string
	for v := range store.IterVariables() {
		names = append(names, v.Path())
	}
	return names
}

// randomise gives every variable of a fresh graph other values than its first, so that no gain of 1 or bias of 0 hides
// a mistake.
func randomise(t *testing.T, store *model.Store) {
	t.Helper()
	for i, path := range slices.Sorted(slices.Values(paths(store))) {
		v := store.GetVariable(path)
		require.NoError(t, v.SetValue(normal(uint64(100+i), v.Shape().Dimensions...)))
	}
}

// Two layers with a bias each, every state, both places of the layer normalisation, all against loops.
func TestEncoderAgainstLoops(t *testing.T) {
	const s = 4
	x := normal(9, 1, s, width)
	biases := []*tensors.Tensor{normal(10, 1, heads, s, s), normal(11, 1, heads, s, s)}
	for name, preNorm := range map[string]bool{"post": false, "pre": true} {
		t.Run(name, func(t *testing.T) {
			block, store := small, float64Store()
			block.PreNorm = preNorm
			encode := func(scope *model.Scope, in []*Node) []*Node {
				return layers.Encoder(scope, in[0], in[1:], nil, block)
			}
			run(t, backendtest.Go(t), store, encode, x, biases[0], biases[1])
			randomise(t, store)
			got := run(t, backendtest.Go(t), store, encode, x, biases[0], biases[1])

			r, state := reference{store}, flat(x)
			require.Len(t, got, 2)
			for i, layer := range []string{"/layer_0", "/layer_1"} {
				attention := func(x []float64) []float64 { return r.attention(layer+"/attention", x, flat(biases[i])) }
				if preNorm {
					state = plus(state, attention(r.norm(layer+"/attention_norm", state)))
					state = plus(state, r.feedForward(layer, r.norm(layer+"/ffn_norm", state)))
				} else {
					state = r.norm(layer+"/attention_norm", plus(state, attention(state)))
					state = r.norm(layer+"/ffn_norm", plus(state, r.feedForward(layer, state)))
				}
				want := state
				if preNorm && i == 1 {
					want = r.norm("/final_norm", state)
				}
				require.InDeltaSlice(t, want, flat(got[i]), 1e-9, "layer %d", i)
			}
		})
	}
}

// A checkpoint fits both: pre-LN has the variables of post-LN, of the same first values, and one normalisation more.
func TestPreNormVariables(t *testing.T) {
	start := func(preNorm bool) map[string][]float64 {
		block, store := small, float64Store()
		block.PreNorm = preNorm
		build(t, store, func(scope *model.Scope, x *Node) { layers.Encoder(scope, x, make([]*Node, 2), nil, block) }, 1, 3, width)
		values := map[string][]float64{}
		for _, path := range paths(store) {
			values[path] = flat(store.GetVariable(path).MustValue())
		}
		return values
	}
	post, pre := start(false), start(true)
	require.Contains(t, pre, "/final_norm/gain")
	require.Contains(t, pre, "/final_norm/offset")
	maps.DeleteFunc(pre, func(path string, _ []float64) bool { return path == "/final_norm/gain" || path == "/final_norm/offset" })
	require.Equal(t, post, pre)
}

// A pre-LN layer whose last maps start at 0 adds nothing: its input comes through as it is. InitResidual reaches these two
// maps and no other.
func TestInitResidual(t *testing.T) {
	block, store := small, float64Store()
	block.PreNorm, block.InitResidual = true, layers.InitZeros
	x := normal(12, 2, 3, width)
	out := run(t, backendtest.Go(t), store, func(scope *model.Scope, in []*Node) []*Node {
		return layers.Encoder(scope, in[0], make([]*Node, 2), nil, block)
	}, x)
	require.Equal(t, flat(x), flat(out[0]))

	plain, zero := float64Store(), make([]string, 0)
	runGo(t, plain, func(scope *model.Scope, in []*Node) *Node {
		return layers.Encoder(scope, in[0], make([]*Node, 2), nil, small)[1]
	}, x)
	for _, path := range paths(plain) {
		a, b := flat(plain.GetVariable(path).MustValue()), flat(store.GetVariable(path).MustValue())
		if !slices.Equal(a, b) {
			require.Equal(t, make([]float64, len(b)), b)
			zero = append(zero, path)
		}
	}
	require.ElementsMatch(t, []string{
		"/layer_0/attention/output/weights", "/layer_0/ffn_out/weights", "/layer_1/attention/output/weights", "/layer_1/ffn_out/weights",
	}, zero)
}

// Recomputing changes neither the loss nor any gradient, with dropout on, and it does recompute: the graph multiplies the
// forward pass's matrices twice. The states that it returns may be used outside the encoder.
func TestRecompute(t *testing.T) {
	for _, test := range []struct {
		name    string
		be      func(testing.TB) compute.Backend
		depth   int
		preNorm bool
	}{
		{"go, post-LN", backendtest.Go, 2, false},
		{"go, pre-LN", backendtest.Go, 2, true},
		{"xla", backendtest.XLA, 1, false}, // two layers take XLA ten seconds to compile
	} {
		t.Run(test.name, func(t *testing.T) {
			be, block := test.be(t), small
			block.Dropout, block.PreNorm = 0.3, test.preNorm
			plain, products := gradients(t, be, block, test.depth)
			forward := 6 * test.depth // products in the forward pass: queries, keys and values, 2 + 1 in attention, 2 in feed-forward
			require.Equal(t, 3*forward, products)

			block.Recompute = true
			recomputed, products := gradients(t, be, block, test.depth)
			require.Greater(t, products, 3*forward+forward/2)
			for i := range plain {
				require.InDeltaSlice(t, plain[i], recomputed[i], 1e-12)
			}
		})
	}
}

// gradients runs an encoder with dropout. It returns a loss of all its states, the gradients of the input, of the bias
// and of all variables by path, and the number of matrix products in the graph.
func gradients(t *testing.T, be compute.Backend, block layers.Block, depth int) (values [][]float64, products int) {
	t.Helper()
	store := float64Store()
	out := run(t, be, store, func(scope *model.Scope, in []*Node) []*Node {
		loss := ScalarZero(in[0].Graph(), dtypes.Float64)
		for i, state := range layers.Encoder(scope, in[0], slices.Repeat([]*Node{in[1]}, depth), in[2], block) {
			loss = Add(loss, ReduceAllSum(Sin(MulScalar(state, float64(i+1)))))
		}
		wrt := []*Node{in[0], in[1]}
		for _, path := range slices.Sorted(slices.Values(paths(store))) {
			wrt = append(wrt, store.GetVariable(path).NodeValue(loss))
		}
		all := append([]*Node{loss}, Gradient(loss, wrt...)...)
		products = count(loss.Graph(), NodeTypeDotGeneral)
		return all
	}, normal(13, 2, 3, width), normal(14, 1, heads, 3, 3), key(1, 2, 0))
	for i := range out {
		values = append(values, flat(out[i]))
	}
	return values, products
}

// count is the number of nodes of one type in a graph.
func count(g *Graph, kind NodeType) int {
	n := 0
	for _, node := range g.Nodes() {
		if node.Type() == kind {
			n++
		}
	}
	return n
}

// Each layer reads its own bias: with the two exchanged the second layer's state differs, and a nil bias is one of zeros.
func TestEncoderBiasPerLayer(t *testing.T) {
	const s = 3
	store, x := float64Store(), normal(15, 1, s, width)
	// encode gives layer i the bias in[1+pick[i]], or none if that is negative.
	a, b := normal(16, 1, heads, s, s), normal(17, 1, heads, s, s)
	zero := tensors.FromFlatDataAndDimensions(make([]float64, heads*s*s), 1, heads, s, s)
	encode := func(pick ...int) [][]float64 {
		out := run(t, backendtest.Go(t), store, func(scope *model.Scope, in []*Node) []*Node {
			biases := make([]*Node, len(pick))
			for i, p := range pick {
				if p >= 0 {
					biases[i] = in[1+p]
				}
			}
			return layers.Encoder(scope, in[0], biases, nil, small)
		}, x, a, b, zero)
		return [][]float64{flat(out[0]), flat(out[1])}
	}
	ab, aa, ba := encode(0, 1), encode(0, 0), encode(1, 0)
	require.Equal(t, ab[0], aa[0])
	require.NotEqual(t, ab[1], aa[1])
	require.NotEqual(t, ab[0], ba[0])
	require.NotEqual(t, ab[1], ba[1])
	require.Equal(t, encode(2, 1), encode(-1, 1))
	require.Equal(t, encode(0, 2), encode(0, -1))
}

// Where states are narrow, the activation between the two maps of a feed-forward is computed again for the gradient: loss and
// gradients are those of a map that keeps it, to the bit. Where they are not narrow, nothing is computed again.
func TestRecomputedActivation(t *testing.T) {
	curved := small
	curved.Activation = layers.GELU
	build := func(scope *model.Scope, x *Node, recompute bool) []*Node {
		f := curved.DenseFeedForward()
		require.True(t, f.Recompute, "a block that is not recomputed as a whole")
		f.Recompute = recompute
		out := ConvertDType(f.Apply(scope, x, nil), dtypes.Float32)
		loss := ReduceAllSum(Sin(out))
		wrt := []*Node{x}
		for _, path := range slices.Sorted(slices.Values(paths(scope.Store()))) {
			wrt = append(wrt, scope.Store().GetVariable(path).NodeValue(loss))
		}
		return append([]*Node{loss}, Gradient(loss, wrt...)...)
	}
	activations := map[bool]int{}
	gradients := func(dtype dtypes.DType, recompute bool) (values [][]float32) {
		x := make([]float32, 2*5*width)
		for i, v := range flat(normal(31, len(x))) {
			x[i] = float32(v)
		}
		out := run(t, backendtest.XLA(t), float32Store(dtype), func(scope *model.Scope, in []*Node) []*Node {
			all := build(scope, ConvertDType(Reshape(in[0], 2, 5, width), dtype), recompute)
			activations[recompute] = count(all[0].Graph(), NodeTypeErf)
			all[1] = ConvertDType(all[1], dtypes.Float32)
			return all
		}, x)
		for _, o := range out {
			values = append(values, tensors.MustCopyFlatData[float32](o))
		}
		return values
	}
	require.Equal(t, gradients(dtypes.BFloat16, false), gradients(dtypes.BFloat16, true))
	require.Greater(t, activations[true], activations[false])
	require.Equal(t, gradients(dtypes.Float32, false), gradients(dtypes.Float32, true))
	require.Equal(t, activations[false], activations[true])

	curved.Recompute = true
	require.False(t, curved.DenseFeedForward().Recompute, "a part of what is recomputed as a whole")
}
