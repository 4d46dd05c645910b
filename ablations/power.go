// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"math"
	"sort"

	"gonum.org/v1/gonum/integrate/quad"
	"gonum.org/v1/gonum/stat/distuv"
)

// plan fills MinDetectable and SeedsNeeded of an arm that the test left undecided at level alpha.
func (c *Comparison) plan(alpha float64) {
	c.MinDetectable = math.NaN()
	if c.Verdict != Undecided || c.Pairs < 2 || c.HolmP < Alpha || c.HolmEquivP < Alpha || c.SD == 0 || !finite(c.Low) {
		return
	}
	spread := newSpread(c.Pairs)
	c.MinDetectable = spread.detectable(alpha) * c.SD
	c.SeedsNeeded = spread.seedsNeeded(c.Diff/c.SD, alpha)
	c.MorePairs = c.SeedsNeeded - c.Pairs
	if c.Margin > 0 {
		c.EquivalenceSeeds = spread.seedsForEquivalence(0, c.Margin/c.SD, alpha)
		c.MorePairs = min(c.MorePairs, spread.seedsForEquivalence(c.Diff/c.SD, c.Margin/c.SD, alpha)-c.Pairs)
	}
}

// spread is what an estimated standard deviation s says of the true one, σ: quantiles of s/σ, whose square is
// χ²(pairs−1)/(pairs−1). Averages over them take the place of σ.
type spread struct {
	pairs           int
	ratios, weights []float64
}

func newSpread(pairs int) spread {
	const points = 24
	s := spread{pairs: pairs, ratios: make([]float64, points), weights: make([]float64, points)}
	quad.Legendre{}.FixedLocations(s.ratios, s.weights, 0, 1)
	nu := float64(pairs - 1)
	for i, p := range s.ratios {
		s.ratios[i] = math.Sqrt(distuv.ChiSquared{K: nu}.Quantile(p) / nu)
	}
	return s
}

// power is the chance that n pairs decide a true difference of d estimated standard deviations.
func (s spread) power(n int, d, alpha float64) float64 {
	sum := 0.0
	for i, ratio := range s.ratios {
		sum += s.weights[i] * tPower(n, d*ratio*math.Sqrt(float64(n)), alpha)
	}
	return sum
}

// detectable is the difference in estimated standard deviations that as many pairs decide with the chance [Power].
func (s spread) detectable(alpha float64) float64 {
	low, high := 0.0, 1.0
	for s.power(s.pairs, high, alpha) < Power {
		low, high = high, 2*high
	}
	for high-low > 1e-3*high {
		if mid := (low + high) / 2; s.power(s.pairs, mid, alpha) < Power {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// seedsNeeded is the smallest number of pairs, more than there are, that decides a true difference of d estimated
// standard deviations with the chance [Power].
func (s spread) seedsNeeded(d, alpha float64) int {
	return s.leastPairs(func(n int) bool { return s.power(n, math.Abs(d), alpha) >= Power })
}

// leastPairs is the smallest number of pairs, more than there are, that is enough; MaxSeeds+1 if MaxSeeds are not.
func (s spread) leastPairs(enough func(n int) bool) int {
	least := s.pairs + 1
	return least + sort.Search(max(0, MaxSeeds+1-least), func(k int) bool { return enough(least + k) })
}

// tPower is the power of the two-sided one-sample t test of n differences at level alpha if the true mean is δ standard
// errors away from 0: P(|T| > c), where T is noncentral t with ν = n−1 degrees and noncentrality δ, and c the critical
// value. With T = (Z+δ)/√(X/ν), Z normal and X χ²(ν), the event is X < ν·((Z+δ)/c)², so that
//
//	power = ∫ φ(z) · F_χ²(ν)( ν·((z+δ)/c)² ) dz
//
// which stays exact where series for the noncentral t overflow (δ > 37, reached at n = 2).
func tPower(n int, delta, alpha float64) float64 {
	nu := float64(n - 1)
	critical := -distuv.StudentsT{Mu: 0, Sigma: 1, Nu: nu}.Quantile(alpha / 2)
	chi2 := distuv.ChiSquared{K: nu}
	f := func(z float64) float64 {
		r := (z + delta) / critical
		return distuv.UnitNormal.Prob(z) * chi2.CDF(nu*r*r)
	}
	// The integrand has its only kink at z = −δ; beyond ±9 the normal density is < 1e-17.
	const far, points = 9, 96
	kink := max(-far, min(far, -delta))
	return integrate(f, -far, kink, points) + integrate(f, kink, far, points)
}

func integrate(f func(float64) float64, a, b float64, points int) float64 {
	if a >= b {
		return 0
	}
	return quad.Fixed(f, a, b, points, quad.Legendre{}, 0)
}
