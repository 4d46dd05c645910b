// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
)

// A graph is compiled for a GPU that is not there, and runs on the processor if that is asked for.
func TestCompilesAhead(t *testing.T) {
	for _, gpu := range GPUs() {
		for _, run := range []bool{true, false} {
			a, err := OpenAhead(gpu.Name, Needs{}, run)
			if usererr.Is(err) {
				t.Skipf("nothing compiles for a GPU here: %v", err)
			}
			require.NoError(t, err)
			square, err := graph.NewExec(a.Backend, func(x *graph.Node) *graph.Node { return graph.Exp(graph.MatMul(x, x)) })
			require.NoError(t, err)
			if run {
				results, err := square.Call([][]float32{{0, 0}, {0, 0}})
				require.NoError(t, err)
				require.Equal(t, [][]float32{{1, 1}, {1, 1}}, results[0].Value())
			} else {
				_, err := square.Compile(graphShape(2, 2))
				require.NoError(t, err)
			}
			list, err := a.Compiled()
			require.NoError(t, err)
			require.Len(t, list, 1)
			require.NotEmpty(t, list[0].Program)
			require.Equal(t, int64(16), list[0].Memory.Arguments)
			require.Equal(t, int64(16), list[0].Memory.Outputs)
			require.Positive(t, list[0].Time)
			list, err = a.Compiled()
			require.NoError(t, err)
			require.Empty(t, list, "each is returned once")
		}
	}
}

// A product that is large enough for a kernel of its own, without the kernels that depend on timing.
func TestCompilesDeterministicProductsAhead(t *testing.T) {
	a, err := OpenAhead("h100", Needs{TF32: true, Deterministic: true}, false)
	if usererr.Is(err) {
		t.Skipf("nothing compiles for a GPU here: %v", err)
	}
	require.NoError(t, err)
	product, err := graph.NewExec(a.Backend, func(x, y *graph.Node) *graph.Node { return graph.Exp(graph.MatMul(graph.Sin(x), y)) })
	require.NoError(t, err)
	_, err = product.Compile(graphShape(256, 128), graphShape(128, 256))
	require.NoError(t, err)
	list, err := a.Compiled()
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func graphShape(dims ...int) shapes.Shape { return shapes.Make(dtypes.Float32, dims...) }

func TestTargetsThatCannotBeMet(t *testing.T) {
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", t.TempDir())
	for target, want := range map[string]string{
		"b300":      `there is no target "b300"; there are a100, h100, h200`,
		"":          `there is no target ""`,
		"h100:cuda": `there is no target "h100:cuda"`,
		"h100,tf32": `there is no target "h100,tf32"`,
		"h100":      "", // a wheel is missing, or XLA
		"a100":      "",
	} {
		_, err := OpenAhead(target, Needs{TF32: true}, false)
		require.True(t, usererr.Is(err), target)
		if want == "" && xlaBuilt {
			want = "no usable XLA CUDA plugin in"
		} else if want == "" {
			want = "this program is built without XLA and cannot compile for a GPU"
		}
		require.ErrorContains(t, err, want, target)
	}
}

// Every chip has its file.
func TestGPUs(t *testing.T) {
	for _, g := range GPUs() {
		require.Contains(t, g.description(), "cuda_compute_capability")
		require.Contains(t, g.description(), `device_description_str: "`+g.Model+`"`)
		require.Positive(t, g.Memory*g.Bandwidth*g.Float32)
		require.Equal(t, 2*g.TF32, g.BFloat16)
	}
}
