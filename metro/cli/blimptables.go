// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/dustin/go-humanize"

	"metrolab/metro/minimalpairs"
	"metrolab/viz"
	"metrolab/viz/table"
)

// blimpTables are what a terminal shows: all that is known of each scorer, then its accuracy with ties half over the groups.
func blimpTables(r minimalpairs.Report, paradigms bool) []table.Table {
	all := table.Table{Columns: []table.Column{
		{Name: "scorer"}, percentage("ties half"), {Name: "95 %", Align: table.Right}, percentage("ties right"), percentage("ties wrong"), percentage("ties"),
		{Name: "above trigrams", Align: table.Right},
	}}
	groups := table.Table{Columns: []table.Column{{Name: "ties half"}, {Name: "paradigms", Align: table.Right}}}
	for _, s := range r.Scorers {
		g := s.Groups[0]
		row := []any{s.Name, 100 * g.Accuracy.Half.Value, between(g.Accuracy.Half, "%.1f"), 100 * g.Accuracy.Right.Value, 100 * g.Accuracy.Wrong.Value, 100 * g.Ties, nil}
		if g.Above != nil {
			row[len(row)-1] = fmt.Sprintf("%+.1f [%s]", 100*g.Above.Value, between(*g.Above, "%+.1f"))
		}
		all.Rows = append(all.Rows, row)
		groups.Columns = append(groups.Columns, percentage(s.Name))
	}
	for i, g := range r.Scorers[0].Groups {
		if g.Level == minimalpairs.LevelTerm || g.Level == minimalpairs.LevelParadigm && !paradigms {
			continue
		}
		row := []any{g.Name, g.Paradigms}
		for _, s := range r.Scorers {
			row = append(row, 100*s.Groups[i].Accuracy.Half.Value)
		}
		groups.Rows = append(groups.Rows, row)
	}
	return []table.Table{all, groups}
}

func percentage(name string) table.Column {
	return table.Column{Name: name, Align: table.Right, Format: "%.1f"}
}

func between(e minimalpairs.Estimate, format string) string {
	return fmt.Sprintf(format+" – "+format, 100*e.Low, 100*e.High)
}

// blimpTable is the same for programs: a row for each scorer and group, shares from 0 to 1.
func blimpTable(r minimalpairs.Report, paradigms bool) table.Table {
	share := func(name string) table.Column { return table.Column{Name: name, Align: table.Right, Format: "%.4f"} }
	t := table.Table{Columns: []table.Column{
		{Name: "scorer"}, {Name: "anchor"}, {Name: "level"}, {Name: "group"}, {Name: "paradigms", Align: table.Right}, {Name: "pairs", Align: table.Right}, share("ties"),
		share("ties_half"), share("ties_half_low"), share("ties_half_high"), share("ties_right"), share("ties_right_low"), share("ties_right_high"),
		share("ties_wrong"), share("ties_wrong_low"), share("ties_wrong_high"), share("above_trigram"), share("above_trigram_low"), share("above_trigram_high"),
	}}
	for _, s := range r.Scorers {
		for _, g := range s.Groups {
			if g.Level == minimalpairs.LevelParadigm && !paradigms {
				continue
			}
			row := []any{s.Name, s.Anchor, g.Level, g.Name, g.Paradigms, g.Pairs, g.Ties}
			for _, e := range []*minimalpairs.Estimate{&g.Accuracy.Half, &g.Accuracy.Right, &g.Accuracy.Wrong, g.Above} {
				if e == nil {
					row = append(row, nil, nil, nil)
				} else {
					row = append(row, e.Value, e.Low, e.High)
				}
			}
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

// blimpFigure sets scorers and anchors beside one another, under each rule of ties.
func blimpFigure(r minimalpairs.Report) viz.Bars {
	b := viz.Bars{
		Name: "minimal-pairs", Title: "Which of two sentences is acceptable?", Label: "accuracy, %",
		Note:    fmt.Sprintf("%s pairs of %d paradigms, models: %d; intervals of 95 %% over both", humanize.Comma(int64(r.Data.Pairs)), r.Data.Paradigms, len(r.Models)),
		Caption: "Who guesses is at 50 with ties half. What has no more than an anchor need not know any grammar.",
	}
	rules := []viz.BarSeries{{Name: "ties right"}, {Name: "ties half"}, {Name: "ties wrong"}}
	for _, s := range r.Scorers {
		b.Groups = append(b.Groups, s.Name)
		a := s.Groups[0].Accuracy
		for i, e := range []minimalpairs.Estimate{a.Right, a.Half, a.Wrong} {
			rules[i].Values = append(rules[i].Values, 100*e.Value)
			rules[i].Low = append(rules[i].Low, 100*min(e.Low, e.Value)) // of very few paradigms, an interval may miss its value
			rules[i].High = append(rules[i].High, 100*max(e.High, e.Value))
		}
	}
	b.Series = rules
	return b
}
