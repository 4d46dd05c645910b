// SPDX-License-Identifier: Apache-2.0

package minimalpairs_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/randstream"
	"metrolab/metro/minimalpairs"
)

// judge is a scorer whose scores are known.
type judge func(sentence string) float64

func (judge) Name() string { return "judge" }

func (j judge) Score(_ context.Context, sentences []string, _ func(done, total int)) (scores []float64, err error) {
	for _, sentence := range sentences {
		scores = append(scores, j(sentence))
	}
	return scores, nil
}

func pairs(t testing.TB) *minimalpairs.Set {
	set, err := minimalpairs.Read("testdata/pairs", minimalpairs.Options{})
	require.NoError(t, err)
	return set
}

// Who prefers the shorter sentence is right about one pair of six, wrong about one, and cannot tell of four.
func TestTiesCountThrice(t *testing.T) {
	set := pairs(t)
	outcomes, err := minimalpairs.Compare(t.Context(), set, minimalpairs.Characters(), nil)
	require.NoError(t, err)
	require.Equal(t, minimalpairs.Outcomes{
		{minimalpairs.Right, minimalpairs.Wrong}, {minimalpairs.Tie, minimalpairs.Tie}, {minimalpairs.Tie, minimalpairs.Tie},
	}, outcomes)
	groups := minimalpairs.Aggregate(set, []minimalpairs.Outcomes{outcomes}, nil)
	var names []string
	for _, g := range groups {
		a := g.Accuracy
		names = append(names, g.Level+" "+g.Name)
		require.Nil(t, g.Models)
		require.Nil(t, g.Above)
		require.InDelta(t, a.Half.Value, (a.Right.Value+a.Wrong.Value)/2, 1e-12)
		require.InDelta(t, g.Ties, a.Right.Value-a.Wrong.Value, 1e-12)
		for _, e := range []minimalpairs.Estimate{a.Right, a.Half, a.Wrong} {
			require.True(t, e.Low <= e.Value && e.Value <= e.High, "%v", e)
		}
	}
	require.Equal(t, []string{
		"all all", "field morphology", "field syntax", "term agreement", "term binding", "term order",
		"paradigm agreement", "paradigm binding_1", "paradigm order",
	}, names)
	all := groups[0]
	require.Equal(t, 3, all.Paradigms)
	require.Equal(t, 6, all.Pairs)
	require.InDelta(t, 5.0/6, all.Accuracy.Right.Value, 1e-12)
	require.InDelta(t, 1.0/2, all.Accuracy.Half.Value, 1e-12)
	require.InDelta(t, 1.0/6, all.Accuracy.Wrong.Value, 1e-12)
	require.Equal(t, groups, minimalpairs.Aggregate(set, []minimalpairs.Outcomes{outcomes}, nil), "what is drawn is always the same")
}

// A paradigm counts as much as any other, however many pairs it has, and so does a model.
func TestParadigmsAndModelsCountTheSame(t *testing.T) {
	set := pairs(t)
	set.Paradigms[0].Pairs = append(set.Paradigms[0].Pairs, set.Paradigms[0].Pairs...)
	knows := judge(func(s string) float64 {
		return float64(strings.Count("The dogs bark. The dog barks. He saw himself.", s))
	})
	not := judge(func(s string) float64 { return -knows(s) })
	var models []minimalpairs.Outcomes
	for _, j := range []judge{knows, not, not} {
		outcomes, err := minimalpairs.Compare(t.Context(), set, j, nil)
		require.NoError(t, err)
		models = append(models, outcomes)
	}
	groups := minimalpairs.Aggregate(set, models, models[0])
	all := groups[0]
	require.InDelta(t, (1+0.5+0.5)/3, all.Models[0], 1e-12)
	require.InDelta(t, (0+0.5+0.5)/3, all.Models[1], 1e-12)
	require.InDelta(t, (all.Models[0]+2*all.Models[1])/3, all.Accuracy.Half.Value, 1e-12)
	require.InDelta(t, all.Accuracy.Half.Value-all.Models[0], all.Above.Value, 1e-12)
	alone := minimalpairs.Aggregate(set, models[:1], models[0])[0]
	require.Equal(t, minimalpairs.Estimate{}, *alone.Above, "nothing differs from itself, whatever is drawn")
	require.Greater(t, all.Above.High-all.Above.Low, 0.2, "models are drawn as well")
}

// Intervals hold the truth about as often as they say: here over paradigms of which each has a difficulty of its own.
func TestIntervalsCoverTheMean(t *testing.T) {
	held := 0
	const times, paradigms = 60, 40
	for k := range times {
		set, outcomes, random := &minimalpairs.Set{}, minimalpairs.Outcomes{}, randstream.New(int64(k), "paradigms")
		for i := range paradigms {
			p := 0.2 + 0.6*random.Float64() // 0.5 on average
			of := make([]minimalpairs.Outcome, 50)
			for j := range of {
				if of[j] = minimalpairs.Wrong; random.Float64() < p {
					of[j] = minimalpairs.Right
				}
			}
			set.Paradigms = append(set.Paradigms, minimalpairs.Paradigm{Term: "all", Name: fmt.Sprint(i % 2), Pairs: make([]minimalpairs.Pair, len(of))})
			outcomes = append(outcomes, of)
		}
		e := minimalpairs.Aggregate(set, []minimalpairs.Outcomes{outcomes}, nil)[0].Accuracy.Half
		if e.Low <= 0.5 && 0.5 <= e.High {
			held++
		}
	}
	require.InDelta(t, 0.94, float64(held)/times, 0.06)
}
