// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"fmt"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/layers"
)

// encoded runs an encoder of three layers that share what block says, and returns its states and the gradients of a loss by the path
// of each weight.
func encoded(t *testing.T, be compute.Backend, store *model.Store, block layers.Block, key *tensors.Tensor) (states []float64, gradients map[string][]float64) {
	t.Helper()
	var names []string
	args := []any{normal(31, 2, 3, width)}
	if key != nil {
		args = append(args, key)
	}
	out := run(t, be, store, func(scope *model.Scope, in []*Node) []*Node {
		var drops *Node
		if len(in) > 1 {
			drops = in[1]
		}
		all := layers.Encoder(scope, in[0], make([]*Node, 3), drops, block)
		y := all[2]
		loss := ReduceAllSum(Sin(MulScalar(y, 1.5)))
		var wrt []*Node
		names = paths(store)
		for _, path := range names {
			wrt = append(wrt, store.GetVariable(path).NodeValue(y))
		}
		return append([]*Node{y}, Gradient(loss, wrt...)...)
	}, args...)
	gradients = map[string][]float64{}
	for i, path := range names {
		gradients[path] = flat(out[1+i])
	}
	return flat(out[0]), gradients
}

// Where layers share weights, the model is that of layers whose weights are equal, and a shared weight's gradient is the sum of
// theirs; what is not shared has the gradient that it had.
func TestSharedGradientIsTheSumOfTheLayers(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for _, sharing := range []layers.LayerSharing{layers.ShareFeedForward, layers.ShareLayers} {
			for _, preNorm := range []bool{false, true} {
				block := small
				block.PreNorm, block.Init, block.Sharing = preNorm, layers.InitNormal(0.4), sharing
				shared := float64Store()
				states, sums := encoded(t, be, shared, block, nil)

				block.Sharing = layers.ShareNothing
				alone := float64Store()
				for i := range 3 {
					for _, w := range block.Weights(width) {
						path := func(layer int) string { return model.JoinPath("/", layers.LayerName(layer), w.Part, w.Kind) }
						from := path(i)
						if (layers.Block{Sharing: sharing}).Shares(w) {
							from = path(0)
						}
						set(t, alone, path(i), tensors.FromFlatDataAndDimensions(flat(shared.GetVariable(from).MustValue()), w.Shape...))
					}
				}
				want, own := encoded(t, be, alone, block, nil)
				require.InDeltaSlice(t, want, states, 1e-13)
				checked := 0
				for _, w := range block.Weights(width) {
					part := model.JoinPath(w.Part, w.Kind)
					total := make([]float64, len(own["/layer_0/"+part]))
					for i := range 3 {
						path := fmt.Sprintf("/layer_%d/%s", i, part)
						for k, g := range own[path] {
							total[k] += g
						}
						if gradient, ok := sums[path]; ok && !(layers.Block{Sharing: sharing}).Shares(w) {
							require.InDeltaSlice(t, own[path], gradient, 1e-11, path)
							checked++
						}
					}
					if (layers.Block{Sharing: sharing}).Shares(w) {
						require.InDeltaSlice(t, total, sums["/layer_0/"+part], 1e-11, part)
						checked++
					}
				}
				if preNorm {
					checked += 2 // the last normalisation is no layer's
				}
				require.Len(t, sums, checked)
			}
		}
	})
}

// What is shared lies in the first layer; normalisations and biases do not, unless all is.
func TestSharedWeights(t *testing.T) {
	block := small
	count := func(i int) (list []string) {
		for _, w := range block.WeightsOf(i, width) {
			list = append(list, fmt.Sprint(w.Part, "/", w.Kind))
		}
		return list
	}
	all := count(1)
	block.Sharing = layers.ShareFeedForward
	require.Equal(t, all, count(0))
	rest := count(1)
	require.Len(t, rest, len(all)-2)
	require.NotContains(t, rest, "ffn_in/weights")
	require.NotContains(t, rest, "ffn_out/weights")
	require.Subset(t, rest, []string{"ffn_in/bias", "ffn_out/bias", "ffn_norm/gain", "attention/query/weights"})
	block.Sharing = layers.ShareLayers
	require.Equal(t, all, count(0))
	require.Empty(t, count(1))
}

// Layers of one scope drop apart, as those of three do.
func TestSharedLayersDropApart(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		block := layers.Block{Heads: heads, FFN: 8, Activation: layers.ReLU, Dropout: 0.5, Epsilon: 1e-6, Init: layers.InitZeros, PreNorm: true, Sharing: layers.ShareLayers}
		store := float64Store()
		for _, bias := range []string{"attention/output", "ffn_out"} { // of maps that answer nothing else
			set(t, store, "/layer_0/"+bias+"/bias", []float64{1, 1, 1, 1, 1, 1, 1, 1}[:width])
		}
		out := run(t, be, store, func(scope *model.Scope, in []*Node) []*Node {
			states := layers.Encoder(scope, in[0], make([]*Node, 3), in[1], block)
			return []*Node{Sub(states[0], in[0]), Sub(states[1], states[0])}
		}, normal(32, 2, 3, width), key(1, 2, 0))
		require.NotEqual(t, flat(out[0]), flat(out[1]))
	})
}

func TestSharingAsksForDenseMaps(t *testing.T) {
	block := small
	block.Sharing, block.FeedForward = layers.ShareFeedForward, other{}
	require.PanicsWithError(t, "layers: only dense feed-forward maps are shared by layers, not a layers_test.other", func() {
		build(t, float64Store(), func(scope *model.Scope, x *Node) {
			layers.Encoder(scope, x, make([]*Node, 2), nil, block)
		}, 2, 3, width)
	})
}

// other is a map that answers what it is asked.
type other struct{}

func (other) Weights(int) []layers.Weight            { return nil }
func (other) Apply(_ *model.Scope, x, _ *Node) *Node { return x }
