// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"slices"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/layers"
)

// Every gradient of everything that trains, by the input and by each variable, against central differences in float64, with
// dropout on. (That recomputing changes no gradient is TestRecompute's.)
func TestGradients(t *testing.T) {
	const s = 3
	encoder := func(preNorm bool) func(scope *model.Scope, x, key *Node) *Node {
		block := small
		block.PreNorm, block.Dropout = preNorm, 0.3
		return func(scope *model.Scope, x, key *Node) *Node {
			t5 := layers.Param(scope, x, "t5_table", layers.InitNormal(1), 8, heads)
			signedLog := layers.Param(scope, x, "signed_log_table", layers.InitNormal(1), 8, heads)
			biases := []*Node{layers.T5PositionBias(t5, s, 16), layers.RelativePositionBias(signedLog, s, 16)}
			states := layers.Encoder(scope, x, biases, key, block)
			return Add(states[1], MulScalar(states[0], 0.5))
		}
	}
	for name, graph := range map[string]func(scope *model.Scope, x, key *Node) *Node{
		"post-LN": encoder(false),
		"pre-LN":  encoder(true),
		"product": func(scope *model.Scope, x, _ *Node) *Node {
			return layers.Product(scope, "bsh,vh->bsv", x, layers.Param(scope, x, "words", layers.InitNormal(1), 5, width))
		},
		"activations": func(_ *model.Scope, x, _ *Node) *Node {
			return Add(layers.ReLU(x), Add(layers.GELU(x), layers.GELUTanh(x)))
		},
	} {
		t.Run(name, func(t *testing.T) { checkGradients(t, graph, normal(20, 2, s, width)) })
	}
}

// checkGradients compares the gradients of a loss of graph with central differences, element by element.
func checkGradients(t *testing.T, graph func(scope *model.Scope, x, key *Node) *Node, x *tensors.Tensor) {
	t.Helper()
	const step = 1e-5
	store := float64Store()
	var names []string
	exec := model.MustNewExec(backendtest.Go(t), store, func(scope *model.Scope, in []*Node) []*Node {
		loss := ReduceAllSum(Sin(graph(scope, in[0], in[1])))
		names = slices.Sorted(slices.Values(paths(store)))
		wrt := []*Node{in[0]}
		for _, path := range names {
			wrt = append(wrt, store.GetVariable(path).NodeValue(loss))
		}
		return append([]*Node{loss}, Gradient(loss, wrt...)...)
	})
	defer exec.Finalize()
	values, dims := flat(x), x.Shape().Dimensions
	call := func() []*tensors.Tensor {
		return exec.MustCall(tensors.FromFlatDataAndDimensions(slices.Clone(values), dims...), key(1, 2, 0))
	}
	call() // makes the variables
	randomise(t, store)
	analytic := call()

	check := func(name string, analytic, at []float64, changed func()) {
		for i, v := range at {
			at[i] = v + step
			changed()
			above := call()[0].Value().(float64)
			at[i] = v - step
			changed()
			below := call()[0].Value().(float64)
			at[i] = v
			changed()
			require.InDelta(t, (above-below)/(2*step), analytic[i], 2e-7*(1+max(analytic[i], -analytic[i])), "%s, element %d", name, i)
		}
	}
	check("input", flat(analytic[1]), values, func() {})
	for i, name := range names {
		v := store.GetVariable(name)
		at := flat(v.MustValue())
		check(name, flat(analytic[2+i]), at, func() {
			require.NoError(t, v.SetValue(tensors.FromFlatDataAndDimensions(slices.Clone(at), v.Shape().Dimensions...)))
		})
	}
}

// The learned bias trains, on every backend, in every layer: fused attention kernels leave its gradient out without a word.
// Buckets that no pair of positions falls into have none.
func TestBiasGradientIsNotZero(t *testing.T) {
	const s, bins = 4, 8
	var want [][]float64 // of pure Go
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		got := run(t, be, float64Store(), func(scope *model.Scope, in []*Node) []*Node {
			attention := layers.SelfAttention{Heads: heads, Init: layers.InitFanIn}
			x := attention.Apply(scope.In("t5"), in[0], layers.T5PositionBias(in[1], s, 16), nil)
			x = attention.Apply(scope.In("signed_log"), x, layers.RelativePositionBias(in[2], s, 16), nil)
			return Gradient(ReduceAllSum(Sin(x)), in[1], in[2])
		}, normal(21, 2, s, width), normal(22, bins, heads), normal(23, bins, heads))
		want = append(want, flat(got[0]), flat(got[1]))
		for i, bucket := range []func(n, bins, maxDistance int) int{layers.T5Bucket, layers.SignedLogBucket} {
			gradient := flat(got[i])
			require.InDeltaSlice(t, want[i], gradient, 1e-12)
			used := map[int]bool{}
			for n := 1 - s; n < s; n++ {
				used[bucket(n, bins, 16)] = true
			}
			for row := range bins {
				for head := range heads {
					require.Equal(t, used[row], gradient[row*heads+head] != 0, "table %d, bucket %d, head %d", i, row, head)
				}
			}
		}
	})
}
