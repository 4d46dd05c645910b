// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

// The toy batch: V = 8, one row [1 5 6 7 2 PAD], positions 1 and 3 masked, samples 6 and 7. All numbers below were
// worked out by hand from the definitions (log-sum-exp of eight numbers), to six decimals.
var (
	toyTokens    = [][]int32{{1, 5, 6, 7, 2, 0}}
	toyPositions = [][]int32{{1, 3}}
	toyWeights   = [][]float32{{1, 1}}
	toySamples   = [][]int32{{6, 7}}
	toyGenerator = [][][]float32{{{0, 0, 0, 0, 0, 2, 1, 0}, {0, 0, 0, 0, 1, 0, 0, 1}}}
	toyRTD       = [][]float32{{-2, 1, -1, 0.5, -3, 9}} // the last is padding
	toyCLM       = [][][]float32{{{0, 0, 0, 0, 0, 1, 2, 0}, {0, 0, 0, 0, 0, 0, 0, 3}}}
)

func TestToyBatch(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		exec := MustNewExec(be, func(in []*Node) []*Node {
			tokens, positions, weights, samples, generator, rtd, clm := in[0], in[1], in[2], in[3], in[4], in[5], in[6]
			corrupted, replaced := metro.Corrupt(tokens, positions, samples, weights)
			nonPad := NotEqual(tokens, ScalarZero(tokens.Graph(), dtypes.Int32))
			originals := metro.GatherPositions(Reshape(tokens, 1, 6, 1), positions)
			targets := Squeeze(originals, -1)
			aux := metro.CrossEntropy(generator, targets, weights)
			detection := metro.RTDLoss(rtd, replaced, nonPad)
			corrective := metro.CrossEntropy(clm, targets, weights)
			electra := Add(aux, MulScalar(detection, 50))
			masked := Squeeze(metro.GatherPositions(InsertAxes(rtd, -1), positions), -1)
			maskedLabels := NotEqual(samples, targets)
			return []*Node{
				corrupted, replaced, aux, detection, corrective, electra, Add(electra, corrective),
				metro.RTDLoss(masked, maskedLabels, GreaterThan(weights, ZerosLike(weights))), // ELECTRA's "15 %" ablation
				metro.RTDLoss(Neg(rtd), Not(replaced), nonPad),
			}
		})
		out := exec.MustCall(toyTokens, toyPositions, toyWeights, toySamples, toyGenerator, toyRTD, toyCLM)
		require.Equal(t, [][]int32{{1, 6, 6, 7, 2, 0}}, out[0].Value())
		require.Equal(t, [][]bool{{false, true, false, false, false, false}}, out[1].Value())
		for i, want := range []struct {
			name  string
			value float64
		}{
			{"generator cross-entropy", 1.108045}, {"RTD over non-pad", 0.355223}, {"simplified CLM", 1.039137},
			{"ELECTRA total", 18.869202}, {"METRO total", 19.908340}, {"RTD over masked", 0.643669}, {"RTD with the sign flipped", 0.355223},
		} {
			require.InDelta(t, want.value, float64(tensors.ToScalar[float32](out[2+i])), 1e-5, want.name)
		}
	})
}

// A slot of weight 0 must not write, not even at the position that it names.
func TestCorruptIgnoresEmptySlots(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		exec := MustNewExec(be, func(in []*Node) []*Node {
			a, b := metro.Corrupt(in[0], in[1], in[2], in[3])
			return []*Node{a, b}
		})
		out := exec.MustCall([][]int32{{1, 5, 6}, {1, 7, 8}}, [][]int32{{2, 0}, {1, 2}}, [][]int32{{9, 4}, {7, 3}}, [][]float32{{1, 0}, {1, 1}})
		require.Equal(t, [][]int32{{1, 5, 9}, {1, 7, 3}}, out[0].Value())
		require.Equal(t, [][]bool{{false, false, true}, {false, false, true}}, out[1].Value())
	})
}

// Where no slot is in use the losses are 0, not 0/0.
func TestLossesOverNothing(t *testing.T) {
	be := backendtest.Go(t)
	exec := MustNewExec(be, func(in []*Node) []*Node {
		return []*Node{metro.CrossEntropy(in[0], in[1], in[2]), metro.RTDLoss(in[3], GreaterThan(in[3], ZerosLike(in[3])), LessThan(in[3], ZerosLike(in[3])))}
	})
	out := exec.MustCall(toyGenerator, [][]int32{{1, 2}}, [][]float32{{0, 0}}, [][]float32{{1, 2}})
	require.Zero(t, tensors.ToScalar[float32](out[0]))
	require.Zero(t, tensors.ToScalar[float32](out[1]))
}
