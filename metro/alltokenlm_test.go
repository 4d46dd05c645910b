// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

// The original of every real token is predicted, by copying what stands there or by the language model. In loops.
func TestAllTokenLM(t *testing.T) {
	be, m, b := backendtest.Go(t), small(t, "objective.name=all_token_lm"), smallBatch()
	store := shaken(be, m)
	out := call(be, store, m, b, func(p *metro.Pass) []*Node {
		return []*Node{term("lm")(p), p.LMLogits(p.States()), p.RTDLogits(), p.Replaced(), Identity(p.Built("LMLogits"))}
	})
	logits, z, replaced := out[1].Value().([][][]float64), out[2].Value().([][]float64), out[3].Value().([][]bool)
	sum, count := 0.0, 0.0
	for i, row := range b.tokens {
		for k, id := range row {
			if id == m.PadID {
				continue
			}
			likelihood := sigmoid(z[i][k]) * math.Exp(-negativeLogLikelihood(logits[i][k], id))
			if !replaced[i][k] {
				likelihood += sigmoid(-z[i][k])
			}
			sum -= math.Log(likelihood)
			count++
		}
	}
	require.InDelta(t, sum/count, number(out[0]), 1e-12)
	atMasked := out[4].Value().([][][]float64)
	require.Equal(t, logits[0][1], atMasked[0][0], "what is measured is at the masked positions")
	require.Equal(t, logits[0][3], atMasked[0][1])

	// The copy probability learns, from this term alone.
	_, slopes := gradients(be, store, m, term("lm"))
	require.NotZero(t, norm(slopes[0]["/main/rtd/output/weights"]))
}
