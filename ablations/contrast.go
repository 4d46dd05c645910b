// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// Contrast is a weighted sum of arms' outcomes, the same at each seed: a difference of two arms, the middle of four sizes
// against their ends. The weights add up to 0.
type Contrast map[string]float64

// Contrast returns what the contrast is at each seed at which all of its arms have ended: NaN where one of them has no finite
// outcome. No verdict may be asked of it where none may be of one of its arms. Compared with [Outcomes.Zero], it is tested as
// the difference of an arm to the baseline is. Of the baseline alone it is the outcome, and no verdict may be asked before all of its runs have ended.
func (r Results) Contrast(name string, weights Contrast) Outcomes {
	sum := Outcomes{Name: name, BySeed: map[int64]float64{}}
	missing := map[int64]bool{}
	for _, seed := range r.Study.Seeds {
		total, ended := 0.0, true
		for _, arm := range slices.Sorted(maps.Keys(weights)) {
			run := r.at(arm, seed)
			value, measured := run.metric(r.Study.Outcome.Metric)
			ended = ended && run.Ended && measured
			missing[seed] = missing[seed] || run.Ended && !measured
			total += weights[arm] * value
		}
		switch {
		case missing[seed]:
			sum.Missing = append(sum.Missing, seed)
		case ended && finite(total):
			sum.BySeed[seed] = total
		case ended:
			sum.BySeed[seed] = math.NaN()
		}
	}
	if _, baseline := weights[BaselineName]; baseline && len(weights) == 1 {
		sum.Withheld = cmp.Or(r.exploratory(), r.interim(BaselineName))
		return sum
	}
	for _, arm := range slices.Sorted(maps.Keys(weights)) {
		if arm != BaselineName {
			i := slices.IndexFunc(r.Arms, func(a Arm) bool { return a.Name == arm })
			sum.Withheld = cmp.Or(sum.Withheld, r.withheld(arm, false), r.apart(r.Arms[i]))
		}
	}
	return sum
}

// Zero is nothing at each seed of o.
func (o Outcomes) Zero() Outcomes {
	zero := Outcomes{Name: "0", BySeed: map[int64]float64{}}
	for seed := range o.BySeed {
		zero.BySeed[seed] = 0
	}
	return zero
}
