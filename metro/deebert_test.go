// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

// deeBERT is testdata/deebert.json: what DeeBERT's published code says of each token as the first of its row, in float32.
// scripts/parity/deebert.py writes it.
type deeBERT struct {
	Rows      [][]int32
	Logits    [][][]float32 // of a row's tokens at the exits after each layer
	Losses    [][]float32   // sums over the exits below the last; label (row + token) mod 2
	Entropies []float64     // thresholds
	Layers    [][][]int32   // where a token leaves, by threshold
	Left      [][][]float32 // its logit there
}

// sureAs is the p ≥ 0.5 of two classes whose entropy is h: DeeBERT leaves where the entropy is below h, which is where the larger
// probability is above p. It is 0.5 where all are below h, and above 1 where none is.
func sureAs(h float64) float64 {
	switch {
	case h >= math.Ln2:
		return 0.5
	case h <= 0:
		return 1.000001
	}
	low, high := 0.5, 1.0
	for range 60 {
		p := (low + high) / 2
		if -p*math.Log(p)-(1-p)*math.Log1p(-p) > h {
			low = p
		} else {
			high = p
		}
	}
	return high
}

// The heads say, after each layer and of each token, what DeeBERT's exits say of it, and their losses are theirs. A token leaves where
// DeeBERT does, by the confidence in the place of the entropy, and with the same logit, as long as no other token of its row has left
// two layers before it or more: DeeBERT asks a whole text once, and here each token leaves by itself and is read as it was.
func TestExitsAreDeeBERTs(t *testing.T) {
	text, err := os.ReadFile("testdata/deebert.json")
	require.NoError(t, err)
	var want deeBERT
	require.NoError(t, json.Unmarshal(text, &want))
	m := small(t, withExits, "data.seq_len=5", "main.layers=4", "main.activation=gelu", "positions.absolute=false", "positions.relative=none",
		"objective.rtd_head=projected")
	ends := m.EarlyParts()
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		store, weights := model.NewStore(), metro.Describe(m.Config, m.Vocab)
		for p, w := range weights.Of(metro.OwnerMain).Encoder() {
			require.NoError(t, wave(store, w, p))
		}
		for _, layer := range ends {
			name := metro.ExitHead(layer)
			if layer == m.Config.Main.Layers {
				name = metro.HeadRTD
			}
			for p, w := range weights.HeadOf(metro.OwnerMain, name) {
				require.NoError(t, wave(store, w, 100+10*layer+p))
			}
		}
		exec := model.MustNewExec(be, store, func(scope *model.Scope, in []*Node) []*Node {
			scale := Scalar(in[0].Graph(), dtypes.Float32, m.Config.Positions.Scale)
			heads := m.DetectAtHeads(scope, in[0], scale)
			var losses *Node
			for _, logits := range heads[:len(heads)-1] {
				loss := metro.RTDLosses(logits, in[2])
				if losses != nil {
					loss = Add(losses, loss)
				}
				losses = loss
			}
			early := m.DetectEarly(scope, in[0], scale, in[1])
			return append(heads, losses, early.Logits, early.Depth)
		})
		defer exec.Finalize()
		labels := make([][]bool, len(want.Rows))
		for r, row := range want.Rows {
			for k := range row {
				labels[r] = append(labels[r], (r+k)%2 == 1)
			}
		}
		at := func(out []*tensors.Tensor, i, r, k int) float64 {
			return float64(tensors.MustCopyFlatData[float32](out[i])[r*len(want.Rows[r])+k])
		}
		worst, same, other := 0.0, 0, 0
		for i, entropy := range want.Entropies {
			out := exec.MustCall(want.Rows, float32(sureAs(entropy)), labels)
			depths := tensors.MustCopyFlatData[int32](out[len(ends)+2])
			for r, layers := range want.Layers[i] {
				depths := depths[r*len(want.Rows[r]):][:len(layers)] // of real tokens
				for k, layer := range layers {
					for head := range ends {
						worst = max(worst, math.Abs(float64(want.Logits[r][k][head])-at(out, head, r, k)))
					}
					worst = max(worst, math.Abs(float64(want.Losses[r][k])-at(out, len(ends), r, k)))
					first := 0 // by what the heads say where nothing leaves
					for first < len(ends)-1 && sigmoid(math.Abs(at(out, first, r, k))) < sureAs(entropy) {
						first++
					}
					require.EqualValues(t, layer, ends[first], "entropy %g, row %d, token %d", entropy, r, k)
					alone := true
					for _, depth := range depths {
						alone = alone && depth >= layer-1
					}
					if !alone {
						other++
						continue
					}
					same++
					require.Equal(t, layer, depths[k], "entropy %g, row %d, token %d", entropy, r, k)
					worst = max(worst, math.Abs(float64(want.Left[i][r][k])-at(out, len(ends)+1, r, k)))
				}
			}
		}
		t.Logf("logits and losses within %.1e; %d answers as DeeBERT's, %d beside others that have left", worst, same, other)
		require.Less(t, worst, 2e-5)
		require.Greater(t, same, other)
		require.Positive(t, other)
	})
}
