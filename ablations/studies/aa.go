// SPDX-License-Identifier: Apache-2.0

package studies

import (
	"slices"

	"metrolab/ablations"
	"metrolab/metro"
	"metrolab/metro/recipes"
)

// AA compares a recipe with itself: its arm adds the same numbers in another order, by gradients of half the rows each. What
// it finds is no effect but the spread that rounding alone gives, which [ablations.Floors] keeps; metro ablate noise --floors
// writes it down.
func AA(name, recipe string, config metro.Config, seeds ...int64) func(backend string) ablations.Study {
	return func(string) ablations.Study {
		return ablations.Study{
			Name:     name,
			Question: "How far apart do runs end that differ in the order of additions alone?",
			Recipe:   recipe,
			Outcome:  FrozenAUC,
			Baseline: config,
			Changes:  []ablations.Change{{Name: "gradients in two parts", Set: []string{"training.accumulate=2"}}},
			Seeds:    seeds,
		}
	}
}

// aaSeeds are the seeds of a recipe's A/A study; no other study that ships has them.
var aaSeeds = []int64{100, 101, 102, 103, 104, 105}

// AAOf is the A/A study of a recipe: the one that ships, or one of six pairs. An unknown recipe is the user's error.
func AAOf(recipe string) (ablations.Study, error) {
	config, err := recipes.Get(recipe)
	if err != nil {
		return ablations.Study{}, err
	}
	name := "aa-" + recipe
	if recipe == "tiny" {
		name = "aa"
	}
	if slices.Contains(Names(), name) {
		return Get(name, "")
	}
	return AA(name, recipe, config, aaSeeds...)(""), nil
}
