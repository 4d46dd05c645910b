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
			at := func(x *Node) *Node { return Squeeze(metro.GatherPositions(InsertAxes(x, -1), positions), -1) }
			targets, inputs := at(tokens), at(corrupted)
			aux := metro.CrossEntropy(generator, targets, weights)
			detection := metro.RTDLoss(rtd, replaced, nonPad)
			electra := Add(aux, MulScalar(detection, 50))
			out := []*Node{
				corrupted, replaced, aux, detection, electra,
				metro.RTDLoss(at(rtd), NotEqual(samples, targets), GreaterThan(weights, ZerosLike(weights))), // ELECTRA's "15 %" ablation
				metro.RTDLoss(Neg(rtd), Not(replaced), nonPad),
			}
			for _, form := range forms {
				out = append(out, Add(electra, metro.CorrectiveLoss(form, clm, targets, inputs, at(rtd), weights)))
			}
			return out
		})
		out := exec.MustCall(toyTokens, toyPositions, toyWeights, toySamples, toyGenerator, toyRTD, toyCLM)
		require.Equal(t, [][]int32{{1, 6, 6, 7, 2, 0}}, out[0].Value())
		require.Equal(t, [][]bool{{false, true, false, false, false, false}}, out[1].Value())
		for i, want := range []struct {
			name  string
			value float64
		}{
			{"generator cross-entropy", 1.108045}, {"RTD over non-pad", 0.355223}, {"ELECTRA total", 18.869202},
			{"RTD over masked", 0.643669}, {"RTD with the sign flipped", 0.355223},
			{"METRO, simplified", 19.908340}, {"METRO, weighted", 19.612637}, {"METRO, mixture", 20.003165},
			{"METRO, mixture with flow", 20.003165}, {"METRO, without copy", 19.908340},
		} {
			require.InDelta(t, want.value, float64(tensors.ToScalar[float32](out[2+i])), 1e-5, want.name)
		}
	})
}

// Token by token; a label and a logit both turned round give the same list.
func TestRTDOfEachToken(t *testing.T) {
	exec := MustNewExec(backendtest.Go(t), func(rtd, counted *Node) []*Node {
		replaced := Const(rtd.Graph(), [][]bool{{false, true, false, false, false, false}})
		return []*Node{metro.RTDLoss(rtd, replaced, counted), metro.RTDLoss(Neg(rtd), Not(replaced), counted)}
	})
	for i, want := range []float64{0.126928, 0.313262, 0.313262, 0.974077, 0.048587} {
		counted := [][]bool{make([]bool, 6)}
		counted[0][i] = true
		for _, x := range exec.MustCall(toyRTD, counted) {
			require.InDelta(t, want, float64(tensors.ToScalar[float32](x)), 1e-6)
		}
	}
}

// Where no slot is in use the losses are 0, not 0/0.
func TestLossesOverNothing(t *testing.T) {
	exec := MustNewExec(backendtest.Go(t), func(in []*Node) []*Node {
		out := []*Node{metro.CrossEntropy(in[0], in[1], in[2]), metro.RTDLoss(in[3], GreaterThan(in[3], ZerosLike(in[3])), LessThan(in[3], ZerosLike(in[3])))}
		for _, form := range forms {
			out = append(out, metro.CorrectiveLoss(form, in[0], in[1], in[1], in[3], in[2]))
		}
		return out
	})
	for _, x := range exec.MustCall(toyGenerator, [][]int32{{1, 2}}, [][]float32{{0, 0}}, [][]float32{{1, 2}}) {
		require.Zero(t, tensors.ToScalar[float32](x))
	}
}
