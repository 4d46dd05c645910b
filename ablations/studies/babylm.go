// SPDX-License-Identifier: Apache-2.0

package studies

import (
	"fmt"

	"metrolab/ablations"
	"metrolab/metro"
)

// BabyLM compares four ways to pretrain an encoder on BabyLM's ten million words, at one shape, as many steps and three seeds: METRO,
// ELECTRA (replaced token detection alone), masked language modelling, and Fast-ELECTRA, whose generator learns in the first third of
// the steps, alone, and then samples for the main model at a falling temperature. The share of a third is ours; so the steps of both
// models together are those of the other arms. The recipe is babylm-small or, to rehearse it in seconds, micro.
func BabyLM(name, recipe string, config metro.Config) func(backend string) ablations.Study {
	config.Training.WordBudget = 10_000_000
	return func(string) ablations.Study {
		return ablations.Study{
			Name:     name,
			Question: "What is METRO worth beside ELECTRA, masked language modelling and Fast-ELECTRA on BabyLM's ten million words?",
			Recipe:   recipe,
			Outcome:  FrozenAUC,
			Baseline: config,
			Changes: []ablations.Change{
				{Name: "ELECTRA", Set: []string{"objective.name=rtd"}},
				{Name: "MLM", Set: []string{"objective.name=mlm"}},
				{Name: "Fast-ELECTRA", Set: []string{
					"objective.name=rtd", "sharing=none", fmt.Sprintf("training.generator_steps=%d", config.Training.Steps/3),
					"replacements.temperature=2", "replacements.temperature_schedule=exponential", "replacements.temperature_decay=0.3",
				}},
			},
			Seeds: []int64{0, 1, 2},
		}
	}
}
