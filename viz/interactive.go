// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/janpfeifer/gonb/gonbui/protocol"
)

// Pointable is a picture that has a form to point at.
type Pointable interface {
	Output
	pointable() (form, error)
}

// form is another form of a picture, by its type and as a file.
type form struct {
	mime protocol.MIMEType
	data string
	file string // end of the file's name
	text []byte
}

// Interactive adds to a picture a form to point at, in the same output: Vega-Lite for charts, to zoom and to read values
// from, and HTML for a [Correction]. JupyterLab shows it without a network, also in a notebook that is not trusted;
// what cannot, shows the PNG. Of a long curve it holds about 300 points, spikes among them.
func Interactive(p Pointable) Output { return interactive{p} }

type interactive struct{ Pointable }

func (i interactive) bundle() (bundle, error) {
	b, err := i.Pointable.bundle()
	if err != nil {
		return bundle{}, err
	}
	f, err := i.pointable()
	if err != nil {
		return bundle{}, err
	}
	b.forms[f.mime] = f.data
	for name := range b.files {
		b.files[name[:len(name)-len(".png")]+f.file] = f.text
		break
	}
	return b, nil
}

func (c Correction) pointable() (form, error) {
	page, err := c.HTML()
	return form{protocol.MIMETextHTML, string(page), ".html", []byte(page)}, err
}

// object is one of JSON.
type object = map[string]any

const vegaLite protocol.MIMEType = "application/vnd.vegalite.v5+json"

// vegaForm is a chart of Vega-Lite. The notebook's protocol takes strings only; its renderer takes one for an address, and
// one that holds the data itself loads nothing.
func vegaForm(title, caption string, rows []object, chart object) (form, error) {
	chart["title"] = object{"text": title, "subtitle": wrapBy(func(s string) bool { return len(s) <= 90 }, caption), "anchor": "start"}
	chart["data"] = object{"values": rows}
	chart["config"] = object{"font": "sans-serif", "view": object{"stroke": nil}}
	text, err := json.Marshal(chart)
	if err != nil {
		return form{}, fmt.Errorf("viz: %q as Vega-Lite: %w", title, err)
	}
	return form{vegaLite, "data:application/json;base64," + base64.StdEncoding.EncodeToString(text), ".vl.json", text}, nil
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
	if !finite(v) {
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
