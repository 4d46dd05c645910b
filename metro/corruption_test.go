// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

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

// Positions drawn with replacement, against loops: the first slot of a position writes, or, as ELECTRA's code has it, the
// floor of the mean of all. Slots of weight 0 stand between them.
func TestRepeatedPositionsAgainstLoops(t *testing.T) {
	const rows, s, slots, v = 64, 6, 8, 40
	rng := rand.New(rand.NewPCG(3, 3))
	tokens, positions, samples := make([][]int32, rows), make([][]int32, rows), make([][]int32, rows)
	weights, kept := make([][]float32, rows), make([][]float32, rows)
	first, averaged := make([][]int32, rows), make([][]int32, rows)
	for i := range rows {
		for range s {
			tokens[i] = append(tokens[i], rng.Int32N(v))
		}
		first[i], averaged[i] = slices.Clone(tokens[i]), slices.Clone(tokens[i])
		sum, count := make([]int32, s), make([]int32, s)
		for range slots {
			at, sample, weight := rng.Int32N(s), rng.Int32N(v), float32(min(1, rng.IntN(4)))
			positions[i], samples[i], weights[i] = append(positions[i], at), append(samples[i], sample), append(weights[i], weight)
			if weight == 0 {
				kept[i] = append(kept[i], 0)
				continue
			}
			if count[at] == 0 {
				first[i][at] = sample
				kept[i] = append(kept[i], 1)
			} else {
				kept[i] = append(kept[i], 0)
			}
			sum[at], count[at] = sum[at]+sample, count[at]+1
			averaged[i][at] = sum[at] / count[at]
		}
	}
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		exec := MustNewExec(be, func(in []*Node) []*Node {
			tokens, positions, samples, weights := in[0], in[1], in[2], in[3]
			once := metro.FirstSlots(positions, weights)
			a, b := metro.Corrupt(tokens, positions, samples, once)
			c, d := metro.CorruptAveraging(tokens, positions, samples, weights)
			return []*Node{once, a, b, c, d}
		})
		out := exec.MustCall(tokens, positions, samples, weights)
		require.Equal(t, kept, out[0].Value())
		require.Equal(t, first, out[1].Value())
		require.Equal(t, averaged, out[3].Value())
		for i, corrupted := range [][][]int32{first, averaged} {
			replaced := out[2+2*i].Value().([][]bool)
			for row := range rows {
				for k := range s {
					require.Equal(t, corrupted[row][k] != tokens[row][k], replaced[row][k])
				}
			}
		}
	})
}

// In a pass, the switches choose between the two; the loss counts a position drawn twice twice.
func TestRepeatedPositionsInThePass(t *testing.T) {
	be := backendtest.Go(t)
	b := smallBatch()
	b.positions[0], b.uniforms[0] = []int32{3, 3}, []float64{0, 0.999}
	for _, electra := range []string{"false", "true"} {
		m := small(t, "masking.with_replacement=true", "masking.electra_collisions="+electra)
		store := shaken(be, m)
		out := call(be, store, m, b, func(p *metro.Pass) []*Node {
			return []*Node{p.Samples(), p.Corrupted(), p.GeneratorLogits(), term("generator")(p)}
		})
		samples, corrupted := out[0].Value().([][]int32), out[1].Value().([][]int32)
		require.NotEqual(t, samples[0][0], samples[0][1], "the two slots draw differently")
		want := samples[0][0]
		if electra == "true" {
			want = (samples[0][0] + samples[0][1]) / 2
		}
		require.Equal(t, want, corrupted[0][3])
		logits := out[2].Value().([][][]float64)
		nll := 2*negativeLogLikelihood(logits[0][0], 7) + negativeLogLikelihood(logits[1][0], 10)
		require.InDelta(t, nll/3, number(out[3]), 1e-12)
	}
}

// With the original token disallowed every masked position becomes a replaced one, at any temperature; the order of the
// other tokens' probabilities stays.
func TestDisallowCorrect(t *testing.T) {
	exec := MustNewExec(backendtest.Go(t), func(logits, originals, uniforms, temperature *Node) *Node {
		logits = BroadcastPrefix(logits, 1, 1000)
		return metro.SampleReplacements(metro.DisallowCorrect(logits, BroadcastPrefix(originals, 1, 1000)), uniforms, temperature)
	})
	u := uniforms(rand.New(rand.NewPCG(4, 4)), 1, 1000)
	for _, temperature := range []float32{1e-4, 1, 50, 1e4} {
		seen := map[int32]bool{}
		for _, id := range exec.MustCall([]float32{0, 1, 30, 1.5}, int32(2), u, temperature)[0].Value().([][]int32)[0] {
			seen[id] = true
		}
		require.NotContains(t, seen, int32(2), "T = %g", temperature)
		require.Contains(t, seen, int32(3))
	}
}

func TestDisallowCorrectInThePass(t *testing.T) {
	be, b := backendtest.Go(t), smallBatch()
	b.uniforms = [][]float64{{0.01, 0.4}, {0.99, 0.5}} // of tokens 5 … 10, alike, the originals 5, 7 and 10
	for set, replaced := range map[string]bool{"false": false, "true": true} {
		m := small(t, "replacements.source=uniform", "replacements.disallow_correct="+set)
		out := call(be, shaken(be, m), m, b, func(p *metro.Pass) []*Node { return []*Node{p.AtPositions(p.Replaced())} })
		slots := out[0].Value().([][]bool)
		require.Equal(t, []bool{replaced, replaced, replaced}, []bool{slots[0][0], slots[0][1], slots[1][0]})
	}
}
