// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

// ePALM is testdata/epalm.json: a text's states beside a slot, by eP-ALM's published code, in float32. scripts/parity/epalm.py writes it.
type ePALM struct {
	Rows  [][]int32
	Cases []struct {
		States, First, End int
		Slots              []int         // which state each layer reads in the slot; −1 for no slot, −2 for what the layer before has left
		Text               [][][]float32 // [B, S, H]
	}
}

// A connector puts those of the generator's states, by those maps, into those layers that eP-ALM's code does, and the text's states are the
// code's. Where that ends before the last layer, which is not done here, they are others.
func TestTheConnectorIsEPALMs(t *testing.T) {
	text, err := os.ReadFile("testdata/epalm.json")
	require.NoError(t, err)
	var want ePALM
	require.NoError(t, json.Unmarshal(text, &want))
	worst := 0.0
	for _, c := range want.Cases {
		m := small(t, "data.seq_len=5", "main.layers=4", "main.activation=gelu", "main.epsilon=1e-5", "generator.layers=3", "sharing=none",
			"positions.absolute=false", "positions.relative=none", "task.name=families", "training.init_from=a", "task.adaptation=connector",
			fmt.Sprint("task.adaptation_options.states=", c.States), fmt.Sprint("task.adaptation_options.first_layer=", c.First))
		store, weights := model.NewStore(), metro.Describe(m.Config, m.Vocab)
		for first, list := range map[int]metro.Inventory{
			0: weights.Of(metro.OwnerMain).Encoder(), 100: weights.HeadOf(metro.OwnerMain, metro.HeadAdapter), 300: weights.Of(metro.OwnerGenerator).Encoder(),
		} {
			for p, w := range list {
				require.NoError(t, wave(store, w, first+p))
			}
		}
		exec := model.MustNewExec(backendtest.Go(t), store, func(scope *model.Scope, in []*Node) *Node {
			return m.MainStates(scope, in[0], NotEqual(in[0], ZerosLike(in[0])), Scalar(in[0].Graph(), dtypes.Float32, 1.0), nil)
		})
		states, gap := tensors.MustCopyFlatData[float32](exec.MustCall(want.Rows)[0]), 0.0
		exec.Finalize()
		for r, row := range want.Rows {
			for k, token := range row {
				for i, x := range c.Text[r][k] {
					if token != m.PadID {
						gap = max(gap, math.Abs(float64(x-states[(r*len(row)+k)*m.Config.Main.Width+i])))
					}
				}
			}
		}
		if c.End < m.Config.Main.Layers {
			require.Equal(t, -2, c.Slots[c.End])
			require.Greater(t, gap, 1e-3)
			continue
		}
		worst = max(worst, gap)
		require.Less(t, gap, 2e-5, "%d states from layer %d", c.States, c.First)
	}
	t.Logf("states within %.1e", worst)
}
