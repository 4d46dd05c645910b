// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Why there is no verdict, as the column of verdicts says it.
const (
	exploratory = "seeds added after looking: exploratory"
	altered     = "plan altered after it was written: exploratory"
	sameRuns    = "no effect: the baseline's own runs"
	sameOutcome = "no effect: every number is the baseline's"
	otherSet    = "measured on another set"
)

// Compare compares every change with the baseline on the study's outcome, with the runs that have ended.
//
// There is a verdict where all seeds that were planned have ended on both sides, and no others were added after looking; in a study
// until decided, at any time.
// An arm whose runs are the baseline's, or whose numbers all are, has a setting that does nothing, and so no verdict; nor has
// one that was measured on another set.
func (r Results) Compare() []Comparison {
	cs := r.compare(nil)
	if r.exploratory() == exploratory {
		planned := r.compare(r.wasPlanned)
		for i, c := range planned {
			if cs[i].Reason == exploratory {
				cs[i].say(fmt.Sprintf("on the planned %s alone: %s", seedList(r.Planned.Seeds), c.Says()))
			}
		}
	}
	return cs
}

// compare is over those seeds that keep, nil for all, says yes to.
func (r Results) compare(keep func(seed int64) bool) []Comparison {
	baseline := r.outcomes(BaselineName, keep)
	var arms []Outcomes
	for _, arm := range r.Arms[1:] {
		o := r.outcomes(arm.Name, keep)
		o.Withheld = r.withheld(arm.Name, keep != nil)
		arms = append(arms, o)
	}
	cs := r.Study.design().Compare(baseline, arms)
	edge, learned := r.plateau()
	for i := range cs {
		if why := cmp.Or(r.apart(r.Arms[i+1]), r.elsewhere(r.Arms[i+1])); why != "" {
			cs[i].part(why)
			continue
		}
		switch {
		case cs[i].Pairs == 0:
		case learned:
			cs[i].Caution = plateauCaution(baseline, arms[i], edge)
		case describe(r.Study.Outcome.Metric).Chance != 0:
			cs[i].Caution = nobodyLearned
		}
		if cs[i].Caution != "" {
			cs[i].say("caution: " + cs[i].Caution)
		}
		if floor, ok := r.Floor(); ok && math.Abs(cs[i].Diff) < floor.Of(cs[i].Pairs) {
			cs[i].say(fmt.Sprintf("a change of rounding alone gives differences up to %.2g", floor.Of(cs[i].Pairs)))
		}
	}
	return cs
}

// elsewhere says that an arm's outcome is the mean of evaluations at other parts of a run than the baseline's; empty if not.
func (r Results) elsewhere(arm Arm) string {
	const near = 0.01 // of a run: where steps are matched, they are rounded
	for _, seed := range r.Study.Seeds {
		own, base := r.at(arm.Name, seed), r.at(BaselineName, seed)
		for i := range min(len(own.read.at), len(base.read.at)) {
			if math.Abs(own.read.at[i]-base.read.at[i]) > near {
				return fmt.Sprintf("at seed %d %s is a mean over other parts of training than the baseline's (from %.0f %% on, and from %.0f %%), because the run that was found has another training.eval_every",
					seed, r.Study.Outcome.Metric, 100*own.read.at[0], 100*base.read.at[0])
			}
		}
	}
	return ""
}

// part leaves nothing of a comparison of two sides that were measured on different sets, but the arm's own mean and why.
func (c *Comparison) part(why string) {
	before := *c
	*c = unknown(before.Name)
	c.Failed, c.BaselineFailed, c.Mean, c.Margin = before.Failed, before.BaselineFailed, before.Mean, before.Margin
	c.Verdict, c.Reason, c.Note = None, otherSet, why
}

// say adds to the note.
func (c *Comparison) say(words string) {
	if c.Note != "" {
		c.Note += "; "
	}
	c.Note += words
}

// withheld says why an arm gets no verdict; empty if it may get one.
func (r Results) withheld(arm string, plannedOnly bool) string {
	same, equal, ended := 0, 0, 0
	for _, seed := range r.Study.Seeds {
		own, base := r.at(arm, seed), r.at(BaselineName, seed)
		if own.ID != "" && own.ID == base.ID && own.Tuned == base.Tuned && (r.Study.Finetune == nil || own.Tuned != "") {
			same++
		}
		if own.Ended && base.Ended {
			ended++
			if sameNumbers(own, base) {
				equal++
			}
		}
	}
	switch {
	case same > 0 && same == len(r.Study.Seeds):
		return sameRuns
	case ended > 0 && equal == ended:
		return sameOutcome
	}
	if why := r.exploratory(); why != "" && !(plannedOnly && why == exploratory) {
		return why
	}
	return r.interim(arm)
}

// exploratory says why no verdict of the study is what it was planned for; empty if each is.
func (r Results) exploratory() string {
	switch {
	case r.Planned == nil:
		return ""
	case !r.Study.UntilDecided && slices.ContainsFunc(r.Study.Seeds, func(seed int64) bool { return !r.wasPlanned(seed) }):
		return exploratory
	case r.Planned.Hash == "":
		return ""
	}
	if hash, err := r.planHash(); err != nil || hash != r.Planned.Hash {
		return altered
	}
	return ""
}

// wasPlanned says whether the seed was among those that were written down.
func (r Results) wasPlanned(seed int64) bool {
	return r.Planned == nil || slices.Contains(r.Planned.Seeds, seed)
}

// Interim begins what is said in the place of a verdict while planned pairs are missing.
const Interim = "interim: "

// interim says how far an arm is whose planned pairs have not all ended; who stops at the first verdict finds one too often.
func (r Results) interim(arm string) string {
	if r.Study.UntilDecided {
		return "" // its tests may be looked at whenever one likes
	}
	planned, ended := 0, 0
	for _, seed := range r.Study.Seeds {
		if !r.wasPlanned(seed) {
			continue
		}
		planned++
		if r.at(arm, seed).Ended && r.at(BaselineName, seed).Ended {
			ended++
		}
	}
	if ended == planned {
		return ""
	}
	return fmt.Sprintf(Interim+"%d of %d seeds", ended, planned)
}

func (r Results) at(arm string, seed int64) Run {
	run, _ := find(r.Runs, arm, seed)
	return run
}

// plateau is the outcome that a run must pass to have learned anything: a fifth of the way from guessing to the study's best
// run. ok is false where the outcome has no level of guessing, or no run has left it.
func (r Results) plateau() (edge float64, ok bool) {
	const leastWay = 0.1 // of the outcome, below which no run has
	m := describe(r.Study.Outcome.Metric)
	best := 0.0
	for _, arm := range r.Arms {
		for _, v := range r.outcomes(arm.Name, nil).BySeed {
			if finite(v) {
				best = max(best, v-m.Chance)
			}
		}
	}
	return m.Chance + best/5, m.Chance != 0 && best >= leastWay
}

// enoughForTwoKinds is the number of pairs from which on t tests keep their rate of wrong verdicts although each run has
// either left the plateau or not, see TestRunsOnAPlateau.
const enoughForTwoKinds = 5

// nobodyLearned is the caution of a study whose arms are all near guessing.
const nobodyLearned = "no run of the study has left its plateau, so that no arm is told by what it has learned; metro diagnose says why"

// plateauCaution says that some runs of an arm and the baseline have left the plateau and some not, where there are few, or
// where none of one side has; empty if not.
func plateauCaution(baseline, arm Outcomes, edge float64) string {
	stuck := func(o Outcomes) (stuck, all int) {
		for _, v := range o.BySeed {
			if finite(v) {
				all++
			}
			if v < edge {
				stuck++
			}
		}
		return stuck, all
	}
	own, n := stuck(arm)
	base, m := stuck(baseline)
	switch {
	case own+base == 0 || own+base == n+m:
		return ""
	case min(n, m) < enoughForTwoKinds:
	case own == n:
		return fmt.Sprintf("none of the %d runs of this arm has left its plateau, so that it is not told what the arm would have learned; metro diagnose says why", n)
	case base == m:
		return fmt.Sprintf("none of the baseline's %d runs has left its plateau, so that every arm that has is ahead of it; metro diagnose says why", m)
	default:
		return ""
	}
	return fmt.Sprintf("%d of %d runs of this arm and %d of %d of the baseline's stayed near guessing; where chance decides that, t tests of fewer than %d pairs are wrong in more than %g %%",
		own, n, base, m, enoughForTwoKinds, 100*Alpha)
}
