// SPDX-License-Identifier: Apache-2.0

package ablations_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/ablations"
	"metrolab/internal/usererr"
	"metrolab/metro/recipes"
)

func TestGrid(t *testing.T) {
	changes, err := ablations.Grid(recipes.Tiny(), // whose rate is 2e-3 and whose weight is 50
		ablations.Axis{Path: "optimizer.learning_rate", Values: []string{"0.002", "1e-3"}},
		ablations.Axis{Path: "objective.rtd_weight", Values: []string{"10", "50"}})
	require.NoError(t, err)
	require.Equal(t, []ablations.Change{
		{Name: "rtd_weight=10", Set: []string{"objective.rtd_weight=10"}},
		{Name: "learning_rate=1e-3 rtd_weight=10", Set: []string{"optimizer.learning_rate=1e-3", "objective.rtd_weight=10"}},
		{Name: "learning_rate=1e-3", Set: []string{"optimizer.learning_rate=1e-3"}},
	}, changes, "the fourth combination is the baseline")

	changes, err = ablations.Grid(recipes.Tiny(),
		ablations.Axis{Path: "main.layers", Values: []string{"3"}}, ablations.Axis{Path: "generator.layers", Values: []string{"3"}})
	require.NoError(t, err)
	require.Equal(t, "main.layers=3 generator.layers=3", changes[0].Name, "the last parts are alike")
}

func TestOneFactor(t *testing.T) {
	changes, err := ablations.OneFactor(recipes.Tiny(),
		ablations.Axis{Path: "positions.relative", Values: []string{"none", "t5"}}, ablations.Axis{Path: "objective.rtd_weight", Values: []string{"10", "50"}})
	require.NoError(t, err)
	require.Equal(t, []ablations.Change{
		{Name: "relative=none", Set: []string{"positions.relative=none"}},
		{Name: "relative=t5", Set: []string{"positions.relative=t5"}},
		{Name: "rtd_weight=10", Set: []string{"objective.rtd_weight=10"}},
	}, changes)
}

func TestLadder(t *testing.T) {
	require.Equal(t, []ablations.Change{
		{Name: "a", Set: []string{"objective.name=rtd"}},
		{Name: "b", Set: []string{"objective.name=rtd", "main.layers=3"}},
		{Name: "c", Set: []string{"main.layers=3", "objective.name=rtd_masked"}},
	}, ablations.Ladder(
		ablations.Change{Name: "a", Set: []string{"objective.name=rtd"}}, ablations.Change{Name: "b", Set: []string{"main.layers=3"}},
		ablations.Change{Name: "c", Set: []string{"objective.name=rtd_masked"}}))
}

func TestGridsThatAreSlips(t *testing.T) {
	many := make([]string, 101)
	for i := range many {
		many[i] = "1"
	}
	for says, axes := range map[string][]ablations.Axis{
		"twice":                       {{Path: "seed", Values: []string{"1"}}, {Path: "seed", Values: []string{"2"}}},
		"no values for seed":          {{Path: "seed"}},
		"did you mean":                {{Path: "optimizer.lerning_rate", Values: []string{"1"}}},
		"more than 10000 combination": {{Path: "main.layers", Values: many}, {Path: "generator.layers", Values: many}},
	} {
		_, err := ablations.Grid(recipes.Tiny(), axes...)
		require.True(t, usererr.Is(err), says)
		require.ErrorContains(t, err, says)
	}
}
