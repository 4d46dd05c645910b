// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gomlx/compute/dtypes/float16"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	models "metrolab/metro/outputs"
	"metrolab/metro/weights"
)

// A folder in half precision has every weight rounded once, in files of half the size, and says nearly the same. Written in half
// again it does not change.
func TestExportHalf(t *testing.T) {
	src := load(t, filepath.Join("testdata", "electra"))
	dir := t.TempDir()
	size := func(name string) int64 {
		info, err := os.Stat(filepath.Join(dir, name, "discriminator", weightsFile))
		require.NoError(t, err)
		return info.Size()
	}
	_, err := Export(filepath.Join(dir, "full"), src.Tokenizer, src)
	require.NoError(t, err)
	_, err = ExportHalf(filepath.Join(dir, "half"), src.Tokenizer, src)
	require.NoError(t, err)
	full, half := load(t, filepath.Join(dir, "full")), load(t, filepath.Join(dir, "half"))
	rounded := 0
	for _, tensor := range full.Tensors() {
		want := read(t, full, tensor)
		for i, x := range want {
			if want[i] = float16.FromFloat32(x).Float32(); want[i] != x {
				rounded++
			}
		}
		require.Equal(t, want, read(t, half, tensor), tensor.Name)
	}
	require.Positive(t, rounded)
	header := size("full") - 2*(size("full")-size("half"))
	require.InDelta(t, 0, header, float64(size("full"))/4, "half as many bytes, but for the header")
	_, err = ExportHalf(filepath.Join(dir, "again"), half.Tokenizer, half)
	require.NoError(t, err)
	same(t, half, load(t, filepath.Join(dir, "again")))

	says := func(f *Folder) []float32 {
		row := make([]int32, f.Config.Data.SeqLen)
		for i := range row {
			row[i] = int32(5 + 3*i%20)
		}
		out, err := models.Of(backendtest.Go(t), f, [][]int32{row})
		require.NoError(t, err)
		return out.Values[models.RTD]
	}
	require.InDeltaSlice(t, says(full), says(half), 0.01)

	_, err = ExportHalf(filepath.Join(dir, "large"), src.Tokenizer, large{src})
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "a weight of 70000 is beyond 65504, the greatest number of half precision; write it in full")
	require.NoDirExists(t, filepath.Join(dir, "large"))
}

// large is a model with a weight that half precision has no number for.
type large struct{ weights.Source }

func (l large) Read(name string, dst []float32) error {
	err := l.Source.Read(name, dst)
	dst[0] = 7e4
	return err
}
