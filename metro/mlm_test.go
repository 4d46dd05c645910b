// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

// lmParts runs a pass and returns the lm term and the logits at the masked positions.
func lmParts(t *testing.T, m metro.Model, b batch) (loss float64, logits [][][]float64) {
	t.Helper()
	be := backendtest.Go(t)
	out := call(be, shaken(be, m), m, b, func(p *metro.Pass) []*Node {
		return []*Node{term("lm")(p), Identity(p.Built("LMLogits"))}
	})
	return number(out[0]), out[1].Value().([][][]float64)
}

// The main model guesses the masked tokens from the masked row; nothing is sampled and nothing replaced.
func TestMLM(t *testing.T) {
	m, b := small(t, "objective.name=mlm"), smallBatch()
	loss, logits := lmParts(t, m, b)
	sum := negativeLogLikelihood(logits[0][0], 5) + negativeLogLikelihood(logits[0][1], 7) + negativeLogLikelihood(logits[1][0], 10)
	require.InDelta(t, sum/3, loss, 1e-12)

	b.uniforms = [][]float64{{.9, .1}, {.2, .5}}
	same, _ := lmParts(t, m, b)
	require.Equal(t, loss, same)
	b.masked[0][1] = 9
	other, _ := lmParts(t, m, b)
	require.NotEqual(t, loss, other)
	be := backendtest.Go(t)
	var built []string
	call(be, shaken(be, m), m, b, func(p *metro.Pass) []*Node {
		for _, part := range []string{"MaskedStates", "GeneratorLogits", "Samples", "Corrupted", "Replaced", "States"} {
			if p.Built(part) != nil {
				built = append(built, part)
			}
		}
		return nil
	})
	require.Equal(t, []string{"MaskedStates"}, built)
}
