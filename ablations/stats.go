// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"

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

// The verdicts. Undecided means that the data do not tell, not that there is no difference. None means that they may not
// be asked: [Comparison.Reason] says why.
const (
	Better     Verdict = "better"
	Worse      Verdict = "worse"
	Equivalent Verdict = "equivalent" // whatever the difference is, it is smaller than the margin
	Undecided  Verdict = "undecided"
	None       Verdict = "none"
)

// Outcomes are the results of one arm: the outcome of each ended run by its seed. A run that has not ended is absent;
// one that ended without a usable number, because it diverged, is NaN or ±Inf.
type Outcomes struct {
	Name   string
	BySeed map[int64]float64
	// Censored are the seeds whose run spent BySeed without reaching a target; nil for outcomes that are no such cost. See [Compare].
	Censored map[int64]bool
	Missing  []int64 // seeds whose run ended well but has not measured the outcome, which is a gap and no failure
	// Withheld says, as a column of verdicts does, why there is to be none, whatever the numbers are; empty for a verdict.
	Withheld string
}

// Design is how verdicts are come to. It is part of a study's plan, written down before its first run.
type Design struct {
	Better Direction
	// Margin is the size of a difference, on the outcome's scale, that is too small to matter. An arm whose difference is shown
	// to be smaller is [Equivalent]; 0 asks for differences alone.
	Margin float64
	// Seeds are those of a design that may be looked at after every pair, in the order in which their pairs count: see
	// sequential.go. Nil for one that is looked at once, when all have ended.
	Seeds []int64
}

// Comparison is an arm against the baseline, paired by seed. Means, difference, interval and test are over the complete
// pairs: the seeds at which both have a finite outcome. What is not known is NaN.
type Comparison struct {
	Name           string
	Pairs          int     // complete pairs
	Unpaired       int     // finite outcomes of either side whose partner is absent or failed
	Failed         []int64 // seeds whose run of this arm ended without a finite outcome, ascending
	BaselineFailed []int64 // the same of the baseline
	Missing        []int64 // seeds whose run of either side ended well without measuring the outcome, ascending
	BaselineMean   float64
	Mean           float64
	Diff           float64   // mean of arm − baseline
	Differences    []float64 // arm − baseline of each pair, in the order of the seeds
	SD             float64   // standard deviation of the differences (n−1)
	Low, High      float64   // 95 % interval of Diff by Student's t, for this arm alone (not corrected for the number of arms)
	P              float64   // two-sided
	HolmP          float64   // P adjusted over all arms of the study; the verdict is by this one
	Margin         float64   // of the [Design]; 0 for none, and then what follows of equivalence is NaN
	EquivalenceP   float64   // of the two one-sided tests against a difference of Margin or more
	HolmEquivP     float64   // EquivalenceP adjusted over all arms, together with P
	Low90, High90  float64   // 90 % interval of Diff: it lies within ±Margin where EquivalenceP < 0.05
	Verdict        Verdict
	Reason         string // why the verdict is [None]; empty for the others
	// Caution says what speaks against trusting the test, and so a verdict; it may be empty.
	Caution string
	// MinDetectable is the size of a true difference that another study of as many pairs would give a verdict on with
	// probability [Power], SD being an estimate; NaN unless the arm is undecided and SD > 0.
	MinDetectable float64
	// SeedsNeeded is the number of pairs of a study that would give a verdict with probability [Power] on a true difference
	// of the size of Diff, SD being an estimate; MaxSeeds+1 for more than MaxSeeds, 0 where there is no telling or no need.
	SeedsNeeded int
	// EquivalenceSeeds is the number of pairs of a study that would find the arm equivalent with probability [Power] if there
	// is no difference at all; MaxSeeds+1 for more than MaxSeeds, 0 where there is no telling, no need or no margin.
	EquivalenceSeeds int
	// MorePairs is about how many pairs, beyond those there are, decide with probability [Power], either way, if the true
	// difference is Diff; more than MaxSeeds for too many, 0 where there is no telling or no need.
	MorePairs int
	// Note says in words what the numbers cannot: failed runs, no interval, how far from a verdict. It may be empty.
	Note string

	baselineSeeds int // finite outcomes of the baseline

	side    float64 // the sign of what the test speaks for
	anytime bool    // the test is that of sequential.go
}

// Compare compares by a design without a margin, see [Design.Compare].
func Compare(baseline Outcomes, arms []Outcomes, better Direction) []Comparison {
	return Design{Better: better}.Compare(baseline, arms)
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
// verdict stands. Where every run of a side has failed there is no verdict, and the reason says so.
//
// With a margin, each arm is also tested for equivalence: see equivalence.go. An arm is [Equivalent] if both one-sided tests
// reject, also where its difference is significant: the margin was stated beforehand as what does not matter, and the note says
// that the difference is there. Equivalence is in the favor of both sides, so that failed runs of either leave it undecided.
//
// Costs to reach a target, some of which may be censored, are tested by ranks, and have no interval; see [OutcomeOf].
//
// MinDetectable and SeedsNeeded are by the noncentral t distribution at level Alpha/len(arms), the level that Holm's
// method asks of an arm in the worst case, whatever the other arms show. SD is an estimate from Pairs differences; both
// are averages over what σ may be, so that the chance that they are stated for is the one that they have.
func (d Design) Compare(baseline Outcomes, arms []Outcomes) []Comparison {
	cs := make([]Comparison, len(arms))
	for i, arm := range arms {
		cs[i] = d.pair(baseline, arm)
	}
	d.adjust(cs)
	for i := range cs {
		cs[i].Reason = cmp.Or(everyRunFailed(arms[i], ""), everyRunFailed(baseline, "baseline "), baseline.Withheld, arms[i].Withheld)
		cs[i].decide(d.Better)
		if alpha := Alpha / float64(len(arms)); d.Seeds != nil {
			cs[i].planAnytime(alpha)
		} else {
			cs[i].plan(alpha)
		}
		cs[i].annotate(d.Better)
	}
	return cs
}

// adjust fills the adjusted p values.
func (d Design) adjust(cs []Comparison) {
	ps, equivalence := make([]float64, len(cs)), make([]float64, len(cs))
	for i, c := range cs {
		ps[i], equivalence[i] = c.P, c.EquivalenceP
	}
	if d.Margin == 0 {
		ps = holm(ps)
	} else {
		ps, equivalence = holmOfTwo(ps, equivalence)
	}
	for i := range cs {
		cs[i].HolmP, cs[i].HolmEquivP = ps[i], equivalence[i]
	}
}

// pair fills what can be said about one arm without looking at the others.
func (d Design) pair(baseline, arm Outcomes) Comparison {
	c := unknown(arm.Name)
	c.Margin, c.Failed, c.BaselineFailed = d.Margin, failedSeeds(arm), failedSeeds(baseline)
	c.Missing = slices.Compact(slices.Sorted(slices.Values(slices.Concat(arm.Missing, baseline.Missing))))
	c.baselineSeeds = len(baseline.BySeed) - len(c.BaselineFailed)
	var base, own, diff []float64
	for _, seed := range d.order(baseline, arm) {
		a, b := arm.at(seed), baseline.at(seed)
		if finite(a) && finite(b) {
			a, b = restrict(a, arm.Censored[seed], b, baseline.Censored[seed])
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
	c.Differences, c.side = diff, c.Diff
	scale := max(maxAbs(base), maxAbs(own))
	switch {
	case d.Seeds != nil:
		c.testAnytime(diff, scale)
	case c.Pairs > 1 && arm.Censored != nil:
		c.rank(diff, arm, baseline)
	case c.Pairs > 1:
		c.test(diff, scale)
	}
	return c
}

// order are the seeds at which pairs may count: all that an arm has, or the first of those planned, up to one that has not ended on
// both sides.
func (d Design) order(baseline, arm Outcomes) []int64 {
	if d.Seeds == nil {
		return sortedSeeds(arm)
	}
	for i, seed := range d.Seeds {
		if !arm.ended(seed) || !baseline.ended(seed) {
			return d.Seeds[:i]
		}
	}
	return d.Seeds
}

// at is the outcome at a seed, NaN where there is none.
func (o Outcomes) at(seed int64) float64 {
	if v, ok := o.BySeed[seed]; ok {
		return v
	}
	return math.NaN()
}

// ended says whether the run at a seed has.
func (o Outcomes) ended(seed int64) bool {
	_, measured := o.BySeed[seed]
	return measured || slices.Contains(o.Missing, seed)
}

// unknown is a comparison of which nothing is known.
func unknown(name string) Comparison {
	nan := math.NaN()
	return Comparison{Name: name, BaselineMean: nan, Mean: nan, Diff: nan, SD: nan, Low: nan, High: nan, P: nan, HolmP: nan,
		EquivalenceP: nan, HolmEquivP: nan, Low90: nan, High90: nan, MinDetectable: nan}
}

// rounding is how far apart, beside the outcomes' size, differences are that are equal.
const rounding = 1e-13

// test fills SD, interval and P from n ≥ 2 differences of outcomes no larger than scale.
func (c *Comparison) test(diff []float64, scale float64) {
	n := float64(len(diff))
	if slices.Max(diff)-slices.Min(diff) <= rounding*scale {
		c.SD = 0
		c.P = math.Exp2(1 - n)
		if math.Abs(c.Diff) <= rounding*scale {
			c.P = 1
		}
		if c.Margin > 0 {
			c.EquivalenceP = signEquivalence(len(diff), c.Diff, c.Margin)
		}
		return
	}
	c.SD = deviation(diff)
	stderr := c.SD / math.Sqrt(n)
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}
	half := -t.Quantile(Alpha/2) * stderr
	c.Low, c.High = c.Diff-half, c.Diff+half
	c.P = 2 * t.CDF(-math.Abs(c.Diff)/stderr)
	if c.Margin > 0 {
		half = -t.Quantile(Alpha) * stderr
		c.Low90, c.High90 = c.Diff-half, c.Diff+half
		c.EquivalenceP = tost(t, c.Diff, stderr, c.Margin)
	}
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

// everyRunFailed says that all of an arm's runs have; empty if one has not, or none has ended.
func everyRunFailed(o Outcomes, side string) string {
	n := len(failedSeeds(o))
	if n == 0 || n < len(o.BySeed)+len(o.Missing) {
		return ""
	}
	return fmt.Sprintf("%sdiverged %d of %d", side, n, n)
}

// decide sets the verdict.
func (c *Comparison) decide(better Direction) {
	c.Verdict = c.leaning(better)
	if c.Reason != "" {
		c.Verdict = None
		return
	}
	inFavor, against := c.Verdict != Worse, c.Verdict != Better
	if inFavor && len(c.Failed) > 0 || against && len(c.BaselineFailed) > 0 {
		c.Verdict = Undecided
	}
}

// leaning is the verdict of the test alone.
func (c *Comparison) leaning(better Direction) Verdict {
	switch {
	case c.HolmEquivP < Alpha && math.Abs(c.Diff) < c.Margin:
		return Equivalent
	case math.IsNaN(c.HolmP) || c.HolmP >= Alpha || (c.side > 0) != (c.Diff > 0):
		return Undecided
	case (c.Diff > 0) == (better == HigherIsBetter):
		return Better
	default:
		return Worse
	}
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

// deviation is the standard deviation (n−1), NaN for one value.
func deviation(vs []float64) float64 {
	if len(vs) < 2 {
		return math.NaN()
	}
	return stat.StdDev(vs, nil)
}

func maxAbs(vs []float64) float64 {
	m := 0.0
	for _, v := range vs {
		m = max(m, math.Abs(v))
	}
	return m
}
