// SPDX-License-Identifier: Apache-2.0

package claims

import (
	"fmt"
	"strings"

	"metrolab/ablations"
	"metrolab/viz"
	"metrolab/viz/table"
)

// Status is where a claim stands.
type Status string

// The statuses. Equivalent is a difference that was claimed and is shown to be smaller than the margin.
const (
	Confirmed       Status = "confirmed"
	Contradicted    Status = "contradicted"
	EquivalentThere Status = "equivalent"
	Undecided       Status = "undecided"
	NotRun          Status = "not run"
	Withheld        Status = "no verdict"
)

// Standing is a claim at a variant, with what is known of it.
type Standing struct {
	Claim      Claim
	Variant    Variant
	Entry      Entry
	Comparison ablations.Comparison // of the contrast with nothing, for this claim alone
	HolmP      float64              // of the test that decided, adjusted over the whole ledger's first variants; NaN where there is none
	Status     Status
}

// Decided says whether the study has told, either way.
func (s Standing) Decided() bool {
	return s.Status == Confirmed || s.Status == Contradicted || s.Status == EquivalentThere
}

// Says is the status as a table shows it.
func (s Standing) Says() string {
	switch s.Status {
	case Withheld:
		return "no verdict: " + s.Entry.Withheld
	case Undecided:
		return s.Comparison.Says()
	}
	if s.Decided() && s.Entry.Caution != "" {
		return string(s.Status) + ", with caution"
	}
	return string(s.Status)
}

// status is what a verdict on the contrast is to a claim.
func (x Expectation) status(v ablations.Verdict) Status {
	switch v {
	case ablations.Undecided:
		return Undecided
	case ablations.None:
		return Withheld
	case ablations.Equivalent:
		if x == Better {
			return EquivalentThere
		}
		return Confirmed
	case ablations.Better:
		if x == Equivalent {
			return Contradicted
		}
		return Confirmed
	}
	return Contradicted
}

// Standings are those of all claims at their first variants, with p adjusted over all of them.
func (l Ledger) Standings(all []Claim) []Standing {
	var list []Standing
	var outcomes []ablations.Outcomes
	for _, claim := range all {
		s := l.Standing(claim, claim.Variants()[0])
		list, outcomes = append(list, s), append(outcomes, s.Entry.outcomes())
	}
	for i, c := range compare(all, outcomes) {
		list[i].HolmP = c.HolmP
		if list[i].Comparison.Verdict == ablations.Equivalent {
			list[i].HolmP = c.HolmEquivP
		}
	}
	return list
}

// Standing is a claim's at a variant.
func (l Ledger) Standing(claim Claim, v Variant) Standing {
	s := Standing{Claim: claim, Variant: v, Status: NotRun}
	entry, found := l.Of(claim.ID, v)
	s.Comparison = compare([]Claim{claim}, []ablations.Outcomes{entry.outcomes()})[0]
	s.HolmP = s.Comparison.HolmP
	if s.Entry = entry; !found {
		return s
	}
	s.Status = claim.Expects.status(s.Comparison.Verdict)
	if entry.Plan != claim.Preregistered[v.String()] {
		s.Entry.Withheld, s.Status = otherPlan, Withheld
	}
	return s
}

// compare tests each contrast against nothing; the margins of all claims are alike, which a test holds.
func compare(all []Claim, contrasts []ablations.Outcomes) []ablations.Comparison {
	zero := ablations.Outcomes{BySeed: map[int64]float64{}}
	for _, o := range contrasts {
		for seed := range o.BySeed {
			zero.BySeed[seed] = 0
		}
	}
	return ablations.Design{Better: ablations.HigherIsBetter, Margin: all[0].Margin}.Compare(zero, contrasts)
}

// Table is one row a claim: what the contrast is, the published direction, where it stands, and what it took.
func (l Ledger) Table(all []Claim) table.Table {
	t := table.Table{Columns: []table.Column{
		{Name: "claim"}, {Name: "says"}, {Name: "sure by"}, {Name: "here"}, {Name: "contrast", Align: table.Right}, {Name: "95 % CI", Align: table.Right},
		{Name: "pairs", Align: table.Right}, {Name: "p (Holm)", Align: table.Right, Format: "%.3g"}, {Name: "elsewhere"},
		{Name: "hours", Align: table.Right},
	}}
	for _, s := range l.Standings(all) {
		row := []any{s.Claim.ID, s.Claim.Says, s.Claim.Certainty, s.Says(), nil, nil, nil, nil, l.elsewhere(s.Claim), nil}
		row[4], row[5], row[6], row[9] = s.measured()
		if s.Comparison.Pairs > 0 {
			row[7] = s.HolmP
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// measured are a standing's cells: contrast, interval, pairs, processor hours; nil for what is not known.
func (s Standing) measured() (contrast, interval, pairs, hours any) {
	if s.Status != NotRun {
		hours = fmt.Sprintf("%.1f", s.Entry.Hours)
	}
	if c := s.Comparison; c.Pairs > 0 {
		contrast, pairs = fmt.Sprintf("%+.3f", c.Diff), c.Pairs
		if c.Low < c.High {
			interval = fmt.Sprintf("[%+.3f, %+.3f]", c.Low, c.High)
		}
	}
	return contrast, interval, pairs, hours
}

// Others is one row for each claim that was asked at another variant than its first, none of which Holm's correction counts.
func (l Ledger) Others(all []Claim) table.Table {
	t := table.Table{Columns: []table.Column{
		{Name: "claim"}, {Name: "at"}, {Name: "there"}, {Name: "contrast", Align: table.Right}, {Name: "95 % CI", Align: table.Right},
		{Name: "pairs", Align: table.Right}, {Name: "hours", Align: table.Right},
	}}
	for _, claim := range all {
		for _, v := range claim.Variants()[1:] {
			if s := l.Standing(claim, v); s.Status != NotRun {
				contrast, interval, pairs, hours := s.measured()
				t.Rows = append(t.Rows, []any{claim.ID, v.String(), s.Says(), contrast, interval, pairs, hours})
			}
		}
	}
	return t
}

// elsewhere says where the claim stands at the other variants, and of one that was asked at no other rate that it was not.
func (l Ledger) elsewhere(claim Claim) string {
	var parts []string
	rates := 0
	for _, v := range claim.Variants() {
		s := l.Standing(claim, v)
		switch {
		case s.Status == NotRun:
		case v == Variant{Recipe: "tiny"}:
			rates++
		case v.Rate != "":
			rates++
			parts = append(parts, v.Rate+" rate "+string(s.Status))
		default:
			parts = append(parts, v.Recipe+" "+string(s.Status))
		}
	}
	if rates == 1 {
		parts = append([]string{"at one rate"}, parts...)
	}
	return strings.Join(parts, ", ")
}

// Forest draws the claims that have been asked: the contrast, its interval, and what was published of its direction.
func (l Ledger) Forest(all []Claim) (viz.Figure, error) {
	forest := viz.Forest{
		Name: "claims", Title: "Published claims, asked of a model of a minute", Outcome: "frozen AUC, of C11 the part of the operations that is saved",
		Subtitle: "Contrasts of arms, paired by seed, with 95 % intervals; verdicts are each claim's own, p is Holm-adjusted over all",
		Caption:  fmt.Sprintf("Each row is a contrast of arms, paired by seed, with its 95 %% interval; where the published claim holds it is as the row's name says. Differences within ±%.2g do not matter.", all[0].Margin),
	}
	for _, s := range l.Standings(all) {
		if s.Comparison.Pairs == 0 {
			continue
		}
		c := s.Comparison
		forest.Effects = append(forest.Effects, viz.Effect{
			Name: fmt.Sprintf("%s: %s (published: %s)", s.Claim.ID, s.Claim.Arms(), s.Claim.Expects), Pairs: c.Pairs, Mean: c.Mean, Diff: c.Diff,
			Low: c.Low, High: c.High, P: c.P, HolmP: s.HolmP, Verdict: viz.Verdict(c.Verdict), Words: s.Says(), Note: s.Entry.Caution,
		})
	}
	return forest.Figure()
}
