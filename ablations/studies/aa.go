// SPDX-License-Identifier: Apache-2.0

package studies

import (
	"metrolab/ablations"
	"metrolab/metro"
)

// AA compares a recipe with itself: its arm adds the same numbers in another order, by gradients of half the rows each. What
// it finds is no effect but the spread that rounding alone gives, which [ablations.Floors] keeps; scripts/floors writes it
// down.
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
