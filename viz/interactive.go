// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"metrolab/viz/display"
	"metrolab/viz/internal/typeset"
)

// Pointable is a picture that has a form to point at.
type Pointable interface {
	display.Output
	pointable() (mime string, form []byte, err error)
}

// Interactive adds to a picture a form to point at, in the same output: Vega-Lite for charts, to zoom and to read values
// from, and HTML for a [Correction]. JupyterLab shows it without a network, also in a notebook that is not trusted;
// what cannot, shows the PNG. Of a long curve it holds about 300 points, spikes among them.
func Interactive(p Pointable) display.Output { return interactive{p} }

type interactive struct{ Pointable }

// Bundle implements [display.Output].
func (i interactive) Bundle() (display.Bundle, error) {
	b, err := i.Pointable.Bundle()
	if err != nil {
		return display.Bundle{}, err
	}
	mime, form, err := i.pointable()
	if err != nil {
		return display.Bundle{}, err
	}
	b.Forms[mime] = form
	return b, nil
}

func (c Correction) pointable() (mime string, form []byte, err error) {
	page, err := c.HTML()
	return display.HTML, []byte(page), err
}

// object is one of JSON.
type object = map[string]any

// vegaLite is a chart of Vega-Lite with its data.
func vegaLite(title, caption string, rows []object, chart object) (mime string, form []byte, err error) {
	chart["title"] = object{"text": title, "subtitle": typeset.Wrap(func(s string) bool { return len(s) <= 90 }, caption), "anchor": "start"}
	chart["data"] = object{"values": rows}
	chart["config"] = object{"font": "sans-serif", "view": object{"stroke": nil}}
	if form, err = json.Marshal(chart); err != nil {
		return "", nil, fmt.Errorf("viz: %q as Vega-Lite: %w", title, err)
	}
	return display.VegaLite, form, nil
}

// layers draw the same rows in a panel of a height in CSS pixels.
func layers(height any, list ...object) object {
	return object{"layer": list, "width": 460, "height": height}
}

const panelHeight = 280

// rowHeight is that of a panel with a row a name.
var rowHeight = object{"step": 32}

// zoomable lets the reader zoom and drag a chart of layers.
func zoomable(chart object) object {
	chart["layer"].([]object)[0]["params"] = []object{{"name": "zoom", "select": "interval", "bind": "scales"}}
	return chart
}

// field of a row on a quantitative scale, which need not hold zero.
func field(name, title string, log bool) object {
	s := object{"zero": false}
	if log {
		s["type"] = "log"
	}
	return object{"field": name, "type": "quantitative", "title": title, "scale": s}
}

// nominal is a field of names in the order of their rows.
func nominal(name, title string) object {
	return object{"field": name, "type": "nominal", "title": title, "sort": nil}
}

// seriesColors is the color of each series, the same as in the PNG; dash shares its legend.
func seriesColors(names []string) object {
	colors := make([]string, len(names))
	for i := range names {
		c := seriesColor(i)
		colors[i] = fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B)
	}
	return object{"field": "series", "type": "nominal", "title": nil, "scale": object{"domain": names, "range": colors},
		"legend": object{"orient": "right", "labelLimit": 200}}
}

func dash(names []string) object {
	return object{"field": "series", "type": "nominal", "title": nil, "scale": object{"domain": names}}
}

// mark with what it shows under the pointer.
func mark(kind string, more object) object {
	m := object{"type": kind, "tooltip": object{"content": "data"}}
	for k, v := range more {
		m[k] = v
	}
	return m
}

// brief rounds to six digits, and says nil for what is no number.
func brief(v float64) any {
	if !typeset.Finite(v) {
		return nil
	}
	short, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 6, 64), 64)
	return short
}

// sample are the places of about 300 of the values at most: the lowest and the highest of each of 150 stretches, so that
// no spike is lost, and both ends.
func sample(values []float64) []int {
	const stretches = 150
	n := len(values)
	count := min(n, stretches)
	var places []int
	if n > 0 {
		places = []int{0, n - 1}
	}
	for i := range count {
		low, high := i*n/count, i*n/count
		for k := low; k < (i+1)*n/count; k++ {
			if values[k] < values[low] {
				low = k
			}
			if values[k] > values[high] {
				high = k
			}
		}
		places = append(places, low, high)
	}
	slices.Sort(places)
	return slices.Compact(places)
}
