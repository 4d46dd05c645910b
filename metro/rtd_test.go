// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

// rtdParts runs a pass and returns the RTD term, the logits and the labels.
func rtdParts(t *testing.T, m metro.Model, b batch) (loss float64, logits [][]float64, replaced [][]bool) {
	t.Helper()
	be := backendtest.Go(t)
	out := call(be, shaken(be, m), m, b, func(p *metro.Pass) []*Node {
		return []*Node{term("rtd")(p), p.RTDLogits(), p.Replaced()}
	})
	return number(out[0]), out[1].Value().([][]float64), out[2].Value().([][]bool)
}

// The term of the objective is the mean over all real tokens, the first and the last among them, in loops.
func TestRTDCountsAllRealTokens(t *testing.T) {
	m, b := small(t, "objective.name=rtd"), smallBatch()
	loss, logits, replaced := rtdParts(t, m, b)
	sum, count := 0.0, 0.0
	for i, row := range b.tokens {
		for k, id := range row {
			if id != m.PadID {
				sum += detection(logits[i][k], replaced[i][k])
				count++
			}
		}
	}
	require.Equal(t, 14.0, count)
	require.InDelta(t, sum/count, loss, 1e-12)
}

// A sample that happens to be the original counts as original.
func TestACorrectSampleIsOriginal(t *testing.T) {
	m, b := small(t, "replacements.source=uniform"), smallBatch()
	for id := range int32(6) { // tokens 5 … 10, alike
		b.uniforms[0][0] = (float64(id) + 0.5) / 6
		_, _, replaced := rtdParts(t, m, b)
		require.Equal(t, id != 0, replaced[0][1], "token 5 becomes %d", 5+id)
	}
}

// RTD starts at ln 2 in every objective that has it, whatever the encoder does, if its output starts at 0, and only then.
func TestZeroInitStartsAtLn2(t *testing.T) {
	be := backendtest.Go(t)
	for _, head := range []string{"linear", "projected"} {
		for _, zero := range []string{"true", "false"} {
			m := small(t, "objective.rtd_head="+head, "objective.rtd_zero_init="+zero)
			out := call(be, fresh(be, m), m, smallBatch(), func(p *metro.Pass) []*Node { return []*Node{term("rtd")(p)} })
			if zero == "true" {
				require.InDelta(t, 0.6931471805599453, number(out[0]), 1e-15)
			} else {
				require.NotEqual(t, 0.6931471805599453, number(out[0]))
			}
		}
	}
}
