// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"math"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

// ratio is a metric in loops.
type ratio struct{ sum, count float64 }

func (r *ratio) add(hit bool) {
	r.count++
	if hit {
		r.sum++
	}
}

// Every metric of a pass against loops over what the pass computed, for the plain masks and for positions drawn twice,
// where what counts is what stands in the text and not what a slot drew. The unused slot of row two, which names
// position 0, counts nowhere.
func TestTallyAgainstLoops(t *testing.T) {
	be := backendtest.Go(t)
	for _, set := range []string{"", "masking.with_replacement=true", "masking.with_replacement=true masking.electra_collisions=true"} {
		m := small(t, strings.Fields(set)...)
		b := smallBatch()
		b.positions, b.weights, b.uniforms = [][]int32{{1, 3, 5}, {2, 1, 0}}, [][]float64{{1, 1, 1}, {1, 1, 0}}, [][]float64{{.3, .6, .2}, {.9, .86, .5}}
		if set != "" {
			b.positions[0], b.uniforms[0] = []int32{3, 1, 3}, []float64{.45, .2, .95} // the second draw at 3 is not written
		}
		var names []string
		out := call(be, shaken(be, m), m, b, func(p *metro.Pass) []*Node {
			tally, measured := p.Tally()
			names = measured
			nodes := []*Node{tally, p.GeneratorLogits(), p.CLMLogits(), p.RTDLogits(), p.Corrupted(), p.Loss}
			for _, term := range p.Terms {
				nodes = append(nodes, term.Loss)
			}
			return nodes
		})
		generator, clm := out[1].Value().([][][]float64), out[2].Value().([][][]float64)
		rtd, corrupted := out[3].Value().([][]float64), out[4].Value().([][]int32)

		var replacedShare, right, entropy, precision, recallReplaced, recallOriginal, clmReplaced, clmUnchanged ratio
		for i, row := range b.tokens {
			for k, id := range row {
				if id == m.PadID {
					continue
				}
				replaced, flagged := corrupted[i][k] != id, rtd[i][k] > 0
				replacedShare.add(replaced)
				if flagged {
					precision.add(replaced)
				}
				if replaced {
					recallReplaced.add(flagged)
				} else {
					recallOriginal.add(!flagged)
				}
			}
			for slot, at := range b.positions[i] {
				if b.weights[i][slot] == 0 {
					continue
				}
				right.add(argMax(generator[i][slot]) == row[at])
				entropy.count++
				for id := range generator[i][slot] {
					nll := negativeLogLikelihood(generator[i][slot], int32(id))
					entropy.sum += nll * math.Exp(-nll)
				}
				correct := argMax(clm[i][slot]) == row[at]
				if corrupted[i][at] != row[at] {
					clmReplaced.add(correct)
				} else {
					clmUnchanged.add(correct)
				}
			}
		}
		require.NotZero(t, clmReplaced.count)
		require.NotZero(t, clmUnchanged.count)
		want := map[string]ratio{
			"loss": {number(out[5]), 1}, "generator_loss": {number(out[6]), 1}, "rtd_loss": {number(out[7]), 1}, "clm_loss": {number(out[8]), 1},
			"replaced_fraction": replacedShare, "generator_accuracy": right, "generator_entropy": entropy,
			"rtd_precision": precision, "rtd_recall_replaced": recallReplaced, "rtd_recall_original": recallOriginal,
			"clm_accuracy_replaced": clmReplaced, "clm_accuracy_unchanged": clmUnchanged,
		}
		tally := metro.ReadTally(flat(out[0]), names)
		require.Equal(t, 14.0, tally.Tokens)
		require.Len(t, names, len(want))
		for i, name := range names {
			require.InDelta(t, want[name].sum, tally.Sums[i], 1e-9, "%s, %q", name, set)
			require.InDelta(t, want[name].count, tally.Counts[i], 1e-9, "%s, %q", name, set)
		}
	}
}

// The cosine between the two models' embeddings of a token is 1 where they read one table, and under GDES until the main
// model has moved away from it.
func TestTieCosine(t *testing.T) {
	be := backendtest.Go(t)
	for _, s := range sharings {
		m := sharing(t, s.name)
		require.NoError(t, m.Config.Set("evaluation.metrics=tie_cosine"))
		cosine := func(store *model.Store) float64 {
			var names []string
			out := call(be, store, m, smallBatch(), func(p *metro.Pass) []*Node {
				tally, measured := p.Tally()
				names = measured
				return []*Node{tally}
			})
			return metro.ReadTally(flat(out[0]), names).Metric("tie_cosine")
		}
		first, moved := cosine(fresh(be, m)), cosine(shaken(be, m))
		tied := s.name != metro.SharingNone
		require.Equal(t, tied, first > 1-1e-6, "%s: %g", s.name, first)
		require.Equal(t, tied && s.name != metro.SharingGDES, moved > 1-1e-6, "%s: %g", s.name, moved)
	}
}

// A pass says of its parts what it built and nothing else.
func TestMetricsOfEachObjective(t *testing.T) {
	const generator, rtd = "generator_loss generator_accuracy generator_entropy", "rtd_precision rtd_recall_replaced rtd_recall_original"
	const fraction, lm, clm = "replaced_fraction", "lm_accuracy_replaced lm_accuracy_unchanged", "clm_loss clm_accuracy_replaced clm_accuracy_unchanged"
	want := map[string]string{
		"mlm":         "loss lm_loss lm_accuracy",
		"replace_mlm": "loss lm_loss " + strings.Join([]string{generator, fraction, lm}, " "),
		"rtd_masked":  "loss rtd_loss " + strings.Join([]string{generator, fraction, rtd}, " "),
		"rtd":         "loss rtd_loss " + strings.Join([]string{generator, fraction, rtd}, " "),
		// The copy probability is measured as RTD although it has no loss of its own.
		"all_token_lm": "loss lm_loss " + strings.Join([]string{generator, fraction, rtd, lm}, " "),
		"rtd_clm":      "loss rtd_loss " + strings.Join([]string{generator, fraction, rtd, clm}, " "),
		"rtd_clm_scl":  "loss rtd_loss scl_loss " + strings.Join([]string{generator, fraction, rtd, clm}, " "),
		"rtd_clm_mist": "loss rtd_loss second_rtd_loss second_clm_loss corrected_accuracy second_replaced_fraction second_rtd_precision second_rtd_recall_replaced " +
			"second_rtd_recall_original second_clm_accuracy_replaced second_clm_accuracy_unchanged " + strings.Join([]string{generator, fraction, rtd, clm}, " "),
		"rtd_clm_exits": "loss rtd_loss early_rtd_loss " + strings.Join([]string{generator, fraction, rtd, clm}, " "),
	}
	be := backendtest.Go(t)
	for name, metrics := range want {
		m := small(t, "objective.name="+name)
		var names []string
		call(be, fresh(be, m), m, smallBatch(), func(p *metro.Pass) []*Node {
			_, names = p.Tally()
			return nil
		})
		require.ElementsMatch(t, strings.Fields(metrics), names, name)
	}
}
