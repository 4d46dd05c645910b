// SPDX-License-Identifier: Apache-2.0

package ablations_test

import (
	"fmt"

	"metrolab/ablations"
	"metrolab/metro/recipes"
)

// Three arms and three seeds: what a study is before anything is trained.
func ExampleStudy() {
	study := ablations.Study{
		Name: "clm", Recipe: "tiny", Baseline: recipes.Tiny(), Seeds: []int64{0, 1, 2},
		Outcome: ablations.Outcome{Metric: "frozen_auc_bigram", Label: "RTD AUC", Better: ablations.HigherIsBetter},
		Changes: []ablations.Change{
			{Name: "no CLM", Set: []string{"objective.clm_weight=0"}},
			{Name: "strong CLM", Set: []string{"objective.clm_weight=10"}},
		},
	}
	arms, err := study.Arms()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, arm := range arms {
		fmt.Println(arm.Name, arm.Config.Objective.CLMWeight)
	}
	// Output:
	// baseline 1
	// no CLM 0
	// strong CLM 10
}

// Paired by seed: each change is compared with the baseline at the same seed.
func ExampleCompare() {
	baseline := ablations.Outcomes{Name: "baseline", BySeed: map[int64]float64{0: 0.71, 1: 0.69, 2: 0.72}}
	arm := ablations.Outcomes{Name: "no bias", BySeed: map[int64]float64{0: 0.52, 1: 0.51, 2: 0.52}}
	c := ablations.Compare(baseline, []ablations.Outcomes{arm}, ablations.HigherIsBetter)[0]
	fmt.Printf("%+.3f [%+.3f, %+.3f], p = %.4f: %s\n", c.Diff, c.Low, c.High, c.P, c.Verdict)
	// Output: -0.190 [-0.215, -0.165], p = 0.0009: worse
}
