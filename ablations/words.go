// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"strings"
)

// Says is the verdict as a table shows it: "worse", "worse, with caution", "equivalent within ±0.02", "undecided (about 9 more
// pairs)", or why there is none.
func (c Comparison) Says() string {
	switch {
	case c.Verdict == None:
		return c.Reason
	case c.Verdict == Undecided:
		return string(c.Verdict) + c.more()
	}
	words := string(c.Verdict)
	if c.Verdict == Equivalent {
		words += fmt.Sprintf(" within ±%.4g", c.Margin)
	}
	if c.Caution != "" {
		words += ", with caution"
	}
	return words
}

// more says in brackets how many more pairs a verdict takes; empty where that is not known.
func (c Comparison) more() string {
	switch {
	case c.MorePairs == 0:
		return ""
	case c.Pairs+c.MorePairs > MaxSeeds:
		return fmt.Sprintf(" (more than %d pairs)", MaxSeeds)
	case c.MorePairs == 1:
		return " (about 1 more pair)"
	}
	return fmt.Sprintf(" (about %d more pairs)", c.MorePairs)
}

// annotate sets the note.
func (c *Comparison) annotate(better Direction) {
	var notes []string
	if c.Note != "" {
		notes = append(notes, c.Note)
	}
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if len(c.Failed) > 0 {
		add("failed at %s", seedList(c.Failed))
	}
	if len(c.BaselineFailed) > 0 {
		add("baseline failed at %s", seedList(c.BaselineFailed))
	}
	if leaning := c.leaning(better); leaning != c.Verdict && c.Verdict == Undecided {
		add("%s on the seeds that survived, which is no verdict", leaning)
	}
	if len(c.Missing) > 0 {
		add("the outcome was not measured at %s", seedList(c.Missing))
	}
	switch {
	case c.Pairs == 0:
		add("no seed has a finite outcome on both sides")
	case c.Pairs == 1:
		add("one pair gives no interval")
	case c.anytime && c.HolmP < Alpha && (c.side > 0) != (c.Diff > 0):
		add("most pairs differ one way and their mean the other, which is no verdict")
	case c.anytime: // how many more pairs it takes stands in the verdict
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
	if c.Verdict == Equivalent && c.HolmP < Alpha {
		add("the difference is there (p %.2g), and smaller than the margin", c.HolmP)
	}
	switch {
	case c.EquivalenceSeeds > MaxSeeds:
		add("equivalence within ±%.4g needs more than %d seeds, if there is no difference at all", c.Margin, MaxSeeds)
	case c.EquivalenceSeeds > 0:
		add("equivalence within ±%.4g needs about %d seeds, if there is no difference at all", c.Margin, c.EquivalenceSeeds)
	}
	if c.Pairs > 0 && c.Pairs < c.baselineSeeds {
		add("over these %s the baseline's mean is %.4g", pairsInWords(c.Pairs), c.BaselineMean)
	}
	c.Note = strings.Join(notes, "; ")
}

func pairsInWords(n int) string {
	if n == 1 {
		return "1 pair"
	}
	return fmt.Sprintf("%d pairs", n)
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
