// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/base64"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"metrolab/internal/spelling"
	"metrolab/viz"
	"metrolab/viz/internal/typeset"
	"metrolab/viz/table"
)

// view is a Report as the template needs it: text, places and flags.
type view struct {
	Report
	CSS      template.CSS
	Headline string
	Mean     string // of the baseline
	Rows     []effectView
	ZeroAt   string // of the small intervals
	Pictures []pictureView
	RunHeads []cellView
	RunRows  []runView
	Ended    int // without an outcome
	Changes  []configView

	CostTable template.HTML
}

type effectView struct {
	viz.Effect
	NameParts                                         []string // between which a line may break
	MeanText, DiffText, IntervalText, PText, HolmText string
	From, At, To                                      string // places in the small picture; empty if not known
}

type pictureView struct {
	viz.Figure
	Source template.URL
}

type runView struct {
	Failure string
	Failed  bool // has no outcome
	Cells   []cellView
}

type cellView struct {
	Text   string
	Number bool
	Label  bool
}

type configView struct {
	Name     string
	Baseline bool
	Changed  int
	Summary  string
	Fields   []fieldView
}

type fieldView struct {
	Field
	Was     string // the baseline's value
	Changed bool
}

func (r Report) view() view {
	v := view{Report: r, CSS: template.CSS(reportCSS), Headline: r.headline(), Changes: r.changes()}
	digits := r.Effects.Decimals()
	v.Mean = typeset.Fixed(r.Baseline.Mean, digits)
	low, high := r.Effects.Range()
	place := func(x float64) string { return fmt.Sprintf("%.1f", 6+128*(x-low)/(high-low)) } // of 140 wide
	v.ZeroAt = place(0)
	for _, e := range r.Effects {
		v.Rows = append(v.Rows, viewEffect(e, place, digits))
	}
	for _, f := range r.Figures {
		source := template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(f.PNG))
		v.Pictures = append(v.Pictures, pictureView{f, source})
	}
	if len(r.Costs.Rows) > 0 {
		v.CostTable, _ = r.Costs.HTML() // that it can be shown was checked
	}
	for k, c := range r.Runs.Columns {
		v.RunHeads = append(v.RunHeads, cellView{c.Name, c.Align == table.Right, k < r.RunLabels})
	}
	for i := range r.Runs.Rows {
		v.RunRows = append(v.RunRows, r.run(i))
		if r.failed(i) {
			v.Ended++
		}
	}
	return v
}

// headline is the answer: who is better, who is worse (or how many, where the names are long), and how many are open.
func (r Report) headline() string {
	names := map[viz.Verdict][]string{}
	for _, e := range r.Effects {
		names[e.Verdict] = append(names[e.Verdict], e.Name)
	}
	all, open, none := len(r.Effects), len(names[viz.Undecided]), len(names[viz.None])
	if all == 0 {
		return "Nothing to compare: " + r.Baseline.Name + " alone."
	}
	if none == all {
		if slices.ContainsFunc(r.Effects, func(e viz.Effect) bool { return e.Says() != r.Effects[0].Says() }) {
			return fmt.Sprintf("No verdict on any of %d changes.", all)
		}
		return fmt.Sprintf("No verdict: %s.", r.Effects[0].Says())
	}
	if open == all {
		return fmt.Sprintf("Undecided: these runs cannot tell %s from the baseline.", map[bool]string{true: "the change", false: "any change"}[all == 1])
	}
	const longest = 80 // bytes of names
	decided := slices.Concat(names[viz.Better], names[viz.Worse], names[viz.Equivalent])
	var parts []string
	for _, verdict := range []viz.Verdict{viz.Better, viz.Worse, viz.Equivalent} {
		who := strings.Join(names[verdict], ", ")
		if len(strings.Join(decided, ", ")) > longest {
			who = spelling.Plural(len(names[verdict]), "change")
		}
		if len(names[verdict]) > 0 {
			than := map[bool]string{false: "than", true: "to"}[verdict == viz.Equivalent]
			parts = append(parts, fmt.Sprintf("%s %s %s: %s.", verdict, than, r.Baseline.Name, who))
		}
	}
	if open > 0 {
		parts = append(parts, fmt.Sprintf("undecided: %d of %s.", open, spelling.Plural(all, "change")))
	}
	if none > 0 {
		parts = append(parts, fmt.Sprintf("no verdict: %d of %s.", none, spelling.Plural(all, "change")))
	}
	for i, p := range parts {
		parts[i] = strings.ToUpper(p[:1]) + p[1:]
	}
	return strings.Join(parts, " ")
}

func viewEffect(e viz.Effect, place func(float64) string, digits int) effectView {
	v := effectView{Effect: e, NameParts: parts(e.Name), MeanText: typeset.Fixed(e.Mean, digits), DiffText: typeset.Signed(e.Diff, digits),
		PText: typeset.Probability(e.P), HolmText: typeset.Probability(e.HolmP)}
	if typeset.Finite(e.Diff) {
		v.At = place(e.Diff)
	}
	if typeset.Finite(e.Low) {
		v.From, v.To = place(e.Low), place(e.High)
		v.IntervalText = fmt.Sprintf("[%s, %s]", typeset.Signed(e.Low, digits), typeset.Signed(e.High, digits))
	}
	return v
}

// parts cuts a name after the joints of dotted paths and settings.
func parts(name string) []string {
	var all []string
	for {
		i := strings.IndexAny(name, typeset.Joints) + 1
		if i == 0 {
			return append(all, name)
		}
		all, name = append(all, name[:i]), name[i:]
	}
}

func (r Report) run(i int) runView {
	failure, failed := r.Failed[i]
	v := runView{Failure: failure, Failed: failed}
	for k, c := range r.Runs.Columns {
		v.Cells = append(v.Cells, cellView{c.Typeset(r.Runs.Rows[i][k]), c.Align == table.Right, k < r.RunLabels})
	}
	if r.failed(i) {
		v.Cells[r.RunLabels].Text = "failed"
	}
	return v
}

// failed says whether a run of r.Failed ended without an outcome; the others have none yet.
func (r Report) failed(i int) bool {
	if _, listed := r.Failed[i]; !listed {
		return false
	}
	v, isNumber := r.Runs.Rows[i][r.RunLabels].(float64)
	return isNumber && math.IsNaN(v)
}

// changes compares every config with the first. A field that an arm lacks is listed at its end, without a value.
func (r Report) changes() []configView {
	var list []configView
	for i, config := range r.Configs {
		view := configView{Name: config.Name, Baseline: i == 0}
		base := r.Configs[0].Fields
		for _, f := range config.Fields {
			view.add(f, value(base, f.Name))
		}
		for _, f := range base {
			if value(config.Fields, f.Name) == typeset.Missing {
				view.add(Field{f.Name, typeset.Missing}, f.Value)
			}
		}
		list = append(list, view)
	}
	return list
}

func (v *configView) add(f Field, was string) {
	changed := f.Value != was
	v.Fields = append(v.Fields, fieldView{f, was, changed})
	if !changed {
		return
	}
	v.Changed++
	if v.Summary != "" {
		v.Summary += "; "
	}
	v.Summary += fmt.Sprintf("%s: %s \u2192 %s", f.Name, was, f.Value)
}

func value(fields []Field, name string) string {
	if i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name }); i >= 0 {
		return fields[i].Value
	}
	return typeset.Missing
}
