// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"math"
	"math/rand/v2"
	"slices"

	"metrolab/internal/usererr"
)

// Verdicts that may be looked for after every pair rest on a bet. Who holds that the differences lie above a centre μ stakes on
// each in turn a part of what there is, for a return of 1 + f(d − μ); f is odd and increasing, and was chosen before that pair. If
// the differences are symmetric about μ, or about anything below, each return is 1 or less in expectation, and the wealth W is a
// nonnegative supermartingale that begins at 1. By Ville's inequality it ever reaches 1/p with probability p at most. So
// min over n of 1/W is a p value, however often one looks, and whatever decides when to stop; see
//
//   - Ramdas, Grünwald, Vovk, Shafer, "Game-Theoretic Statistics and Safe Anytime-Valid Inference", arXiv:2210.01948,
//   - Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting", arXiv:2010.09686.
//
// A change that does nothing leaves arm and baseline of a seed exchangeable, and so their difference symmetric about 0, whatever
// the distribution is: runs on a plateau, heavy tails, any spread. That is all that the verdicts "better" and "worse" assume.
// Intervals and equivalence assume that the differences are symmetric about the true one.
//
// The stake is f(x) = 0.95·tanh(x/s), s being the standard deviation of the pairs before: for normal differences one σ away from
// 0, tanh(x/σ) is the bet under which wealth grows fastest. The first two pairs, which have no spread before them, stake
// 0.7·sign(x), which is about that bet's part. 0.95 leaves something after a wrong bet on a spread that was far too small.
//
// Each p value is a running minimum, and stays valid as all of it does: Holm's method over arms holds at every time, however far
// each arm has come. A pair counts in its place in the planned order, or not at all, so it does not matter why an arm went on.
const (
	firstStake   = 0.7
	largestStake = 0.95
)

// wealth follows one sequence of differences, with the bets on it.
type wealth struct {
	pairs    int
	mean, m2 float64 // of the differences so far: their mean and the sum of their squared deviations
	bets     []bet
}

// bet is one on the differences lying above a centre (side 1), or below it (side −1).
type bet struct {
	centre, side float64
	log, peak    float64 // of the wealth, now and at its best
}

func newWealth(bets ...bet) *wealth { return &wealth{bets: bets} }

// add settles the bets on the next difference. A difference no further than rounding from a centre moves nothing.
func (w *wealth) add(diff, rounding float64) {
	for i := range w.bets {
		b := &w.bets[i]
		if x := b.side * (diff - b.centre); math.Abs(x) > rounding {
			b.log += math.Log1p(w.stake(x))
			b.peak = max(b.peak, b.log)
		}
	}
	w.pairs++
	before := w.mean
	w.mean += (diff - before) / float64(w.pairs)
	w.m2 += (diff - before) * (diff - w.mean)
}

// stake is f(x), x not being 0.
func (w *wealth) stake(x float64) float64 {
	if w.pairs < 2 {
		return math.Copysign(firstStake, x)
	}
	return largestStake * math.Tanh(x/math.Sqrt(w.m2/float64(w.pairs-1))) // ±1 where the spread is 0
}

// p is the p value of a bet.
func (w *wealth) p(bet int) float64 { return math.Exp(-w.bets[bet].peak) }

// testAnytime fills SD, intervals and p values of differences in their order, of outcomes no larger than scale.
func (c *Comparison) testAnytime(diff []float64, scale float64) {
	c.SD, c.anytime = deviation(diff), true
	w := c.follow(diff, rounding*scale)
	up, down := w.p(0), w.p(1)
	c.P, c.side = min(1, 2*min(up, down)), 1
	if down < up {
		c.side = -1
	}
	c.Low, c.High = c.bounds(diff, rounding*scale, Alpha/2)
	if c.Margin > 0 {
		c.EquivalenceP = max(w.p(2), w.p(3))
		c.Low90, c.High90 = c.bounds(diff, rounding*scale, Alpha)
	}
}

// follow places the bets of a comparison on differences: above 0 and below 0, then above −Margin and below Margin.
func (c *Comparison) follow(diff []float64, rounding float64) *wealth {
	w := newWealth(bet{side: 1}, bet{side: -1})
	if c.Margin > 0 {
		w.bets = append(w.bets, bet{centre: -c.Margin, side: 1}, bet{centre: c.Margin, side: -1})
	}
	for _, d := range diff {
		w.add(d, rounding)
	}
	return w
}

// bounds are the ends of the confidence sequence, the centres that no bet at level alpha a side has refuted, made wide enough to
// hold the mean; NaN while there are too few pairs to refute anything. Wealth falls in the centre on the one side and rises on the
// other, since no stake depends on it.
func (c *Comparison) bounds(diff []float64, rounding, alpha float64) (low, high float64) {
	if len(diff) < fewestPairs(alpha) {
		return math.NaN(), math.NaN()
	}
	end := func(side float64) float64 {
		refuted := func(centre float64) bool {
			w := newWealth(bet{centre: centre, side: side})
			for _, d := range diff {
				w.add(d, rounding)
			}
			return w.p(0) <= alpha
		}
		// From a centre that is refuted, as far out as it takes, to the mean, which is within.
		step := max(slices.Max(diff)-slices.Min(diff), math.Abs(c.Diff), rounding, math.SmallestNonzeroFloat64)
		outside, inside := c.Diff-side*step, c.Diff
		for range 64 {
			if refuted(outside) {
				break
			}
			step *= 2
			outside = c.Diff - side*step
		}
		if !refuted(outside) {
			return math.NaN()
		}
		for range 50 {
			if middle := (outside + inside) / 2; refuted(middle) {
				outside = middle
			} else {
				inside = middle
			}
		}
		return inside
	}
	if low, high = end(1), end(-1); math.IsNaN(low) || math.IsNaN(high) {
		return math.NaN(), math.NaN()
	}
	return low, high
}

// fewestPairs is the number of pairs that decide at level alpha a side if every bet is won.
func fewestPairs(alpha float64) int {
	rest := -math.Log(alpha) - 2*math.Log1p(firstStake)
	return 2 + int(math.Ceil(max(0, rest)/math.Log1p(largestStake)))
}

// planAnytime fills MorePairs and SeedsNeeded of an arm that is undecided at level alpha: the pairs by which the bets, as they
// stand, are won in as many of simulated sequels as [Power] says. Sequels are normal with the mean Diff; their spread is
// what SD says that it may be.
func (c *Comparison) planAnytime(alpha float64) {
	if c.Verdict != Undecided || c.leaning(HigherIsBetter) != Undecided || c.Pairs < 2 || c.SD == 0 {
		return
	}
	const each = 10 // sequels a spread
	rng := rand.New(rand.NewPCG(17, uint64(c.Pairs)))
	var took []int
	for _, ratio := range newSpread(c.Pairs).ratios {
		for range each {
			w, more := c.follow(c.Differences, 0), 0
			for ; c.Pairs+more <= MaxSeeds && !w.decided(alpha); more++ {
				w.add(c.Diff+c.SD/ratio*rng.NormFloat64(), 0)
			}
			took = append(took, more)
		}
	}
	slices.Sort(took)
	c.MorePairs = max(1, took[int(Power*float64(len(took)))])
	c.SeedsNeeded = c.Pairs + c.MorePairs
}

// decided says whether the bets of [Comparison.follow] are won at level alpha.
func (w *wealth) decided(alpha float64) bool {
	return 2*min(w.p(0), w.p(1)) < alpha || len(w.bets) > 2 && max(w.p(2), w.p(3)) < alpha
}

// UntilDecided is how a file and a flag say that a study goes on until it is decided.
const UntilDecided = "decided"

// UntilDecidedWithin makes the study one that adds seeds until every arm has a verdict, or as many seeds as most: the study's own
// first, then those that follow the largest of them. Too few for any verdict are the user's error.
func (s *Study) UntilDecidedWithin(most int) error {
	s.UntilDecided, s.Seeds = true, slices.Clone(s.Seeds)
	if most < len(s.Seeds) {
		s.Seeds = s.Seeds[:max(0, most)]
	}
	for len(s.Seeds) > 0 && len(s.Seeds) < most {
		s.Seeds = append(s.Seeds, slices.Max(s.Seeds)+1)
	}
	return s.checkUntil()
}

// leastSeeds is the number of pairs below which no arm of a study until decided has a verdict.
func (s Study) leastSeeds() int { return fewestPairs(Alpha / 2 / float64(max(1, len(s.Changes)))) }

func (s Study) checkUntil() error {
	if how, _ := readingOf(s.Outcome.Metric); s.UntilDecided && how.resource != "" {
		return usererr.New("study %q: %s is compared by ranks, once all runs have ended; give the study a fixed number of seeds", s.Name, s.Outcome.Metric)
	}
	if least := s.leastSeeds(); s.UntilDecided && len(s.Seeds) < least {
		return usererr.New("study %q goes on until it is decided, and has %d seeds; with %d changes no verdict comes before %d: give it more (--max-seeds 30)",
			s.Name, len(s.Seeds), len(s.Changes), least)
	}
	return nil
}

// enoughWithoutVerdict is how many seeds of an arm that gets no verdict, because each of its runs fails or equals the baseline's,
// are enough of it.
const enoughWithoutVerdict = 3

// next are the places among the runs of those that a study until decided trains now; none when it is done.
//
// The rule: first every arm gets, seed by seed, the fewest pairs that can decide. From then on the next seed goes to the undecided
// arm that is nearest to a verdict, by the runs that it is expected to take: its own ([Comparison.MorePairs]) and those of the
// baseline that are not there yet. Ties go to the arm that stands first. An arm without a verdict takes no seed beyond the last
// that was planned. As many arms are served as keep that many workers busy.
func (r Results) next(workers int) (places []int) {
	type candidate struct {
		arm        string
		place      int // among the seeds, of its next pair
		least      bool
		runs, more int
	}
	var open []candidate
	ended := func(arm string, seed int64) bool { return r.at(arm, seed).Ended }
	for _, c := range r.Compare() {
		if r.settled(c) {
			continue
		}
		place := slices.IndexFunc(r.Study.Seeds, func(seed int64) bool { return !ended(c.Name, seed) || !ended(BaselineName, seed) })
		if place < 0 {
			continue
		}
		next := candidate{arm: c.Name, place: place, least: place < r.Study.leastSeeds(), more: c.MorePairs}
		if next.more == 0 {
			next.more = MaxSeeds // nobody knows
		}
		for _, seed := range r.Study.Seeds[place:min(place+next.more, len(r.Study.Seeds))] {
			next.runs++
			if !ended(BaselineName, seed) {
				next.runs++
			}
		}
		open = append(open, next)
	}
	slices.SortStableFunc(open, func(a, b candidate) int {
		switch {
		case a.least != b.least:
			return map[bool]int{true: -1, false: 1}[a.least]
		case a.least:
			return a.place - b.place
		case a.runs != b.runs:
			return a.runs - b.runs
		default:
			return a.more - b.more
		}
	})
	for _, next := range open {
		if together := next.least && next.place == open[0].place; !together && (open[0].least || len(places) >= workers) {
			break
		}
		for _, arm := range []string{BaselineName, next.arm} {
			seed := r.Study.Seeds[next.place]
			place := slices.IndexFunc(r.Runs, func(run Run) bool { return run.Arm == arm && run.Seed == seed })
			if !ended(arm, seed) && !slices.Contains(places, place) {
				places = append(places, place)
			}
		}
	}
	return places
}

// settled says whether no further pair can change what is said of an arm.
func (r Results) settled(c Comparison) bool {
	if c.Reason != "" {
		ended := 0
		for _, seed := range r.Study.Seeds {
			if r.at(c.Name, seed).Ended && r.at(BaselineName, seed).Ended {
				ended++
			}
		}
		return ended >= enoughWithoutVerdict
	}
	return c.leaning(r.Study.Outcome.Better) != Undecided
}

// Complete says whether no run of the study is left to be trained.
func (r Results) Complete() bool {
	if r.Study.UntilDecided {
		return len(r.next(1)) == 0
	}
	return r.Ended() == len(r.Runs)
}

// listed are the runs that a table names: all, but of a study until decided those that have begun.
func (r Results) listed() []Run {
	if !r.Study.UntilDecided {
		return r.Runs
	}
	return slices.DeleteFunc(slices.Clone(r.Runs), func(run Run) bool { return !run.Ended && !run.begun(r.Store.Root) })
}
