// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro/training"
)

// Worked out by hand as the share of pairs in order, ties one half.
func TestAUC(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, test := range []struct {
		name     string
		scores   []float32
		positive []bool
		want     float64
	}{
		{"in order", []float32{1, 2, 3}, []bool{false, false, true}, 1},
		{"upside down", []float32{3, 2, 1}, []bool{false, false, true}, 0},
		{"one of four pairs wrong", []float32{0.1, 0.4, 0.35, 0.8}, []bool{false, false, true, true}, 0.75},
		{"all tied", []float32{5, 5, 5, 5}, []bool{true, false, true, false}, 0.5},
		{"a tie across classes", []float32{1, 2, 2, 3}, []bool{false, false, true, true}, 3.5 / 4},
		{"ties of one class only", []float32{1, 1, 2, 2}, []bool{false, false, true, true}, 1},
		{"infinite scores are scores", []float32{-inf, 0, inf}, []bool{false, true, true}, 1},
		{"a negative zero is a zero", []float32{float32(math.Copysign(0, -1)), 0}, []bool{true, false}, 0.5},
		{"no positive", []float32{1, 2}, []bool{false, false}, math.NaN()},
		{"no negative", []float32{1, 2}, []bool{true, true}, math.NaN()},
		{"nothing", nil, nil, math.NaN()},
		{"one NaN", []float32{1, float32(math.NaN()), 3}, []bool{false, true, true}, math.NaN()},
	} {
		got := training.AUC(test.scores, test.positive)
		require.True(t, got == test.want || math.IsNaN(got) && math.IsNaN(test.want), "%s: %g, want %g", test.name, got, test.want)
	}
}

// Against every pair, on scores with many ties and with none; the order of the input does not matter, nor does any
// growing map of the scores, and turning the scores round turns the area round.
func TestAUCAgainstAllPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		n, levels := 2+rng.IntN(60), 1+rng.IntN(100)
		scores, positive := make([]float32, n), make([]bool, n)
		for i := range scores {
			scores[i], positive[i] = float32(rng.IntN(levels))/8-3, rng.IntN(3) == 0
		}
		positive[0], positive[1] = true, false
		pairs, inOrder := 0.0, 0.0
		for i := range scores {
			for j := range scores {
				if positive[i] && !positive[j] {
					pairs++
					switch {
					case scores[i] > scores[j]:
						inOrder++
					case scores[i] == scores[j]:
						inOrder += 0.5
					}
				}
			}
		}
		got := training.AUC(scores, positive)
		require.InDelta(t, inOrder/pairs, got, 1e-12)

		mapped, negated := make([]float32, n), make([]float32, n)
		for i, s := range scores {
			mapped[i], negated[i] = s*s*s*5+1, -s
		}
		require.Equal(t, got, training.AUC(mapped, positive))
		require.InDelta(t, 1-got, training.AUC(negated, positive), 1e-12)
		rng.Shuffle(n, func(i, j int) {
			scores[i], scores[j] = scores[j], scores[i]
			positive[i], positive[j] = positive[j], positive[i]
		})
		require.Equal(t, got, training.AUC(scores, positive))
	}
}

func BenchmarkAUC(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	scores, positive := make([]float32, 512*32), make([]bool, 512*32) // a held-out set of the tiny recipe
	for i := range scores {
		scores[i], positive[i] = rng.Float32(), rng.IntN(8) == 0
	}
	for b.Loop() {
		training.AUC(scores, positive)
	}
}
