// SPDX-License-Identifier: Apache-2.0

package view

import (
	"encoding/binary"
	"io"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/safetensors"
	"metrolab/metro/runs"
)

// save gives a run a checkpoint of these tensors, filled with 1, 2, 3, ….
func save(t *testing.T, run *runs.Run, step int, infos ...safetensors.Info) {
	t.Helper()
	checkpoints := runs.Checkpoints{Dir: run.Path(runs.CheckpointsDir)}
	require.NoError(t, checkpoints.Save(step, func(dir string) error {
		return safetensors.WriteFile(filepath.Join(dir, variablesFile), infos, nil, func(info safetensors.Info, w io.Writer) error {
			size, err := info.Size()
			if err != nil {
				return err
			}
			values := make([]float32, size/4)
			for i := range values {
				values[i] = float32(i + step)
			}
			return binary.Write(w, binary.LittleEndian, values)
		})
	}))
}

func TestTensor(t *testing.T) {
	t.Setenv("METROLAB_RUNS", t.TempDir())
	run := put(t, "arm", 0)
	require.Contains(t, failure(t, func() { Open("arm").Tensor("main.table") }), "has no checkpoint yet")

	infos := []safetensors.Info{
		{Name: "adamw.m.main.table", DType: "F32", Shape: []int{2, 3}}, {Name: "main.table", DType: "F32", Shape: []int{2, 3}},
		{Name: "main.bias", DType: "F32", Shape: []int{2}}, {Name: "main.cube", DType: "F32", Shape: []int{1, 1, 1}},
		{Name: "main.empty", DType: "F32", Shape: []int{0, 3}},
	}
	save(t, run, 1, infos...)
	require.Equal(t, [][]float64{{1, 2, 3}, {4, 5, 6}}, Open("arm").Tensor("main.table"))
	save(t, run, 2, infos...)
	require.Equal(t, [][]float64{{2, 3, 4}, {5, 6, 7}}, Open("arm").Tensor("main.table"), "the newest checkpoint")
	require.Equal(t, [][]float64{{2, 3}}, Open("arm").Tensor("main.bias"), "a vector is one row")
	require.Empty(t, Open("arm").Tensor("main.empty"))

	for name, want := range map[string]string{
		"table":      "it has main.table\n",
		"other.what": "it has main.table, main.bias, main.cube, main.empty\n",
		"main.cube":  "is F32 [1 1 1]; only float32 matrices and vectors",
	} {
		require.Contains(t, failure(t, func() { Open("arm").Tensor(name) }), want)
	}
}
