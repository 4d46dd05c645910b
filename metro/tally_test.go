// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"math"
	"reflect"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

// Two rows of the toy vocabulary whose counts can be read off. Row one has two masked positions: the sample at 1 is
// another token, the sample at 3 the original. Row two has one, replaced, and an unused slot that would count for
// everything if it counted.
func TestTallyCounts(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		exec := MustNewExec(be, func(in []*Node) *Node {
			b := metro.Batch{Tokens: in[0], Positions: in[1], Weights: in[2]}
			o := metro.Output{Samples: in[3], GeneratorLogits: in[4], RTDLogits: in[5], CLMLogits: in[6]}
			o.Corrupted, o.Replaced = metro.Corrupt(b.Tokens, b.Positions, o.Samples, b.Weights)
			o.NonPad = NotEqual(b.Tokens, ScalarZero(b.Tokens.Graph(), dtypes.Int32))
			scalar := func(x float64) *Node { return Scalar(b.Tokens.Graph(), dtypes.Float32, x) }
			o.Loss, o.GeneratorLoss, o.RTDLoss, o.CLMLoss = scalar(10), scalar(2), scalar(0.125), scalar(3)
			return o.Tally(b)
		})
		onto := func(id int) []float32 { // 8 logits whose arg-max is id
			logits := make([]float32, 8)
			logits[id] = 40
			return logits
		}
		flat := make([]float32, 8) // entropy ln 8; arg-max 0
		out := exec.MustCall(
			[][]int32{{1, 5, 6, 7, 2, 0}, {1, 7, 5, 2, 0, 0}}, // tokens
			[][]int32{{1, 3}, {2, 0}},                         // positions
			[][]float32{{1, 1}, {1, 0}},                       // weights
			[][]int32{{6, 7}, {7, 1}},                         // samples
			[][][]float32{{onto(5), flat}, {onto(5), onto(1)}},
			[][]float32{{-1, 2, 3, 4, -5, 6}, {-1, -1, -2, 1, 5, 5}}, // the 6 and the 5s are at padding
			[][][]float32{{onto(5), onto(7)}, {onto(6), onto(1)}},
		)[0]
		got := metro.ReadTally(tensors.MustCopyFlatData[float32](out))
		require.InDelta(t, math.Log(8), got.GeneratorEntropy, 1e-5)
		got.GeneratorEntropy = 0
		require.Equal(t, metro.Tally{
			Batches: 1, Loss: 10, GeneratorLoss: 2, RTDLoss: 0.125, CLMLoss: 3,
			Tokens: 9, Masked: 3, Replaced: 2,
			GeneratorCorrect: 2,                  // both slots of position 1 and 2; flat logits say token 0
			TruePositives:    1,                  // position 1 of row one; the replaced token of row two is missed
			FalsePositives:   3,                  // positions 2 and 3 of row one, 3 of row two
			CLMReplaced:      1, CLMUnchanged: 1, // right at both slots of row one
		}, got)
	})
}

// ramp is a tally whose fields are start, start+1, ….
func ramp(start float64) metro.Tally {
	v := make([]float64, metro.TallySize)
	for i := range v {
		v[i] = start + float64(i)
	}
	return metro.ReadTally(v)
}

// ReadTally, Add and the struct agree on number and order of the fields.
func TestTallyFields(t *testing.T) {
	sum := reflect.ValueOf(ramp(1).Add(ramp(100)))
	require.Equal(t, metro.TallySize, sum.NumField())
	for i := range metro.TallySize {
		require.Equal(t, float64(101+2*i), sum.Field(i).Float(), sum.Type().Field(i).Name)
	}
	require.Equal(t, ramp(3), ramp(3).Add(metro.Tally{}))
}

func TestTallyMetrics(t *testing.T) {
	got := metro.Tally{
		Batches: 4, Loss: 40, GeneratorLoss: 8, RTDLoss: 1, CLMLoss: 12,
		Tokens: 100, Masked: 15, Replaced: 10, GeneratorCorrect: 3, GeneratorEntropy: 30,
		TruePositives: 6, FalsePositives: 2, CLMReplaced: 4, CLMUnchanged: 3,
	}.Metrics()
	require.Equal(t, map[string]float64{
		"loss": 10, "generator_loss": 2, "rtd_loss": 0.25, "clm_loss": 3,
		"replaced_fraction": 0.1, "generator_accuracy": 0.2, "generator_entropy": 2,
		"rtd_precision": 0.75, "rtd_recall_replaced": 0.6, "rtd_recall_original": 88.0 / 90,
		"clm_accuracy_replaced": 0.4, "clm_accuracy_unchanged": 0.6,
	}, got)
	for name, v := range (metro.Tally{}).Metrics() {
		require.True(t, math.IsNaN(v), "%s of nothing is %g", name, v)
	}
}
