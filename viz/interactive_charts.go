// SPDX-License-Identifier: Apache-2.0

package viz

import "fmt"

func (c Curves) pointable() (mime string, form []byte, err error) {
	var rows []object
	var names []string
	for _, s := range c.Series {
		names = append(names, s.Name)
		m := s.summarize(c.Band)
		for _, i := range sample(m.mean) {
			row := object{"series": s.Name, "x": brief(m.x[i]), "y": brief(m.mean[i])}
			if m.low != nil {
				row["low"], row["high"] = brief(m.low[i]), brief(m.high[i])
			}
			rows = append(rows, row)
		}
		if m.runs > 0 {
			continue
		}
		for k, r := range s.Runs { // there is no mean; what the runs reached says why
			alive := r.alive()
			for _, i := range sample(alive.Y) {
				rows = append(rows, object{"series": s.Name, "run": k + 1, "x": brief(alive.X[i]), "y": brief(alive.Y[i])})
			}
		}
	}
	x, y, by := field("x", c.X.Label, c.X.Log), field("y", c.Y.Label, c.Y.Log), seriesColors(names)
	return vegaLite(c.Title, c.Caption, rows, zoomable(layers(panelHeight,
		object{"mark": object{"type": "area", "opacity": 0.15, "clip": true},
			"encoding": object{"x": x, "y": field("low", c.Y.Label, c.Y.Log), "y2": object{"field": "high"}, "color": by}},
		object{"mark": mark("line", object{"point": object{"size": 12}, "clip": true}),
			"encoding": object{"x": x, "y": y, "color": by, "strokeDash": dash(names), "detail": nominal("run", "")}})))
}

func (f Forest) pointable() (mime string, form []byte, err error) {
	var rows []object
	for _, e := range f.Effects {
		rows = append(rows, object{"arm": e.Name, "difference": brief(e.Diff), "low": brief(e.Low), "high": brief(e.High), "p (Holm)": brief(e.HolmP),
			"pairs": e.Pairs, "verdict": string(e.Verdict)})
	}
	label := "difference in " + f.Outcome
	arm, verdicts := nominal("arm", ""), []Verdict{Better, Worse, Equivalent, Undecided}
	by := object{"field": "verdict", "type": "nominal", "title": nil,
		"scale": object{"domain": verdicts, "range": []string{"#008662", "#c45200", "#2f6db5", "#6b727c"}}}
	shape := object{"field": "verdict", "type": "nominal", "title": nil, "scale": object{"domain": verdicts, "range": []string{"triangle-up", "triangle-down", "square", "circle"}}}
	return vegaLite(f.Title, f.Caption, rows, layers(rowHeight,
		object{"mark": mark("rule", nil), "encoding": object{"y": arm, "x": field("low", label, false), "x2": object{"field": "high"}, "color": by}},
		object{"mark": mark("point", object{"filled": true, "size": 60}),
			"encoding": object{"y": arm, "x": field("difference", label, false), "color": by, "shape": shape}},
		object{"mark": "rule", "encoding": object{"x": object{"datum": 0}}}))
}

func (b Bars) pointable() (mime string, form []byte, err error) {
	var rows []object
	var names []string
	for _, s := range b.Series {
		names = append(names, s.Name)
		for g, v := range s.Values {
			low, high := s.ends(g)
			rows = append(rows, object{"series": s.Name, "group": b.Groups[g], "value": brief(v), "low": brief(low), "high": brief(high)})
		}
	}
	value := object{"field": "value", "type": "quantitative", "title": b.Label}
	group, offset := nominal("group", ""), nominal("series", "")
	return vegaLite(b.Title, b.Caption, rows, layers(panelHeight,
		object{"mark": mark("bar", object{"opacity": 0.55}), "encoding": object{"x": group, "xOffset": offset, "y": value, "color": seriesColors(names)}},
		object{"mark": "rule", "encoding": object{"x": group, "xOffset": offset, "y": object{"field": "low", "type": "quantitative"}, "y2": object{"field": "high"}}}))
}

func (h Heatmap) pointable() (mime string, form []byte, err error) {
	const most = 8192 // cells, some 400 kB
	rowCount, columnCount := h.shape()
	if cells := len(h.Panels) * rowCount * columnCount; cells > most {
		return "", nil, fmt.Errorf("viz: heat map %q: %d cells are too many to point at, %d are not; show it without Interactive, or show less", h.Name, cells, most)
	}
	rowNames, columnNames := apart(rowCount, h.rowName), apart(columnCount, h.columnName)
	var rows []object
	for _, p := range h.Panels {
		for r, values := range p.Values {
			for c, v := range values {
				rows = append(rows, object{"panel": p.Name, "row": rowNames[r], "column": columnNames[c], "value": brief(v)})
			}
		}
	}
	colors, low, high := h.colors()
	steps := make([]string, len(colors))
	for i, c := range colors {
		steps[i] = fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B)
	}
	panel := object{"mark": mark("rect", nil), "width": 460 / min(2, len(h.Panels)), "height": min(460/min(2, len(h.Panels)), 22*rowCount), "encoding": object{
		"x": nominal("column", h.ColumnLabel), "y": nominal("row", h.RowLabel),
		"color": object{"field": "value", "type": "quantitative", "title": h.Label, "scale": object{"domain": []float64{low, high}, "range": steps}}}}
	if len(h.Panels) == 1 {
		return vegaLite(h.Title, h.Caption, rows, panel)
	}
	return vegaLite(h.Title, h.Caption, rows, object{"facet": nominal("panel", ""), "columns": 2, "spec": panel})
}

// apart are n names; those that are there before, as of a token in two places, get a number, or they would fall together.
func apart(n int, name func(int) string) []string {
	names, seen := make([]string, n), map[string]int{}
	for i := range n {
		names[i] = name(i)
		if seen[names[i]]++; seen[name(i)] > 1 {
			names[i] = fmt.Sprintf("%s (%d)", names[i], seen[name(i)])
		}
	}
	return names
}

func (r ROC) pointable() (mime string, form []byte, err error) {
	var rows []object
	var names []string
	for _, s := range r.Series {
		x, y, _ := s.roc()
		for _, i := range sample(y) {
			rows = append(rows, object{"series": s.Name, "x": brief(x[i]), "y": brief(y[i])})
		}
		names = append(names, s.Name)
	}
	return vegaLite(r.Title, r.Caption, rows, zoomable(layers(panelHeight, object{"mark": mark("line", object{"point": object{"size": 12}}), "encoding": object{
		"x": field("x", "originals called replaced", false), "y": field("y", "replaced tokens found", false), "order": object{"field": "x"},
		"color": seriesColors(names), "strokeDash": dash(names)}})))
}

func (c Calibration) pointable() (mime string, form []byte, err error) {
	var rows []object
	var names []string
	if c.Bins == 0 {
		c.Bins = 10
	}
	for _, s := range c.Series {
		for _, b := range s.bins(c.Bins) {
			if b.tokens > 0 {
				low, high := b.wilson()
				rows = append(rows, object{"series": s.Name, "x": brief(b.said()), "y": brief(b.was()), "low": brief(low), "high": brief(high), "tokens": b.tokens})
			}
		}
		names = append(names, s.Name)
	}
	x, by := field("x", "probability of replaced, by the detector", false), seriesColors(names)
	return vegaLite(c.Title, c.Caption, rows, layers(panelHeight,
		object{"mark": "rule", "encoding": object{"x": x, "y": field("low", "share that is replaced", false), "y2": object{"field": "high"}, "color": by}},
		object{"mark": mark("line", object{"point": object{"size": 40}}),
			"encoding": object{"x": x, "y": field("y", "share that is replaced", false), "color": by, "strokeDash": dash(names)}}))
}

func (k KaplanMeier) pointable() (mime string, form []byte, err error) {
	var rows []object
	var names []string
	for _, s := range k.Series {
		curve := s.curve()
		for i, x := range curve.X {
			rows = append(rows, object{"series": s.Name, "x": brief(x), "y": brief(curve.Y[i])})
		}
		names = append(names, s.Name)
	}
	x, y := field("x", k.X.Label, false), field("y", "part of the runs that have "+k.Event, false)
	return vegaLite(k.Title, k.Caption, rows, zoomable(layers(panelHeight, object{"mark": mark("line", object{"interpolate": "step-after", "point": object{"size": 12}}),
		"encoding": object{"x": x, "y": y, "color": seriesColors(names), "strokeDash": dash(names)}})))
}

func (g GeneratorSizes) pointable() (mime string, form []byte, err error) {
	var rows []object
	for _, s := range g.Sizes {
		m := s.summarize()
		rows = append(rows, object{"size": s.label(), "x": brief(s.Ratio), "mean": brief(m.mean), "low": brief(m.low), "high": brief(m.high), "seeds": m.runs})
	}
	x := field("x", "generator size / main model size", true)
	return vegaLite(g.Title, g.Caption, rows, layers(panelHeight,
		object{"mark": "rule", "encoding": object{"x": x, "y": field("low", g.Outcome, false), "y2": object{"field": "high"}}},
		object{"mark": mark("line", object{"point": object{"size": 40}}), "encoding": object{"x": x, "y": field("mean", g.Outcome, false)}}))
}

func (t Timings) pointable() (mime string, form []byte, err error) {
	longest := 0.0
	for _, f := range t.Functions {
		longest = max(longest, float64(f.Q95))
	}
	unit := timeUnits[unitOf(longest)]
	var rows []object
	for _, f := range t.Functions {
		row := object{"function": f.Name}
		for i, name := range []string{"q5", "q25", "median", "q75", "q95"} {
			row[name] = brief(float64(f.quantiles()[i]) / unit.size)
		}
		rows = append(rows, row)
	}
	function := nominal("function", "")
	span := func(kind, from, to string, more object) object {
		return object{"mark": mark(kind, more), "encoding": object{"y": function, "x": field(from, "time a call, "+unit.name, false), "x2": object{"field": to}}}
	}
	return vegaLite(t.Title, t.Caption, rows, layers(rowHeight, span("rule", "q5", "q95", nil), span("bar", "q25", "q75", object{"size": 10, "opacity": 0.5}),
		object{"mark": mark("point", object{"filled": true, "color": "black"}), "encoding": object{"y": function, "x": object{"field": "median", "type": "quantitative"}}}))
}
