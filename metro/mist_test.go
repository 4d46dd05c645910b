// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/recipes"
)

const (
	mist      = "objective.name=rtd_clm_mist"
	overwrite = "objective.options.form=overwrite"
	only      = "objective.options.form=target_only"
	mix       = "objective.options.form=mix positions.rows=16"
	shuffled  = "objective.options.targets=shuffled"
	oracle    = "objective.options.targets=oracle"
	noWeight  = "objective.options.weight=0"
)

// twoPasses is [small] with the objective and more, whose SEP is 3.
func twoPasses(t testing.TB, sets ...string) metro.Model {
	t.Helper()
	m := small(t, strings.Fields(mist+" "+strings.Join(sets, " "))...)
	m.SepID = 3
	return m
}

// fakes is [smallBatch] with noise that leaves replaced tokens at two of three masked positions, and a third row like the first.
func fakes() batch {
	b := smallBatch()
	b.tokens, b.masked = append(b.tokens, []int32{2, 7, 6, 5, 9, 9, 8, 3}), append(b.masked, []int32{2, 4, 6, 5, 9, 4, 8, 3})
	b.tokens, b.masked = append(b.tokens, []int32{2, 8, 8, 5, 6, 7, 3, 0}), append(b.masked, []int32{2, 8, 4, 5, 6, 4, 3, 0})
	b.positions = append(b.positions, []int32{1, 5}, []int32{5, 2})
	b.weights, b.uniforms = append(b.weights, []float64{1, 1}, []float64{1, 1}), append(b.uniforms, []float64{.2, .8}, []float64{.5, .7})
	b.rows = append(b.rows, .1, .2)
	return b
}

// some is all of sets in pure Go, and where XLA would compile each for long the first alone.
func some(be compute.Backend, sets ...string) []string {
	if isGo(be) {
		return sets
	}
	return sets[:1]
}

func isGo(be compute.Backend) bool { return be.Name() == "go" }

// At β = 0, an input of the graph, with all of the second pass built, losses and gradients are those of rtd_clm: to the bit where
// sums have one order, and else but for rounding. At another β they are not.
func TestNoWeightIsNoSecondPass(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for _, set := range some(be, mix+" main.layers=1 objective.options.targets=shuffled embeddings.token_types=2",
			overwrite, only, mix, overwrite+" "+shuffled, mix+" "+oracle+" objective.clm=mixture_flow positions.within_documents=true",
			only+" sharing=gdes embeddings.token_types=2 objective.clm=weighted", mix+" main.feed_forward=moe training.activation_checkpointing=true embeddings.token_types=2") {
			one := twoPasses(t, set)
			two := twoPasses(t, set, noWeight)
			three := twoPasses(t, set)
			one.Config.Objective.Name, one.Config.Objective.Options = "rtd_clm", metro.Options{}
			store := shaken(be, one)
			built := true
			second := func(p *metro.Pass) *Node {
				for _, part := range []string{"pseudoTargets", "secondInput", "secondStates", "secondCLMLogits"} {
					built = built && p.Built(part) != nil
				}
				return p.Loss
			}
			loss, slopes := gradients(be, store, one, total)
			same, sameSlopes := gradients(be, store, two, second)
			require.True(t, built, set)
			if isGo(be) {
				require.Equal(t, loss, same, set)
				require.Equal(t, slopes, sameSlopes, set)
				other, otherSlopes := gradients(be, store, three, total)
				require.NotEqual(t, loss, other, set)
				require.NotEqual(t, slopes, otherSlopes, set)
				continue
			}
			require.InEpsilon(t, loss[0], same[0], 1e-12, set)
			for path, want := range slopes[0] {
				require.InDeltaSlice(t, want, sameSlopes[0][path], 1e-9*max(1, norm(want)), "%s: %s", set, path)
			}
		}
	})
}

// secondLoss is L², from what p has built or is given in its place.
func secondLoss(p *metro.Pass) *Node {
	terms := p.TermsOf(p.Model.Config.Objective)
	sum := ZerosLike(p.Loss)
	for _, t := range terms {
		if strings.HasPrefix(t.Name, "second_") {
			sum = Add(sum, Mul(t.Weight, t.Loss))
		}
	}
	return sum
}

// The second pass sees of the first pass's logits which is highest, and nothing else: with others whose highest are the same it is
// the same to the bit, and with others not; and no gradient comes back to them, or to the RTD logits that choose where it writes.
func TestTheSecondPassSeesTheHighestAlone(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for _, set := range some(be, overwrite+" main.layers=1 objective.options.threshold=0.3", only, mix, only+" "+shuffled) {
			m := twoPasses(t, set)
			out := call(be, shaken(be, m), m, fakes(), func(p *metro.Pass) []*Node {
				logits, z := p.CLMLogits(), p.RTDLogits()
				loss := secondLoss(p)
				slopes := Gradient(loss, logits, z)
				both := Gradient(p.Loss, logits, z)
				p.Replace("CLMLogits", AddScalar(MulScalar(logits, 3), -1))
				p.Replace("RTDLogits", MulScalar(z, 1.0000001))
				near := secondLoss(p)
				p.Replace("CLMLogits", Neg(logits))
				return append(append([]*Node{loss, near, secondLoss(p)}, slopes...), both...)
			})
			require.Equal(t, number(out[0]), number(out[1]), set)
			require.NotEqual(t, number(out[0]), number(out[2]), set)
			for _, slopes := range out[3:5] {
				require.Zero(t, norm(flat(slopes)), set)
			}
			for _, slopes := range out[5:7] {
				require.Positive(t, norm(flat(slopes)), "%s: the first pass's own", set)
			}
		}
	})
}

// The oracle leaves nothing replaced, under any threshold, and its two forms that read one row are one.
func TestTheOracleLeavesNothingReplaced(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		var losses []float64
		for _, set := range some(be, overwrite+" objective.options.threshold=1", only) {
			for _, masks := range some(be, "", "masking.with_replacement=true", "masking.with_replacement=true masking.electra_collisions=true") {
				m := twoPasses(t, set, oracle, masks)
				b := fakes()
				if masks != "" {
					b.positions[0] = []int32{3, 3}
				}
				out := call(be, shaken(be, m), m, b, func(p *metro.Pass) []*Node {
					return []*Node{p.Built("secondInput"), p.Built("secondReplaced"), p.Replaced(), secondLoss(p)}
				})
				require.Equal(t, b.tokens, out[0].Value(), set)
				require.NotContains(t, tensors.MustCopyFlatData[bool](out[1]), true, set)
				require.Contains(t, tensors.MustCopyFlatData[bool](out[2]), true, set)
				if masks == "" {
					losses = append(losses, number(out[3]))
				}
			}
		}
		require.Equal(t, losses[0], losses[len(losses)-1])
	})
}

// What the second pass reads, against loops: where RTD says replaced, everywhere, or beside the row.
func TestWhatTheSecondPassReads(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for _, set := range some(be, shuffled, "") {
			for _, threshold := range some(be, "0.5", "0", "0.35", "0.65", "1") {
				m := twoPasses(t, overwrite, set, "main.layers=1 objective.options.threshold="+threshold)
				store, b := shaken(be, m), fakes()
				out := call(be, store, m, b, func(p *metro.Pass) []*Node {
					return []*Node{
						p.Corrupted(), p.CLMLogits(), p.RTDLogits(), p.Built("pseudoTargets"), p.Built("secondInput"), p.Built("secondReplaced"),
						p.States(), p.Built("secondStates"), secondLoss(p), Add(Mul(p.Scalars.RTDWeight, term("rtd")(p)), Mul(p.Scalars.CLMWeight, term("clm")(p))),
					}
				})
				corrupted, z := out[0].Value().([][]int32), out[2].Value().([][]float64)
				targets := out[3].Value().([][]int32)
				limit := map[string]float64{"0": 0, "0.35": 0.35, "0.5": 0.5, "0.65": 0.65, "1": 1}[threshold]
				for i, row := range corrupted {
					for slot, at := range b.positions[i] {
						from := i
						if set == shuffled {
							from = i ^ 1 // another row's, each another
						}
						require.Equal(t, int32(argMax(out[1].Value().([][][]float64)[from][slot])), targets[i][slot])
						if b.weights[i][slot] > 0 && 1/(1+math.Exp(-z[i][at])) > limit {
							row[at] = targets[i][slot]
						}
					}
				}
				require.Equal(t, corrupted, out[4].Value(), "%s, above %s", set, threshold)
				for i, row := range out[5].Value().([][]bool) {
					for k, replaced := range row {
						require.Equal(t, corrupted[i][k] != b.tokens[i][k], replaced)
					}
				}
				switch threshold {
				case "1": // nothing is written, and the second pass is the first
					require.Equal(t, out[6].Value(), out[7].Value())
					require.InEpsilon(t, number(out[9]), number(out[8]), 1e-12)
				case "0": // all is
					all := twoPasses(t, only, set, "main.layers=1")
					read := call(be, store, all, b, func(p *metro.Pass) []*Node { return []*Node{p.Built("secondInput"), secondLoss(p)} })
					require.Equal(t, corrupted, read[0].Value())
					require.Equal(t, number(out[8]), number(read[1]))
				}
			}
		}
	})
}

// An odd row that is left over, which held-out rows may be, has its own targets in other slots.
func TestRowsChangePlacesByTwos(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		exec := MustNewExec(be, func(x *Node) *Node { return metro.FromOtherRows(x) })
		for _, c := range []struct{ x, want [][]int32 }{
			{[][]int32{{1, 2, 3}}, [][]int32{{2, 3, 1}}},
			{[][]int32{{1, 2}, {3, 4}}, [][]int32{{3, 4}, {1, 2}}},
			{[][]int32{{1, 2}, {3, 4}, {5, 6}}, [][]int32{{3, 4}, {1, 2}, {6, 5}}},
			{[][]int32{{1}, {3}, {5}, {7}}, [][]int32{{3}, {1}, {7}, {5}}},
		} {
			require.Equal(t, c.want, exec.MustCall(c.x)[0].Value())
		}
	})
}

// Mix reads [CLS] y¹ [SEP] x̃; heads read the half of x̃, whose labels are the first pass's; the two halves are told apart by the
// second row of the token type table, and neither padding nor another document is seen in either.
func TestMix(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for _, documents := range some(be, "positions.within_documents=true", "positions.within_documents=false") {
			m := twoPasses(t, mix, documents, "embeddings.token_types=2 main.layers=1")
			store, b := shaken(be, m), fakes()
			b.tokens[2][3], b.masked[2][3] = 3, 3 // a document ends
			read := func(b batch) []*tensors.Tensor {
				return call(be, store, m, b, func(p *metro.Pass) []*Node {
					by := p.Built("secondStates")
					long := m
					long.Config.Data.SeqLen = 16
					visible := p.NonPad
					if m.Config.Positions.WithinDocuments {
						visible = m.Visible(p.Batch.Tokens, p.NonPad)
						visible = Concatenate([]*Node{visible, visible}, 1)
					}
					visible = Concatenate([]*Node{visible, visible}, -1)
					second := GreaterOrEqual(Iota(visible.Graph(), p.Built("mixedRows").Shape(), 1), Scalar(visible.Graph(), dtypes.Int32, 8))
					states := long.PairStates(store.RootScope(), p.Built("mixedRows"), visible, second, p.Scalars.BiasScale, nil)
					return []*Node{
						p.Built("mixedRows"), p.Corrupted(), p.Built("pseudoTargets"), p.Built("secondReplaced"), p.Replaced(), by, Slice(states, AxisRange(), AxisRange(8)),
						p.Built("secondRTDLogits"), p.Built("secondCLMLogits"),
					}
				})
			}
			out := read(b)
			corrupted, targets := out[1].Value().([][]int32), out[2].Value().([][]int32)
			for i, row := range out[0].Value().([][]int32) {
				want := append([]int32{}, corrupted[i]...)
				for slot, at := range b.positions[i] {
					if b.weights[i][slot] > 0 {
						want[at] = targets[i][slot]
					}
				}
				require.Equal(t, append(append(want, 3), corrupted[i][1:]...), row)
			}
			require.Equal(t, out[4].Value(), out[3].Value())
			require.Equal(t, out[6].Value(), out[5].Value())
			require.Equal(t, []int{4, 8}, out[7].Shape().Dimensions)
			require.Equal(t, []int{4, 2, m.Vocab}, out[8].Shape().Dimensions)

			// Row 3 with other tokens in the second of its two documents.
			z := func(out []*tensors.Tensor) []float64 { return out[7].Value().([][]float64)[2][:4] }
			other := fakes()
			other.tokens[2], other.masked[2] = []int32{2, 7, 6, 3, 5, 9, 10, 3}, []int32{2, 4, 6, 3, 5, 4, 10, 3}
			if now := z(read(other)); m.Config.Positions.WithinDocuments {
				require.InDeltaSlice(t, z(out), now, 1e-12)
			} else {
				require.NotEqual(t, z(out), now)
			}
		}
	})
}

// The second pass drops by masks of its own, and has no losses of gates.
func TestTheSecondPassDropsApart(t *testing.T) {
	be := backendtest.Go(t)
	m := twoPasses(t, "objective.options.threshold=1", "main.dropout=0.5", "main.feed_forward=moe", "main.feed_forward_options.balance_weight=0.5")
	store := shaken(be, m)
	var names []string
	states := func(key ...uint64) (first, second any, weight float64) {
		out := call(be, store, m, smallBatch(), func(p *metro.Pass) []*Node {
			names = nil
			for _, term := range p.Terms {
				names = append(names, term.Name)
			}
			return []*Node{p.States(), p.Built("secondStates"), Add(p.Terms[len(p.Terms)-2].Weight, ZerosLike(p.Loss))}
		}, key...)
		return out[0].Value(), out[1].Value(), number(out[2])
	}
	first, second, weight := states(1, 2, 0)
	require.NotEqual(t, first, second)
	require.Equal(t, []string{"generator", "rtd", "clm", "second_rtd", "second_clm", "balance", "gate_z"}, names)
	require.InDelta(t, 0.5*2, weight, 1e-12, "two layers of one run")
	first, second, _ = states()
	require.Equal(t, first, second)
}

// What is measured of the second pass, against loops.
func TestSecondMeasures(t *testing.T) {
	be := backendtest.Go(t)
	for _, set := range []string{overwrite + " objective.options.threshold=0.4", only + " " + shuffled, mix, mix + " " + oracle, only + " objective.clm=without_copy"} {
		m := twoPasses(t, set)
		b := fakes()
		var names []string
		hasRTD := m.Config.Objective.CLM != metro.CLMWithoutCopy
		out := call(be, shaken(be, m), m, b, func(p *metro.Pass) []*Node {
			var tally *Node
			tally, names = p.Tally()
			nodes := []*Node{tally, p.Corrupted(), p.Built("pseudoTargets"), p.Built("secondInput"), p.Built("secondCLMLogits")}
			if hasRTD {
				nodes = append(nodes, p.Built("secondRTDLogits"))
			}
			return nodes
		})
		corrupted, targets, read := out[1].Value().([][]int32), out[2].Value().([][]int32), out[3].Value().([][]int32)
		var corrected, fraction, clmReplaced, clmUnchanged, precision, recallReplaced, recallOriginal ratio
		for i, row := range b.tokens {
			for slot, at := range b.positions[i] {
				if b.weights[i][slot] == 0 {
					continue
				}
				right := argMax(out[4].Value().([][][]float64)[i][slot]) == row[at]
				if corrupted[i][at] == row[at] {
					clmUnchanged.add(right)
					continue
				}
				clmReplaced.add(right)
				corrected.add(targets[i][slot] == row[at])
			}
			for k, id := range row {
				if id == m.PadID {
					continue
				}
				replaced := read[i][k] != id
				fraction.add(replaced)
				if !hasRTD {
					continue
				}
				flagged := out[5].Value().([][]float64)[i][k] > 0
				if flagged {
					precision.add(replaced)
				}
				if replaced {
					recallReplaced.add(flagged)
				} else {
					recallOriginal.add(!flagged)
				}
			}
		}
		want := map[string]ratio{
			"corrected_accuracy": corrected, "second_replaced_fraction": fraction, "second_clm_accuracy_replaced": clmReplaced, "second_clm_accuracy_unchanged": clmUnchanged,
		}
		if hasRTD {
			want["second_rtd_precision"], want["second_rtd_recall_replaced"], want["second_rtd_recall_original"] = precision, recallReplaced, recallOriginal
		}
		require.NotZero(t, corrected.count, set)
		tally := metro.ReadTally(flat(out[0]), names)
		measured := 0
		for i, name := range names {
			if strings.HasSuffix(name, "_loss") || !strings.HasPrefix(name, "second_") && name != "corrected_accuracy" {
				continue
			}
			measured++
			require.InDelta(t, want[name].sum, tally.Sums[i], 1e-9, "%s, %q", name, set)
			require.InDelta(t, want[name].count, tally.Counts[i], 1e-9, "%s, %q", name, set)
		}
		require.Len(t, want, measured, set)
		switch accuracy := tally.Metric("corrected_accuracy"); {
		case strings.Contains(set, oracle):
			require.Equal(t, 1.0, accuracy)
		case !strings.Contains(set, shuffled):
			require.Equal(t, tally.Metric("clm_accuracy_replaced"), accuracy, "the row's own targets are the first pass's corrections")
		}
	}
}

// What cannot be is refused by its name, with the numbers and the way out; what does nothing, too.
func TestSettingsOfASecondPass(t *testing.T) {
	for _, test := range []struct{ set, want string }{
		{mist + " objective.options.form=mix", "objective.options.form=mix reads two rows of data.seq_len=32 after one another, and the position table has 32 rows; set positions.rows=64 or more"},
		{mist + " objective.options.form=mix positions.rows=63", "the position table has 63 rows; set positions.rows=64 or more"},
		{mist + " objective.clm=without_copy", "objective.options.form=overwrite writes where RTD says replaced, and objective.clm=without_copy trains no RTD; set objective.options.form to target_only or mix"},
		{mist + " " + shuffled + " training.batch_size=7", "objective.options.targets=shuffled changes the places of every two rows, and 7 are computed at once (training.batch_size=7 in training.accumulate=1 parts)"},
		{mist + " " + shuffled + " training.accumulate=32", "and 1 are computed at once (training.batch_size=32 in training.accumulate=32 parts)"},
	} {
		c := recipes.Tiny()
		require.NoError(t, c.SetAll(strings.Fields(test.set)...), test.set)
		err := c.Validate()
		require.True(t, usererr.Is(err), test.set)
		require.ErrorContains(t, err, test.want)
	}
	for _, set := range []string{
		mist, mist + " objective.options.form=mix positions.rows=64", mist + " objective.options.form=mix positions.absolute=false", mist + " " + shuffled + " training.accumulate=16",
		mist + " " + only + " objective.clm=without_copy", mist + " objective.options.threshold=0.9 objective.options.weight=0.5",
	} {
		c := recipes.Tiny()
		require.NoError(t, c.SetAll(strings.Fields(set)...), set)
		require.NoError(t, c.Validate(), set)
	}
	for _, set := range []string{only, "objective.options.form=mix", oracle} {
		c := recipes.Tiny()
		err := c.SetAll(append(strings.Fields(mist+" "+set), "objective.options.threshold=0.9")...)
		require.ErrorContains(t, err, "objective.options.threshold=0.9 does nothing here: the second pass asks RTD where to write under form=overwrite alone", set)
	}
	c := recipes.Tiny()
	require.ErrorContains(t, c.SetAll(mist, "objective.options.threshold=1.5"), "objective.options.threshold must be in [0, 1], it is 1.5")
	require.ErrorContains(t, c.SetAll(mist, "objective.options.form=both"), "must be one of")
	require.Equal(t, []int{32}, c.MainRuns())
	require.NoError(t, c.SetAll(mist))
	with := c
	require.NoError(t, with.Set("objective.options.weight=0.25"))
	require.Equal(t, c.GraphKey(), with.GraphKey(), "β is an input of the graph")
	require.NotEqual(t, identityOf(t, c), identityOf(t, with))
	require.Equal(t, []int{32, 32}, c.MainRuns())
	require.NoError(t, c.SetAll("objective.options.form=mix"))
	require.Equal(t, []int{32, 64}, c.MainRuns())
	c.Task.Name = "families"
	require.Equal(t, []int{32}, c.MainRuns())
	require.Equal(t, 1, c.HeadRuns())
}
