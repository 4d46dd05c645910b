// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"encoding/json"
	"math"
	"os"
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

// superTiny is testdata/supertiny.json: what the published code of Super Tiny Language Models makes of weights that are drawn, in float32.
// scripts/parity/supertiny.py writes it.
type superTiny struct {
	Tokens       []string
	Width, Bytes int
	Pools        []struct {
		ByteWidth int `json:"byte_width"`
		Weights   int
		IDs       [][]int
		Vectors   [][]float32
		Slopes    [][2]float64 // of Σ sin(vectors), by weight: along a direction that is drawn, and the gradient's norm
	}
	Shared struct {
		Layers, Width, Heads, Inner, Batch, Length int
		States                                     [][][]float32 // after each layer
		FFNIn                                      [][]float32   `json:"ffn_in"` // gradients of Σ sin(1.5·states)
		FFNOut                                     [][]float32   `json:"ffn_out"`
		FFNInBias                                  []float32     `json:"ffn_in_bias"`
		FFNOutBias                                 []float32     `json:"ffn_out_bias"`
	}
}

func readSuperTiny(t *testing.T) (fixture superTiny) {
	t.Helper()
	text, err := os.ReadFile("testdata/supertiny.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &fixture))
	return fixture
}

// drawn are the numbers of a place in around ± scale that the script has too.
func drawn(place int, scale, around float64, dims ...int) *tensors.Tensor {
	size := 1
	for _, d := range dims {
		size *= d
	}
	values := make([]float32, size)
	for i := range values {
		x := uint32(i+1+1_000_003*place) * 2_654_435_761
		x = (x ^ x>>16) * 0x45d9f3b
		x ^= x >> 16
		values[i] = float32(around + scale*(float64(x)/(1<<31)-1))
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

// pool is the embedder of the tokens, and its weights; without the vectors of free tokens, which are ours, size of them.
func (f superTiny) pool(t *testing.T, byteWidth int) (e layers.BytePool, store *model.Store, size int) {
	t.Helper()
	e = layers.BytePool{Vocab: len(f.Tokens), Width: f.Width, Bytes: f.Bytes, ByteWidth: byteWidth, All: true, Free: 5}
	for _, token := range f.Tokens {
		e.Spelling.Bytes = append(e.Spelling.Bytes, []byte(token))
	}
	store = model.NewStore()
	for place, w := range e.Weights() {
		scale, around := 1.0, 0.0
		switch w.Role {
		case layers.RoleNorm:
			scale, around = 0.5, 1
		case layers.RoleDense:
			scale = 1.5 * math.Sqrt(3/float64(w.Shape[0]))
		}
		value := drawn(place, scale, around, w.Shape...)
		if w.Part != "free_embedding" {
			size += value.Size()
		}
		set(t, store, model.JoinPath("/", w.Part, w.Kind), value)
	}
	return e, store, size
}

// Tokens have the vectors, and the weights the gradients, of the published code, at its width of bytes and at ours.
func TestBytePoolIsSuperTinys(t *testing.T) {
	fixture := readSuperTiny(t)
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for _, want := range fixture.Pools {
			e, store, size := fixture.pool(t, want.ByteWidth)
			require.Equal(t, want.Weights, size)
			out := run(t, be, store, func(scope *model.Scope, in []*Node) []*Node {
				w := nodes(scope, in[0], e)
				vectors := e.Output(scope, w)
				out := []*Node{vectors}
				for i, gradient := range Gradient(ReduceAllSum(Sin(vectors)), w...) {
					direction := Const(in[0].Graph(), drawn(1000+i, 1, 0, w[i].Shape().Dimensions...))
					out = append(out, ReduceAllSum(Mul(ConvertDType(gradient, dtypes.Float64), ConvertDType(direction, dtypes.Float64))))
				}
				return out
			}, float32(0))
			vectors := tensors.MustCopyFlatData[float32](out[0])
			worst, steepest := 0.0, 0.0
			for id, vector := range want.Vectors {
				worst = max(worst, largestGap32(vector, vectors[id*e.Width:][:e.Width]))
			}
			for i, slope := range want.Slopes {
				steepest = max(steepest, math.Abs(slope[0]-out[1+i].Value().(float64))/(1+slope[1]))
			}
			t.Logf("bytes of width %d: vectors within %.1e, slopes within %.1e", want.ByteWidth, worst, steepest)
			require.Less(t, worst, 2e-5)
			require.Less(t, steepest, 1e-4)
		}
	})
}

// With places that hold no byte left out, which is ours, a token whose bytes leave none is the published one, and every other another.
func TestMaskedPoolIsSuperTinysWhereBytesFillIt(t *testing.T) {
	fixture := readSuperTiny(t)
	e, store, _ := fixture.pool(t, fixture.Pools[0].ByteWidth)
	e.All = false
	out := runGo(t, store, func(scope *model.Scope, in []*Node) *Node { return e.Output(scope, nodes(scope, in[0], e)) }, float32(0))
	vectors, full := tensors.MustCopyFlatData[float32](out), 0
	for id, want := range fixture.Pools[0].Vectors {
		gap := largestGap32(want, vectors[id*e.Width:][:e.Width])
		if len(fixture.Tokens[id]) >= e.Bytes {
			require.Less(t, gap, 2e-5, "%q", fixture.Tokens[id])
			full++
		} else {
			require.Greater(t, gap, 1e-2, "%q", fixture.Tokens[id])
		}
	}
	require.Positive(t, full)
}

// The states of layers that share one feed-forward map, and the gradient of the map, are the published code's. It shares the map's
// biases too where there are any, and here each layer has its own: where these are equal the states are the same, and its gradients
// are the sums of ours.
func TestSharedFeedForwardIsSuperTinys(t *testing.T) {
	want := readSuperTiny(t).Shared
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		block := layers.Block{
			Heads: want.Heads, FFN: want.Inner, Activation: layers.GELU, Epsilon: 1e-5, Init: layers.InitFanIn, PreNorm: true, Sharing: layers.ShareFeedForward,
		}
		store, place := model.NewStore(), 0
		variable := func(layer int, w layers.Weight) string {
			return model.JoinPath("/", layers.LayerName(layer), w.Part, w.Kind)
		}
		for layer := range want.Layers {
			for _, w := range inSuperTinysOrder(block.WeightsOf(layer, want.Width)) {
				if layer > 0 && (w.Part == "ffn_in" || w.Part == "ffn_out") {
					first := tensors.MustCopyFlatData[float32](store.GetVariable(variable(0, w)).MustValue())
					set(t, store, variable(layer, w), tensors.FromFlatDataAndDimensions(first, w.Shape...))
					continue
				}
				scale, around := 0.5, 0.0
				switch {
				case w.Role == layers.RoleDense:
					scale = math.Sqrt(3 / float64(w.Shape[0]))
				case w.Kind == "gain":
					around = 1
				}
				set(t, store, variable(layer, w), drawn(place, scale, around, w.Shape...))
				place++
			}
		}
		out := run(t, be, store, func(scope *model.Scope, in []*Node) []*Node {
			x := in[0]
			var states, wrt []*Node
			for i := range want.Layers {
				x = layers.EncoderLayer(scope, i, x, make([]*Node, want.Layers), nil, block)
				states = append(states, x)
			}
			node := func(layer int, path string) *Node {
				return store.GetVariable(model.JoinPath("/", layers.LayerName(layer), path)).NodeValue(x)
			}
			wrt = append(wrt, node(0, "ffn_in/weights"), node(0, "ffn_out/weights"))
			for i := range want.Layers {
				wrt = append(wrt, node(i, "ffn_in/bias"), node(i, "ffn_out/bias"))
			}
			g := Gradient(ReduceAllSum(Sin(MulScalar(x, 1.5))), wrt...)
			in1, out1 := g[2], g[3]
			for i := 1; i < want.Layers; i++ {
				in1, out1 = Add(in1, g[2+2*i]), Add(out1, g[3+2*i])
			}
			return append(states, g[0], g[1], in1, out1)
		}, drawn(place, 1, 0, want.Batch, want.Length, want.Width))
		for i, state := range want.States {
			gap := largestGap32(slices.Concat(state...), tensors.MustCopyFlatData[float32](out[i]))
			t.Logf("states after layer %d within %.1e", i+1, gap)
			require.Less(t, gap, 2e-5)
		}
		for i, gradient := range [][]float32{slices.Concat(want.FFNIn...), slices.Concat(want.FFNOut...), want.FFNInBias, want.FFNOutBias} {
			gap := largestGap32(gradient, tensors.MustCopyFlatData[float32](out[want.Layers+i]))
			t.Logf("gradient %d within %.1e", i, gap)
			require.Less(t, gap, 1e-4)
		}
	})
}

// inSuperTinysOrder are the weights of a layer with both normalisations before the feed-forward map, as the script makes them.
func inSuperTinysOrder(list []layers.Weight) []layers.Weight {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b layers.Weight) int {
		last := func(w layers.Weight) int {
			if w.Part == "ffn_in" || w.Part == "ffn_out" {
				return 1
			}
			return 0
		}
		return last(a) - last(b)
	})
	return list
}

// largestGap32 is the largest difference between two lists of numbers, and infinite where one is longer.
func largestGap32(a, b []float32) (gap float64) {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	for i := range a {
		gap = max(gap, math.Abs(float64(a[i]-b[i])))
	}
	return gap
}
