// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"encoding/base64"
	"fmt"
	"html/template"
	"slices"
	"strings"
)

// reportView is a Report as the template needs it: text, places and flags.
type reportView struct {
	Report
	CSS      template.CSS
	Headline string
	Mean     string // of the baseline
	Rows     []effectView
	ZeroAt   string // of the small intervals
	Pictures []pictureView
	RunRows  []runView
	Changes  []configView
}

type effectView struct {
	Effect
	NameParts                                         []string // between which a line may break
	MeanText, DiffText, IntervalText, PText, HolmText string
	From, At, To                                      string // places in the small picture; empty if not known
}

type pictureView struct {
	Figure
	Source template.URL
}

type runView struct {
	Failure string
	Failed  bool
	Cells   []cellView
}

type cellView struct {
	Text   string
	Number bool
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

func (r Report) view() reportView {
	v := reportView{Report: r, CSS: template.CSS(reportCSS), Headline: r.headline(), Changes: r.changes()}
	digits := effectDecimals(r.Effects)
	v.Mean = fixed(r.Baseline.Mean, digits)
	x := effectScale(r.Effects).place(6, 134) // of 140 wide
	v.ZeroAt = fmt.Sprintf("%.1f", float64(x.at(0)))
	for _, e := range r.Effects {
		v.Rows = append(v.Rows, e.view(x, digits))
	}
	for _, f := range r.Figures {
		source := template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(f.PNG))
		v.Pictures = append(v.Pictures, pictureView{f, source})
	}
	for i := range r.Runs.Rows {
		v.RunRows = append(v.RunRows, r.run(i))
	}
	return v
}

// headline is the answer: who is better, who is worse (or how many, where the names are long), and how many are open.
func (r Report) headline() string {
	names := map[Verdict][]string{}
	for _, e := range r.Effects {
		names[e.Verdict] = append(names[e.Verdict], e.Name)
	}
	all, open := len(r.Effects), len(names[Undecided])
	if open == all {
		return fmt.Sprintf("Undecided: these runs cannot tell %s from the baseline.", map[bool]string{true: "the change", false: "any change"}[all == 1])
	}
	const longest = 80 // bytes of names
	decided := append(slices.Clone(names[Better]), names[Worse]...)
	var parts []string
	for _, verdict := range []Verdict{Better, Worse} {
		who := strings.Join(names[verdict], ", ")
		if len(strings.Join(decided, ", ")) > longest {
			who = plural(len(names[verdict]), "change")
		}
		if len(names[verdict]) > 0 {
			parts = append(parts, fmt.Sprintf("%s than %s: %s.", verdict, r.Baseline.Name, who))
		}
	}
	if open > 0 {
		parts = append(parts, fmt.Sprintf("undecided: %d of %s.", open, plural(all, "change")))
	}
	for i, p := range parts {
		parts[i] = strings.ToUpper(p[:1]) + p[1:]
	}
	return strings.Join(parts, " ")
}

func (e Effect) view(x scale, digits int) effectView {
	v := effectView{Effect: e, NameParts: parts(e.Name), MeanText: fixed(e.Mean, digits), DiffText: signed(e.Diff, digits),
		PText: probability(e.P), HolmText: probability(e.HolmP)}
	place := func(value float64) string { return fmt.Sprintf("%.1f", float64(x.at(value))) }
	if finite(e.Diff) {
		v.At = place(e.Diff)
	}
	if finite(e.Low) {
		v.From, v.To = place(e.Low), place(e.High)
		v.IntervalText = fmt.Sprintf("[%s, %s]", signed(e.Low, digits), signed(e.High, digits))
	}
	return v
}

// parts cuts a name after the joints of dotted paths and settings.
func parts(name string) []string {
	var all []string
	for {
		i := strings.IndexAny(name, joints) + 1
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
		v.Cells = append(v.Cells, cellView{c.showTypeset(r.Runs.Rows[i][k]), c.Align == Right})
	}
	if failed && len(v.Cells) > 0 {
		v.Cells[0].Text = "failed"
	}
	return v
}

// changes compares every config with the first. A field that an arm lacks is listed at its end, without a value.
func (r Report) changes() []configView {
	var views []configView
	for i, config := range r.Configs {
		view := configView{Name: config.Name, Baseline: i == 0}
		base := r.Configs[0].Fields
		for _, f := range config.Fields {
			view.add(f, value(base, f.Name))
		}
		for _, f := range base {
			if value(config.Fields, f.Name) == missing {
				view.add(Field{f.Name, missing}, f.Value)
			}
		}
		views = append(views, view)
	}
	return views
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
	return missing
}
