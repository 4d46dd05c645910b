// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	timingRow   vg.Length = 26
	timingNames vg.Length = 170 // widest name
	timingsSays           = "Dot: median; bar: middle half of the calls; line: from the 5 % to the 95 % quantile"
)

// says is the line below the title.
func (t Timings) says() string {
	if t.Note == "" {
		return timingsSays
	}
	return timingsSays + ". " + t.Note
}

// timingsDrawing is Timings with its places on the page, one row a function.
type timingsDrawing struct {
	Timings
	names  []string
	unit   int
	x      scale
	panel  vg.Rectangle
	height vg.Length
}

func newTimingsDrawing(t Timings) *timingsDrawing {
	d := &timingsDrawing{Timings: t}
	e := newExtent()
	var names, numbers vg.Length
	for _, f := range t.Functions {
		e.add(float64(f.Q5), float64(f.Q95))
		d.names = append(d.names, shorten(labelFace, f.Name, timingNames))
		names = max(names, labelFace.Width(d.names[len(d.names)-1]))
		numbers = max(numbers, labelFace.Width(spell(f.Median)))
	}
	d.unit = unitOf(e.high)
	size := timeUnits[d.unit].size
	if log := e.high > 10*e.low; log {
		d.x = newScale(e.low/size, e.high/size, true)
	} else {
		d.x = newScale(0, e.high/size, false)
		d.x.min = 0
	}
	left, right := margin+names+12, pageWidth-margin-numbers-12
	bottom := margin + xAxisHeight(d.axisLabel(), right-left)
	rows := timingRow * vg.Length(len(t.Functions))
	d.height = bottom + rows + headingHeight(t.Title, t.says()) + 12
	d.panel = vg.Rectangle{Min: vg.Point{X: left, Y: bottom}, Max: vg.Point{X: right, Y: bottom + rows}}
	d.x = d.x.place(left, right)
	return d
}

func (d *timingsDrawing) axisLabel() string { return "time a call, " + timeUnits[d.unit].name }

func (d *timingsDrawing) draw(p page) {
	p.heading(d.Title, d.says())
	p.drawX(d.panel, d.x, d.axisLabel(), xTicks(d.panel, d.x))
	size := timeUnits[d.unit].size
	c := seriesColor(1)
	for i, f := range d.Functions {
		y := d.panel.Max.Y - timingRow*(vg.Length(i)+0.5)
		var at []vg.Length
		for _, q := range f.quantiles() {
			at = append(at, d.x.at(float64(q)/size))
		}
		p.StrokeLine2(draw.LineStyle{Color: c, Width: 1.2}, at[0], y, at[4], y)
		p.box(faded(c, 0x60), at[1], y-5, at[3], y+5)
		p.DrawGlyphNoClip(draw.GlyphStyle{Color: paper, Radius: 4.4, Shape: draw.CircleGlyph{}}, vg.Point{X: at[2], Y: y})
		p.DrawGlyphNoClip(draw.GlyphStyle{Color: c, Radius: 3.6, Shape: draw.CircleGlyph{}}, vg.Point{X: at[2], Y: y})
		p.write(labelFace, margin, y, d.names[i])
		p.write(aligned(labelFace, text.XRight), pageWidth-margin, y, spell(f.Median))
	}
	p.StrokeLine2(axisLine, d.panel.Min.X, d.panel.Min.Y, d.panel.Max.X, d.panel.Min.Y)
}
