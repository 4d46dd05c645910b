// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"gonum.org/v1/gonum/integrate/quad"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"metrolab/metro/metrics"
)

const (
	// Alpha is the family-wise rate of wrong verdicts that a study accepts if no change does anything.
	Alpha = 0.05
	// Power is the chance of a verdict at which [Comparison.MinDetectable] and [Comparison.SeedsNeeded] are stated.
	Power = 0.80
	// MaxSeeds caps [Comparison.SeedsNeeded]; MaxSeeds+1 stands for "more than MaxSeeds".
	MaxSeeds = 100
)

// Direction says which way an outcome is good.
type Direction = metrics.Direction

// The two directions.
const (
	HigherIsBetter = metrics.HigherIsBetter
	LowerIsBetter  = metrics.LowerIsBetter
)

// Verdict is what a study knows about one arm against the baseline.
type Verdict string

// The three verdicts. Undecided means that the data do not tell, not that there is no difference.
const (
	Better    Verdict = "better"
	Worse     Verdict = "worse"
	Undecided Verdict = "undecided"
)

// Outcomes are the results of one arm: the outcome of each ended run by its seed. A run that has not ended is absent;
// one that ended without a usable number, because it diverged, is NaN or ±Inf.
type Outcomes struct {
	Name   string
	BySeed map[int64]float64
}

// Comparison is an arm against the baseline, paired by seed. Means, difference, interval and test are over the complete
// pairs: the seeds at which both have a finite outcome. What is not known is NaN.
type Comparison struct {
	Name           string
	Pairs          int     // complete pairs
	Unpaired       int     // finite outcomes of either side whose partner is absent or failed
	Failed         []int64 // seeds whose run of this arm ended without a finite outcome, ascending
	BaselineFailed []int64 // the same of the baseline
	BaselineMean   float64
	Mean           float64
	Diff           float64 // mean of arm − baseline
	SD             float64 // standard deviation of the differences (n−1)
	Low, High      float64 // 95 % interval of Diff by Student's t, for this arm alone (not corrected for the number of arms)
	P              float64 // two-sided
	HolmP          float64 // P adjusted over all arms of the study; the verdict is by this one
	Verdict        Verdict
	// MinDetectable is the size of a true difference that Pairs pairs with this SD would give a verdict on with
	// probability [Power]; NaN unless the arm is undecided and SD > 0.
	MinDetectable float64
	// SeedsNeeded is the number of pairs that would give a verdict with probability [Power] if the true difference were
	// Diff and the spread SD, MaxSeeds+1 for more than MaxSeeds, 0 where there is no telling or no need.
	SeedsNeeded int
	// Note says in words what the numbers cannot: failed runs, no interval, how far from a verdict. It may be empty.
	Note string
}

// Compare compares every arm with the baseline on one outcome and returns one Comparison an arm, in order.
//
// Two-sided paired t tests with n−1 degrees of freedom, adjusted by Holm's step-down method over all arms given. Arms
// without a test yet count as p = 1, so that pass every arm of the study: then a verdict does not grow weaker as the
// others end. Looking early and stopping at the first verdict is not corrected for.
//
// Two rules keep odd data honest. Where all differences are equal, SD is 0 and t says nothing; the exact sign-flip
// test takes its place: p = 2^(1−n) for n equal differences other than zero, 1 for zeros, and no interval. And a side
// with failed runs is never given a verdict in its favor, since the runs that survive flatter it; the other way a
// verdict stands.
//
// MinDetectable and SeedsNeeded are by the noncentral t distribution at level Alpha/len(arms), the level that Holm's
// method asks of an arm in the worst case, whatever the other arms show.
func Compare(baseline Outcomes, arms []Outcomes, better Direction) []Comparison {
	cs := make([]Comparison, len(arms))
	ps := make([]float64, len(arms))
	for i, arm := range arms {
		cs[i] = pair(baseline, arm)
		ps[i] = cs[i].P
	}
	for i, p := range holm(ps) {
		cs[i].HolmP = p
		cs[i].decide(better)
		cs[i].plan(Alpha / float64(len(arms)))
		cs[i].annotate(better)
	}
	return cs
}

// pair fills what can be said about one arm without looking at the others.
func pair(baseline, arm Outcomes) Comparison {
	nan := math.NaN()
	c := Comparison{Name: arm.Name, BaselineMean: nan, Mean: nan, Diff: nan, SD: nan, Low: nan, High: nan, P: nan,
		Failed: failedSeeds(arm), BaselineFailed: failedSeeds(baseline)}
	var base, own, diff []float64
	for _, seed := range sortedSeeds(arm) {
		a, b := arm.BySeed[seed], math.NaN()
		if v, ok := baseline.BySeed[seed]; ok {
			b = v
		}
		if finite(a) && finite(b) {
			base, own, diff = append(base, b), append(own, a), append(diff, a-b)
		}
	}
	c.Pairs = len(diff)
	ended := len(arm.BySeed) - len(c.Failed) + len(baseline.BySeed) - len(c.BaselineFailed)
	c.Unpaired = ended - 2*c.Pairs
	if c.Pairs == 0 {
		return c
	}
	c.BaselineMean, c.Mean, c.Diff = stat.Mean(base, nil), stat.Mean(own, nil), stat.Mean(diff, nil)
	if c.Pairs > 1 {
		c.test(diff, max(maxAbs(base), maxAbs(own)))
	}
	return c
}

// test fills SD, interval and P from n ≥ 2 differences of outcomes no larger than scale.
func (c *Comparison) test(diff []float64, scale float64) {
	n := float64(len(diff))
	// Differences of equal size that come out some roundings apart are equal.
	const rounding = 1e-13
	if slices.Max(diff)-slices.Min(diff) <= rounding*scale {
		c.SD = 0
		c.P = math.Exp2(1 - n)
		if math.Abs(c.Diff) <= rounding*scale {
			c.P = 1
		}
		return
	}
	c.SD = stat.StdDev(diff, nil)
	stderr := c.SD / math.Sqrt(n)
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}
	half := -t.Quantile(Alpha/2) * stderr
	c.Low, c.High = c.Diff-half, c.Diff+half
	c.P = 2 * t.CDF(-math.Abs(c.Diff)/stderr)
}

// holm returns the step-down adjusted p values: the k-th smallest of m becomes max over j ≤ k of min(1, (m−j+1)·p_j)
// (Holm, 1979). NaN counts as 1 and stays NaN.
func holm(ps []float64) []float64 {
	order := make([]int, len(ps))
	for i := range order {
		order[i] = i
	}
	atLeast := func(i int) float64 {
		if math.IsNaN(ps[i]) {
			return 1
		}
		return ps[i]
	}
	sort.SliceStable(order, func(a, b int) bool { return atLeast(order[a]) < atLeast(order[b]) })
	adjusted, floor := make([]float64, len(ps)), 0.0
	for rank, i := range order {
		floor = max(floor, min(1, float64(len(ps)-rank)*atLeast(i)))
		adjusted[i] = floor
		if math.IsNaN(ps[i]) {
			adjusted[i] = math.NaN()
		}
	}
	return adjusted
}

// decide sets the verdict.
func (c *Comparison) decide(better Direction) {
	c.Verdict = c.leaning(better)
	if c.Verdict == Better && len(c.Failed) > 0 || c.Verdict == Worse && len(c.BaselineFailed) > 0 {
		c.Verdict = Undecided
	}
}

// leaning is the verdict of the test alone.
func (c *Comparison) leaning(better Direction) Verdict {
	switch {
	case math.IsNaN(c.HolmP) || c.HolmP >= Alpha:
		return Undecided
	case (c.Diff > 0) == (better == HigherIsBetter):
		return Better
	default:
		return Worse
	}
}

// plan fills MinDetectable and SeedsNeeded of an arm that the test left undecided at level alpha.
func (c *Comparison) plan(alpha float64) {
	c.MinDetectable = math.NaN()
	if c.Pairs < 2 || c.HolmP < Alpha {
		return
	}
	if c.SD > 0 {
		c.MinDetectable = detectable(c.Pairs, alpha) * c.SD / math.Sqrt(float64(c.Pairs))
		c.SeedsNeeded = seedsNeeded(c.Diff/c.SD, c.Pairs+1, alpha)
	}
}

// seedsNeeded is the smallest number of pairs from at least on that decides a true difference of d standard deviations.
func seedsNeeded(d float64, least int, alpha float64) int {
	return least + sort.Search(max(0, MaxSeeds+1-least), func(k int) bool {
		n := least + k
		return tPower(n, math.Abs(d)*math.Sqrt(float64(n)), alpha) >= Power
	})
}

// detectable is the noncentrality δ at which n pairs have the power [Power].
func detectable(n int, alpha float64) float64 {
	low, high := 0.0, 1.0
	for tPower(n, high, alpha) < Power {
		low, high = high, 2*high
	}
	for high-low > 1e-6*high {
		if mid := (low + high) / 2; tPower(n, mid, alpha) < Power {
			low = mid
		} else {
			high = mid
		}
	}
	return high
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

// annotate sets the note.
func (c *Comparison) annotate(better Direction) {
	var notes []string
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if len(c.Failed) > 0 {
		add("failed at %s", seedList(c.Failed))
	}
	if len(c.BaselineFailed) > 0 {
		add("baseline failed at %s", seedList(c.BaselineFailed))
	}
	if leaning := c.leaning(better); leaning != c.Verdict {
		add("%s on the seeds that survived, which is no verdict", leaning)
	}
	switch {
	case c.Pairs == 0:
		add("no seed has a finite outcome on both sides")
	case c.Pairs == 1:
		add("one pair gives no interval")
	case c.SD == 0 && c.P == 1:
		add("equal to the baseline on all %d pairs", c.Pairs)
	case c.SD == 0:
		add("the same difference on all %d pairs, so no interval; exact sign-flip test", c.Pairs)
	case c.SeedsNeeded > MaxSeeds:
		add("%d pairs could tell a difference of %.2g; one of this size needs more than %d seeds", c.Pairs, c.MinDetectable,
			MaxSeeds)
	case c.SeedsNeeded > 0:
		add("%d pairs could tell a difference of %.2g; one of this size needs about %d seeds", c.Pairs, c.MinDetectable, c.SeedsNeeded)
	}
	c.Note = strings.Join(notes, "; ")
}

func seedList(seeds []int64) string {
	words := make([]string, len(seeds))
	for i, s := range seeds {
		words[i] = fmt.Sprint(s)
	}
	if len(words) == 1 {
		return "seed " + words[0]
	}
	return "seeds " + strings.Join(words, ", ")
}

func sortedSeeds(o Outcomes) []int64 {
	seeds := make([]int64, 0, len(o.BySeed))
	for s := range o.BySeed {
		seeds = append(seeds, s)
	}
	slices.Sort(seeds)
	return seeds
}

func failedSeeds(o Outcomes) []int64 {
	return slices.DeleteFunc(sortedSeeds(o), func(s int64) bool { return finite(o.BySeed[s]) })
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func maxAbs(vs []float64) float64 {
	m := 0.0
	for _, v := range vs {
		m = max(m, math.Abs(v))
	}
	return m
}
