// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// restrict is a pair of costs, cut where one of them was censored: whoever had not reached the target by then is level with who
// gave up there.
func restrict(a float64, censoredA bool, b float64, censoredB bool) (float64, float64) {
	x, y := a, b
	if censoredB {
		x = min(a, b)
	}
	if censoredA {
		y = min(a, b)
	}
	return x, y
}

// rank fills SD and P of differences of costs to reach a target. Runs that never reach it cost more than they spent, nobody
// knows how much, so that means have no interval; whose cost is higher is known, and Wilcoxon's signed-rank test asks for no
// more than that the differences are as often up as down where a change does nothing.
func (c *Comparison) rank(diff []float64, arm, baseline Outcomes) {
	c.SD, c.P = stat.StdDev(diff, nil), signedRank(diff)
	own, base := len(arm.Censored), len(baseline.Censored)
	c.Note = "exact signed-rank test"
	if own+base > 0 {
		c.Note += fmt.Sprintf("; %d of %d runs of this arm and %d of %d of the baseline's never reached the target, and count with all that they spent",
			own, len(arm.BySeed), base, len(baseline.BySeed))
	}
}

// signedRank is the two-sided p of Wilcoxon's signed-rank test: the part of all 2ⁿ ways to give n differences their signs whose
// rank sum is as far from its middle as theirs, or farther. Zeros are left out, and equal sizes share their mean rank. 1 where
// nothing is left.
func signedRank(differences []float64) float64 {
	diff := slices.DeleteFunc(slices.Clone(differences), func(d float64) bool { return d == 0 })
	slices.SortFunc(diff, func(a, b float64) int { return cmp.Compare(math.Abs(a), math.Abs(b)) })
	var doubled []int // twice the ranks, which are whole where mean ranks are not
	for i := 0; i < len(diff); {
		end := i
		for end < len(diff) && math.Abs(diff[end]) == math.Abs(diff[i]) {
			end++
		}
		for range end - i {
			doubled = append(doubled, i+1+end)
		}
		i = end
	}
	total, up := 0, 0
	for i, r := range doubled {
		if total += r; diff[i] > 0 {
			up += r
		}
	}
	chance := make([]float64, total+1) // of each sum of the ranks of those that go up
	chance[0] = 1
	for _, r := range doubled {
		for sum := total; sum >= 0; sum-- {
			chance[sum] /= 2
			if sum >= r {
				chance[sum] += chance[sum-r] / 2
			}
		}
	}
	far, p := max(up, total-up), 0.0
	for sum, c := range chance {
		if max(sum, total-sum) >= far {
			p += c
		}
	}
	return min(1, p)
}
