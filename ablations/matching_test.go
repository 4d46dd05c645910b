// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/recipes"
	"metrolab/viz/table"
)

func names(columns []table.Column) (list []string) {
	for _, c := range columns {
		list = append(list, c.Name)
	}
	return list
}

// An arm has as much as the baseline of what is matched, to within a step, and its schedule follows.
func TestMatching(t *testing.T) {
	s := Study{Name: "matched", Recipe: "tiny", Baseline: recipes.Tiny(), Seeds: []int64{1}, Outcome: OutcomeOf("frozen_auc_unigram"), Changes: []Change{
		{"twice the rows", []string{"training.batch_size=64"}},
		{"half a generator", []string{"generator.width=32", "generator.heads=2", "generator.ffn=64"}},
		{"of two stages", []string{"training.generator_steps=600", "optimizer.warmup_steps=7", "main.layers=4", "sharing=none"}},
	}}
	s.Changes = append(s.Changes, Change{"of prefixes", []string{"training.prefix_steps=600", "training.prefix_layers=1"}})
	spend := func(a Arm, resource string) float64 {
		cost, err := costOf(a.Config, resource)
		require.NoError(t, err)
		return cost * float64(a.Config.Training.Steps)
	}
	for _, resource := range Matchings() {
		s.Matching = resource
		arms, err := s.Arms()
		require.NoError(t, err)
		require.Equal(t, s.Baseline, arms[0].Config)
		for _, arm := range arms[1:] {
			if resource == MatchSteps {
				require.Equal(t, 2400, arm.Config.Training.Steps)
				continue
			}
			require.InEpsilon(t, spend(arms[0], resource), spend(arm, resource), 1e-3, "%s: %s", resource, arm.Name)
			ratio := float64(arm.Config.Training.Steps) / 2400
			require.InDelta(t, 400*ratio, arm.Config.Training.EvalEvery, 0.5, arm.Name)
		}
		if resource == MatchTokens {
			c := arms[1].Config
			require.Equal(t, []int{1200, 60, 200}, []int{c.Training.Steps, c.Optimizer.WarmupSteps, c.Training.EvalEvery})
		}
		if resource == MatchFLOPs {
			require.Greater(t, arms[2].Config.Training.Steps, 2400, "a cheaper generator buys steps")
			require.Less(t, arms[3].Config.Training.Steps, 2400)
			require.Greater(t, arms[4].Config.Training.Steps, 2400)
			require.Equal(t, 600, arms[4].Config.Training.PrefixSteps)
			drawn, err := arms[4].Config.RunFLOPs(arms[4].Config.Data.VocabSize, arms[4].Config.Training.Steps)
			require.NoError(t, err)
			require.InEpsilon(t, spend(arms[0], resource), drawn, 0.01, "by what a seed draws")
			require.Equal(t, []int{600, 7}, []int{arms[3].Config.Training.GeneratorSteps, arms[3].Config.Optimizer.WarmupSteps}, "what a change sets stays")
		}
	}
	for says, spoil := range map[string]func(*Study){
		`no matching by "time"; there are steps, tokens, flops`: func(s *Study) { s.Matching = "time" },
		"which equal flops decide":                              func(s *Study) { s.Changes[0].Set = []string{"training.steps=9"} },
		"which leaves nothing for the steps after them": func(s *Study) {
			s.Changes[0].Set = []string{"main.layers=12", "training.prefix_layers=6", "training.prefix_steps=2000"}
		},
	} {
		s := s
		s.Matching, s.Changes = MatchFLOPs, append([]Change{}, s.Changes...)
		spoil(&s)
		_, err := s.Arms()
		require.ErrorContains(t, err, says)
		require.True(t, usererr.Is(err))
	}
}

// An arm that goes on from a run of its own counts that run's tokens: it reads the rows from there on that the baseline reads from
// the same place on.
func TestMatchingAFork(t *testing.T) {
	s := Study{Name: "matched", Recipe: "tiny", Baseline: recipes.Tiny(), Seeds: []int64{1}, Outcome: OutcomeOf("frozen_auc_unigram"), Matching: MatchTokens,
		Changes: []Change{{"twice the rows", []string{"training.batch_size=64", "training.fork=tiny-0123456789@400"}}}}
	arms, err := s.Arms()
	require.NoError(t, err)
	c := arms[1].Config
	const place = 400 * 64 // of the row that comes after the fork
	require.Equal(t, 2400*32-place, (c.Training.Steps-s.shared("twice the rows", c))*64)

	s.Changes[0].Set[1] = "training.fork=tiny-0123456789@1200"
	_, err = s.Arms()
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "the 1200 steps before training.fork=tiny-0123456789@1200 have as many tokens as 2400 of the baseline's 2400 steps")
	require.NotContains(t, err.Error(), "set training.steps")
	s.Changes[0].Set[1], s.Matching = "training.fork=tiny-0123456789@400", MatchFLOPs
	_, err = s.Arms()
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "what the steps before the fork have cost is not known")
}
