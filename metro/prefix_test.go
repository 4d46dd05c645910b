// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat/distuv"

	"metrolab/metro"
	"metrolab/metro/recipes"
)

// prefixesOf is a config of twelve layers whose first steps train prefixes, as in bert2BERT (notes on the paper).
func prefixesOf(layers, steps int) metro.Config {
	c := recipes.Micro()
	c.Main.Layers, c.Training.Steps, c.Training.PrefixSteps, c.Training.PrefixLayers = 12, steps+1, steps, layers
	return c
}

// Prefixes are drawn evenly, step by step, whatever the length of the run, and after the first stage none is.
func TestPrefixesAreDrawnEvenly(t *testing.T) {
	const steps = 12_000
	c := prefixesOf(3, steps)
	require.NoError(t, c.Validate())
	require.Equal(t, []int{3, 6, 9, 12}, c.Prefixes())
	counts, pairs := map[int]float64{}, map[[2]int]float64{}
	for step := 1; step <= steps; step++ {
		counts[c.PrefixAt(step)]++
		if step%2 == 0 {
			pairs[[2]int{c.PrefixAt(step - 1), c.PrefixAt(step)}]++
		}
	}
	require.Len(t, counts, 4)
	require.Less(t, chiSquare(counts, steps/4), distuv.ChiSquared{K: 3}.Quantile(0.999))
	require.Len(t, pairs, 16)
	require.Less(t, chiSquare(pairs, steps/2/16), distuv.ChiSquared{K: 15}.Quantile(0.999), "what is drawn next does not depend on what was drawn")
	require.Zero(t, c.PrefixAt(steps+1))
	require.Zero(t, recipes.Micro().PrefixAt(1))

	longer, other, tuned := prefixesOf(3, 2*steps), c, c
	longer.Training.BatchSize, longer.Optimizer.LearningRate = 4, 1
	other.Seed, tuned.Task.Name = 1, "families"
	differ := 0
	for step := 1; step <= 100; step++ {
		require.Equal(t, c.PrefixAt(step), longer.PrefixAt(step))
		require.Zero(t, tuned.PrefixAt(step), "a fine-tuning has no first stage")
		if c.PrefixAt(step) != other.PrefixAt(step) {
			differ++
		}
	}
	require.InDelta(t, 75, differ, 20)
	require.Equal(t, []int{12, 3, 12, 9, 3, 9}, []int{c.PrefixAt(1), c.PrefixAt(2), c.PrefixAt(3), c.PrefixAt(4), c.PrefixAt(5), c.PrefixAt(6)}, "golden: what was trained can be trained again")
}

// chiSquare compares counts with what each of them should be.
func chiSquare[K comparable](counts map[K]float64, each float64) (sum float64) {
	for _, n := range counts {
		sum += (n - each) * (n - each) / each
	}
	return sum
}

// Every weight moves with the heads, at every depth, or with one block, at one.
func TestEveryWeightMovesSomewhere(t *testing.T) {
	for _, set := range []string{"sharing=none", "sharing=gdes", "main.norm=pre", "sharing=all", "positions.per_layer=true"} {
		c := prefixesOf(3, 10)
		require.NoError(t, c.Set(set))
		if set == "sharing=all" {
			c.Generator.Layers = 12
		}
		inv := metro.Describe(c, 50)
		times := map[string]int{}
		for _, d := range c.Prefixes() {
			for _, w := range c.MovedWith(d, inv) {
				times[w.Path()]++
			}
		}
		for _, w := range inv {
			want := 1
			if w.Head != "" || !w.ByMain || w.Part == "final_norm" {
				want = 4
			}
			require.Equal(t, want, times[w.Path()], "%s: %s", set, w.Path())
		}
		all := c
		all.Training.PrefixLayers = 12
		require.Len(t, all.MovedWith(12, inv), len(inv), "all layers are a block")
	}
}

// A prefix is a model of its depth: its layers have the learning rates of one.
func TestPrefixesAreModelsOfTheirDepth(t *testing.T) {
	c := prefixesOf(3, 10)
	require.NoError(t, c.SetAll("main.norm=pre", "optimizer.layer_decay=0.8"))
	inv := metro.Describe(c, 50)
	for _, d := range c.Prefixes() {
		model := c.Prefix(d)
		of := metro.Describe(model, 50).ByPath()
		for _, w := range c.MovedWith(d, inv) {
			want, _ := model.Moves(of[w.Path()])
			got, _ := model.Moves(w)
			require.Equal(t, want, got, "%d layers: %s", d, w.Path())
		}
		require.NoError(t, model.Validate())
	}
}
