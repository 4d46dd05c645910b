// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Two one-sided t tests (Schuirmann, 1987): the arm differs by less than a margin ε if the tests of "the difference is −ε or
// less" and of "it is ε or more" both reject. That is so at level α where the 1−2α interval of the difference lies within ±ε.
// No correction is needed for there being two: at most one of what they test is true.

// tost is the p value of the two one-sided tests, the larger of theirs, for a mean difference with its standard error.
func tost(t distuv.StudentsT, diff, stderr, margin float64) float64 {
	return max(t.CDF(-(diff+margin)/stderr), t.CDF((diff-margin)/stderr))
}

// signEquivalence takes its place where n differences are equal: were the true difference as large as the margin, and its
// spread symmetric, all n would lie on the inner side with probability 2^−n.
func signEquivalence(n int, diff, margin float64) float64 {
	if math.Abs(diff) < margin {
		return math.Exp2(-float64(n))
	}
	return 1
}

// holmOfTwo adjusts the p values of two hypotheses an arm, no difference and a difference of the margin or more, over all arms.
// At most one of an arm's two is true, so that the multiplier of Holm's step-down method is the number of arms of which either
// is not rejected yet (Shaffer, 1986): with one arm it is 1, and two questions cost no more than one. NaN counts as 1 and stays
// NaN.
func holmOfTwo(difference, equivalence []float64) (adjusted, adjustedEquivalence []float64) {
	arms := len(difference)
	ps := slices.Concat(difference, equivalence)
	order := make([]int, len(ps))
	for i := range order {
		order[i] = i
	}
	atMostOne := func(i int) float64 {
		if math.IsNaN(ps[i]) {
			return 1
		}
		return ps[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(atMostOne(a), atMostOne(b)) })
	open, rejected, floor, all := arms, make([]int, arms), 0.0, make([]float64, len(ps))
	for _, i := range order {
		floor = max(floor, min(1, float64(open)*atMostOne(i)))
		all[i] = floor
		if math.IsNaN(ps[i]) {
			all[i] = math.NaN()
		}
		if rejected[i%arms]++; rejected[i%arms] == 2 {
			open--
		}
	}
	return all[:arms], all[arms:]
}

// tostPower is the power of the two one-sided tests of n differences at level alpha if the true mean lies δ standard errors
// from 0 and the margin is ε of them: with U = s/σ, ν·U² being χ²(ν), and c the one-sided critical value,
//
//	power = E max(0, Φ(ε − δ − c·U) − Φ(−ε − δ + c·U))
func tostPower(n int, delta, epsilon, alpha float64) float64 {
	nu := float64(n - 1)
	critical := -distuv.StudentsT{Mu: 0, Sigma: 1, Nu: nu}.Quantile(alpha)
	chi2 := distuv.ChiSquared{K: nu}
	f := func(u float64) float64 {
		width := distuv.UnitNormal.CDF(epsilon-delta-critical*u) - distuv.UnitNormal.CDF(-epsilon-delta+critical*u)
		return max(0, width) * 2 * nu * u * chi2.Prob(nu*u*u)
	}
	// U lies beyond these bounds in one case of 10¹², and where c·U > ε the tests never reject.
	const rare, points = 1e-12, 96
	low, high := math.Sqrt(chi2.Quantile(rare)/nu), math.Sqrt(chi2.Quantile(1-rare)/nu)
	return integrate(f, low, min(high, epsilon/critical), points)
}

// seedsForEquivalence is the smallest number of pairs, more than there are, that finds equivalence within a margin with the
// chance [Power] where the true difference is d; both in estimated standard deviations.
func (s spread) seedsForEquivalence(d, margin, alpha float64) int {
	if math.Abs(d) >= margin {
		return MaxSeeds + 1
	}
	return s.leastPairs(func(n int) bool {
		power, root := 0.0, math.Sqrt(float64(n))
		for i, ratio := range s.ratios {
			power += s.weights[i] * tostPower(n, math.Abs(d)*ratio*root, margin*ratio*root, alpha)
		}
		return power >= Power
	})
}
