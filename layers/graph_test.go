// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"math/rand/v2"
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

// parts is a graph of several outputs on a store of variables.
type parts = func(scope *model.Scope, in []*Node) []*Node

// float64Store makes variables that a test can compare closely.
func float64Store() *model.Store {
	store := model.NewStore()
	store.SetParam(layers.ParamDType, dtypes.Float64)
	store.SetParam(layers.ParamSeed, int64(1))
	return store
}

// set puts a value into the variable at path before a graph asks for it.
func set(t *testing.T, store *model.Store, path string, value any) {
	t.Helper()
	tensor, ok := value.(*tensors.Tensor)
	if !ok {
		tensor = tensors.MustFromAnyValue(value)
	}
	_, err := store.CreateVariable(path, tensor)
	require.NoError(t, err)
}

// run runs a graph once.
func run(t *testing.T, be compute.Backend, store *model.Store, graph parts, args ...any) []*tensors.Tensor {
	t.Helper()
	exec, err := model.NewExec(be, store, graph)
	require.NoError(t, err)
	defer exec.Finalize()
	out, err := exec.Call(args...)
	require.NoError(t, err)
	return out
}

// runGo runs a graph once in pure Go and returns its only output.
func runGo(t *testing.T, store *model.Store, graph func(scope *model.Scope, in []*Node) *Node, args ...any) *tensors.Tensor {
	t.Helper()
	return run(t, backendtest.Go(t), store, func(scope *model.Scope, in []*Node) []*Node { return []*Node{graph(scope, in)} }, args...)[0]
}

// normal draws a tensor from N(0, 1).
func normal(seed uint64, dims ...int) *tensors.Tensor {
	rng := rand.New(rand.NewPCG(seed, 0))
	size := 1
	for _, d := range dims {
		size *= d
	}
	values := make([]float64, size)
	for i := range values {
		values[i] = rng.NormFloat64()
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

func flat(x *tensors.Tensor) []float64 { return tensors.MustCopyFlatData[float64](x) }

// build makes a graph on an input of the given shape without running it, so that panics come out as they are.
func build(t *testing.T, store *model.Store, graph func(scope *model.Scope, x *Node), dims ...int) {
	t.Helper()
	g := NewGraph(backendtest.Go(t), t.Name())
	defer g.Finalize()
	model.SetStore(g, store)
	graph(store.RootScope(), Parameter(g, "x", shapes.Make(dtypes.Float64, dims...)))
}
