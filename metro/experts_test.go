// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

const withExperts = "main.feed_forward=moe"

// A mixture of one expert is the dense map: it begins with its values, and has its losses and gradients, but for rounding.
func TestOneExpertIsTheDenseMap(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for _, both := range [][]string{nil, {"main.norm=pre", "training.activation_checkpointing=true"}} {
			dense := small(t, both...)
			one := small(t, append(both, withExperts, "main.feed_forward_options.experts=1", "generator.feed_forward=moe", "generator.feed_forward_options.experts=1",
				"main.feed_forward_options.balance_weight=0", "generator.feed_forward_options.balance_weight=0")...)
			store, other := fresh(be, dense), fresh(be, one)
			for _, v := range variables(store) {
				require.Equal(t, flat(v.MustValue()), flat(other.GetVariable(v.Path()).MustValue()), v.Path())
			}
			losses, want := gradients(be, store, dense, total)
			experts, got := gradients(be, other, one, total)
			require.InDelta(t, losses[0], experts[0], 1e-9)
			for path, g := range want[0] {
				require.InDeltaSlice(t, g, got[0][path], 1e-9, path)
			}
		}
	})
}

// The losses of the gates are terms of the objective, a mean over layers and runs, whose weight counts each; and what there is to
// watch is measured.
func TestExpertsHaveTermsAndMetrics(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		m := small(t, withExperts, "generator.feed_forward=moe", "main.feed_forward_options.balance_weight=0.5", "generator.feed_forward_options.z_weight=2",
			"objective.name=rtd_clm_scl")
		store := shaken(be, m)
		var terms, names []string
		out := call(be, store, m, smallBatch(), func(p *metro.Pass) (nodes []*Node) {
			terms = nil
			for _, term := range p.Terms {
				terms = append(terms, term.Name)
				nodes = append(nodes, term.Loss, Add(term.Weight, ZerosLike(term.Loss)))
			}
			var tally *Node
			tally, names = p.Tally()
			return append(nodes, tally)
		})
		require.Equal(t, []string{"balance", "gate_z", "generator_balance", "generator_gate_z"}, terms[len(terms)-4:])
		value := func(i int) float64 { return number(out[i]) }
		n := 2 * (len(terms) - 4)
		require.InDelta(t, 0.5*4, value(n+1), 1e-9, "two layers of two runs, the row and its second view")
		require.InDelta(t, 0, value(n+3), 1e-9)
		require.InDelta(t, 0.01, value(n+5), 1e-9)
		require.InDelta(t, 2, value(n+7), 1e-9)
		require.Greater(t, value(n), 0.9)

		tally := metro.ReadTally(tensors.MustCopyFlatData[float64](out[len(out)-1]), names)
		require.InDelta(t, value(n), tally.Metric("balance_loss"), 1e-9)
		for _, prefix := range []string{"", "generator_"} {
			dropped, entropy, largest := tally.Metric(prefix+"dropped_share"), tally.Metric(prefix+"load_entropy"), tally.Metric(prefix+"largest_load")
			require.True(t, dropped >= 0 && dropped < 1, dropped)
			require.True(t, entropy >= 0 && entropy <= 1, entropy)
			require.True(t, largest >= 0.25 && largest <= 1, largest)
			require.InDelta(t, math.Sqrt2, tally.Metric(prefix+"expert_divergence"), 0.1, "drawn apart")
		}
		require.Equal(t, 1, strings.Count(strings.Join(names, " "), "generator_gate_z_loss"))
	})
}

// A run that only samples, and a generator that does not learn, have no losses of their gates.
func TestGatesThatDoNotLearnHaveNoTerms(t *testing.T) {
	be := backendtest.Go(t)
	terms := func(assignments ...string) (names []string) {
		m := small(t, append(assignments, "generator.feed_forward=moe")...)
		call(be, shaken(be, m), m, smallBatch(), func(p *metro.Pass) []*Node {
			names = nil
			for _, term := range p.Terms {
				names = append(names, term.Name)
			}
			return nil
		}, 1, 2, 0)
		return names
	}
	require.Equal(t, 1, count(terms("generator.dropout=0.1", "replacements.dropout=eval"), "generator_balance"))
	require.Zero(t, count(terms("replacements.source=frozen", "sharing=none", "replacements.checkpoint=a"), "generator_balance"))
	require.Zero(t, count(terms("objective.name=mlm"), "generator_balance"))
}

func count(names []string, name string) (n int) {
	for _, other := range names {
		if other == name {
			n++
		}
	}
	return n
}

// Padding takes no slot, whether or not documents are hidden from one another, and in evaluation no row decides what is said of
// another.
func TestExpertsSeeNoPaddingAndNoOtherRow(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for _, assignment := range []string{"positions.within_documents=false", "positions.within_documents=true"} {
			m := small(t, withExperts, assignment, "main.feed_forward_options.min_capacity=1", "main.feed_forward_options.evaluation_capacity=1",
				"main.feed_forward_options.group_rows=0", "objective.name=mlm")
			m.SepID = 3
			store := shaken(be, m)
			states := func(b batch) []float64 {
				return flat(call(be, store, m, b, func(p *metro.Pass) []*Node { return []*Node{p.MaskedStates()} })[0])
			}
			b := smallBatch()
			want := states(b)
			turned := b
			turned.masked, turned.tokens = slices.Clone(b.masked), slices.Clone(b.tokens)
			turned.masked[0], turned.tokens[0] = b.masked[1], b.tokens[1]
			row := len(want) / 2
			require.InDeltaSlice(t, want[row:], states(turned)[row:], 1e-12, "%s: another row beside it", assignment)
			require.InDeltaSlice(t, want[row:], states(turned)[:row], 1e-12, "%s: the same row elsewhere", assignment)
		}
	})
}

func TestSettingsOfExpertsThatDoNotGoTogether(t *testing.T) {
	const path = "main.feed_forward_options."
	for _, test := range []struct{ set, want string }{
		{path + "experts=1 " + path + "top_k=2", "main.feed_forward_options.top_k=2 needs as many experts at least, and main.feed_forward_options.experts is 1"},
		{path + "random_second=true", "it needs main.feed_forward_options.top_k=2, which is 1"},
		{path + "top_k=2 " + path + "whole=true", "main.feed_forward_options.whole is about single choices"},
		{path + "group_rows=0 training.accumulate=2", "training.accumulate=2: with main.feed_forward_options.group_rows=0 all rows of a part share slots"},
		{path + "group_rows=3", "main.feed_forward_options.group_rows must divide the 64 rows that are computed at once (training.batch_size=64 in training.accumulate=1 parts), it is 3"},
		{path + "group_rows=64 training.accumulate=2", "must divide the 32 rows that are computed at once"},
	} {
		c := tinyOf1800()
		require.NoError(t, c.SetAll(append([]string{withExperts}, strings.Fields(test.set)...)...))
		require.ErrorContains(t, c.Validate(), test.want, test.set)
	}
	c := tinyOf1800()
	require.NoError(t, c.SetAll("generator.feed_forward=moe", "generator.feed_forward_options.group_rows=3"))
	require.ErrorContains(t, c.Validate(), "generator.feed_forward_options.group_rows must divide")
	require.NoError(t, c.Set("objective.name=mlm"))
	require.NoError(t, c.Validate(), "there is no generator")
	require.ErrorContains(t, c.Set("main.feed_forward_options.experts=2"), `feed_forward "dense" has no options`)
}
