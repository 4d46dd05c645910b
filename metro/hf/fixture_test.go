// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"encoding/binary"
	"path/filepath"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/safetensors"
	"metrolab/layers"
	"metrolab/metro"
	"metrolab/metro/weights"
)

// The fixtures in testdata were written by scripts/parity/make.py with torch 2.15.0 and transformers 5.23.0.

// reference is what transformers computed.
type reference struct {
	t    *testing.T
	file *safetensors.File
}

func openReference(t *testing.T, name string) reference {
	t.Helper()
	file, err := safetensors.Open(filepath.Join("testdata", name, "reference.safetensors"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	return reference{t, file}
}

func (r reference) shape(name string) []int {
	info, ok := r.file.Lookup(name)
	require.True(r.t, ok, name)
	return info.Shape
}

func (r reference) floats(name string) []float32 {
	r.t.Helper()
	values := make([]float32, elements(r.shape(name)))
	require.NoError(r.t, r.file.ReadFloats(name, values))
	return values
}

func (r reference) ints(name string) []int32 {
	r.t.Helper()
	values := make([]int32, elements(r.shape(name)))
	reader, err := r.file.Reader(name)
	require.NoError(r.t, err)
	require.NoError(r.t, binary.Read(reader, binary.LittleEndian, values))
	return values
}

func load(t *testing.T, dir string) *Folder {
	t.Helper()
	f, err := Load(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

// as gives a folder's weights to a model of config c.
func as(t *testing.T, f *Folder, c metro.Config) weights.Source {
	t.Helper()
	src, err := weights.As(f, c, metro.Describe(c, f.Config.Data.VocabSize))
	require.NoError(t, err)
	return src
}

// read returns a whole tensor.
func read(t *testing.T, s weights.Source, tensor weights.Tensor) []float32 {
	t.Helper()
	values := make([]float32, elements(tensor.Shape))
	require.NoError(t, s.Read(tensor.Name, values))
	return values
}

// newStore holds the weights as variables of the given type.
func newStore(t *testing.T, src weights.Source, dtype dtypes.DType) *model.Store {
	t.Helper()
	store := model.NewStore()
	store.SetParam(layers.ParamDType, dtype)
	for _, tensor := range src.Tensors() {
		_, err := store.CreateVariable(variablePath(tensor.Name), toTensor(dtype, read(t, src, tensor), tensor.Shape))
		require.NoError(t, err)
	}
	return store
}

func toTensor(dtype dtypes.DType, values []float32, shape []int) *tensors.Tensor {
	if dtype == dtypes.Float32 {
		return tensors.FromFlatDataAndDimensions(values, shape...)
	}
	return tensors.FromFlatDataAndDimensions(wide(values), shape...)
}

func wide(values []float32) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

// flat returns a tensor's values, whatever its floating-point type.
func flat(t *tensors.Tensor) []float64 {
	if t.DType() == dtypes.Float64 {
		return tensors.MustCopyFlatData[float64](t)
	}
	return wide(tensors.MustCopyFlatData[float32](t))
}

func electraModel(f *Folder, c metro.Config) metro.Model {
	return metro.Model{Config: c, Vocab: f.Config.Data.VocabSize, PadID: f.Tokenizer.Special().PAD}
}
