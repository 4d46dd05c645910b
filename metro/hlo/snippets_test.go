// SPDX-License-Identifier: Apache-2.0

package hlo_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"metrolab/metro/backend"
	"metrolab/metro/hlo"
)

// snippets are small graphs, each compiled for an H100 as METROLAB_UPDATE_HLO=1 go test ./metro/hlo does it; what that left is in
// testdata. Inputs are x, [64, 32], and y, [32, 64], of float32, and rows, [16, 1], int32.
var snippets = []struct {
	name  string
	needs backend.Needs
	build func(x, y, rows *Node) *Node
	want  hlo.Counts
}{
	// One kernel each, of 2 × 64 × 64 × 32 operations, which reads 2 × 8 KiB and writes 16: at 2, 1 and 4 TFLOP/s the product takes
	// longer than the memory, at 1 TB/s.
	{"tf32", backend.Needs{TF32: true}, product, hlo.Counts{
		Kernels: 1, Bytes: 32768, Products: map[hlo.Precision]hlo.Product{hlo.InTF32: {Count: 1, FLOPs: 262144}}, Seconds: 262144 / 2e12}},
	{"float32", backend.Needs{}, product, hlo.Counts{
		Kernels: 1, Bytes: 32768, Products: map[hlo.Precision]hlo.Product{hlo.InFloat32: {Count: 1, FLOPs: 262144}}, Seconds: 262144 / 1e12}},
	{"bfloat16", backend.Needs{TF32: true}, func(x, y, _ *Node) *Node {
		return ConvertDType(MatMul(ConvertDType(x, dtypes.BFloat16), ConvertDType(y, dtypes.BFloat16)), dtypes.Float32)
	}, hlo.Counts{
		Kernels: 1, Bytes: 32768, Products: map[hlo.Precision]hlo.Product{hlo.InBFloat16: {Count: 1, FLOPs: 262144}}, Seconds: 262144 / 4e12}},
	// Zeros of 8 KiB are written; then the fused scatter reads them, the table and 16 rows' numbers, and writes 8 KiB.
	{"scatter", backend.Needs{TF32: true}, lookUp, hlo.Counts{
		Kernels: 2, Bytes: 8192 + 3*8192 + 64, Products: map[hlo.Precision]hlo.Product{}, Atomic: 1, Seconds: (4*8192 + 64) / 1e12}},
	// Rows in order, each once: nothing is left to chance, and something is sorted.
	{"scatter_deterministic", backend.Needs{TF32: true, Deterministic: true}, lookUp, hlo.Counts{
		Kernels: 6, Bytes: 60144, Products: map[hlo.Precision]hlo.Product{}, Sorts: 1, Seconds: 60144 / 1e12}},
}

func product(x, y, _ *Node) *Node { return MatMul(x, y) }

// lookUp is the gradient of a table by rows that are looked up in it.
func lookUp(x, _, rows *Node) *Node { return Gradient(ReduceAllSum(Square(Gather(x, rows))), x)[0] }

func TestSnippets(t *testing.T) {
	chip := hlo.Chip{Bandwidth: 1e12, Peak: map[hlo.Precision]float64{hlo.InBFloat16: 4e12, hlo.InTF32: 2e12, hlo.InFloat32: 1e12}}
	for _, s := range snippets {
		t.Run(s.name, func(t *testing.T) {
			path := filepath.Join("testdata", s.name+".hlo")
			if os.Getenv("METROLAB_UPDATE_HLO") == "1" {
				require.NoError(t, os.WriteFile(path, compile(t, s.needs, s.build), 0o644))
			}
			program, err := os.ReadFile(path)
			require.NoError(t, err)
			module, err := hlo.Read(program)
			require.NoError(t, err)
			counts, err := module.Count(chip)
			require.NoError(t, err)
			require.InEpsilon(t, s.want.Seconds, counts.Seconds, 1e-12)
			s.want.Seconds = counts.Seconds // to the last bit
			require.Equal(t, s.want, counts)
		})
	}
}

// compile compiles a snippet, and leaves out the module's configuration, which holds paths.
func compile(t *testing.T, needs backend.Needs, build func(x, y, rows *Node) *Node) []byte {
	a, err := backend.OpenAhead("h100", needs, true)
	require.NoError(t, err)
	exec, err := NewExec(a.Backend, build)
	require.NoError(t, err)
	_, err = exec.Call(make2D[float32](64, 32), make2D[float32](32, 64), make2D[int32](16, 1))
	require.NoError(t, err)
	list, err := a.Compiled()
	require.NoError(t, err)
	require.Len(t, list, 1)
	program := list[0].Program
	_, _, n := protowire.ConsumeField(program)
	require.Positive(t, n)
	return program[:n]
}

func make2D[T any](rows, columns int) [][]T {
	all := make([][]T, rows)
	for i := range all {
		all[i] = make([]T, columns)
	}
	return all
}
