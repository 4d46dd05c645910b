// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"image"
	stddraw "image/draw"
	"math"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"metrolab/viz/internal/typeset"
)

// heatmapDrawing is a Heatmap with its places on the page: panels in lines, names at the left of a line's first panel and
// under the lowest of each column, one color bar at the right of all.
type heatmapDrawing struct {
	Heatmap
	ramp          ramp
	low, high     float64
	rows, columns int        // of a panel
	across        int        // panels in a line
	cell          vg.Point   // width and height
	left, top     vg.Length  // of the first panel
	names         nameLayout // of the columns
	height        vg.Length
}

// nameLayout says which of the names along an axis are written, and how.
type nameLayout struct {
	every  int // first, first + every, ...
	upward bool
	room   vg.Length
}

const (
	colorBarWidth vg.Length = 10
	colorBarRoom  vg.Length = 58 // with its labels and the gap before it
	panelGap      vg.Length = 16
	longestName   vg.Length = 84
)

func newHeatmapDrawing(h Heatmap) *heatmapDrawing {
	d := &heatmapDrawing{Heatmap: h}
	d.ramp, d.low, d.high = h.colors()
	d.rows, d.columns = h.shape()
	wide := d.columns > 2*d.rows
	d.across = min(4, int(math.Ceil(math.Sqrt(float64(len(h.Panels))))))
	if wide {
		d.across = 1
	}
	var names vg.Length
	for r := range d.rows {
		names = max(names, tickFace.Width(shorten(tickFace, h.rowName(r), longestName)))
	}
	d.left = margin + names + tickGap
	width := (pageWidth - margin - colorBarRoom - d.left - panelGap*vg.Length(d.across-1)) / vg.Length(d.across)
	const tallest = 330
	d.cell.X = width / vg.Length(d.columns)
	d.cell.Y = max(min(d.cell.X, 26), 14)
	if !wide {
		d.cell.Y = min(d.cell.X, 40, tallest/vg.Length(d.rows))
		d.cell.X = min(d.cell.X, max(d.cell.Y, 40))
	}
	d.cell.Y = min(d.cell.Y, 2*tallest/vg.Length(d.rows))
	d.names = d.columnNames()
	d.top = headingHeight(d.Title, d.says()) + 8
	if d.RowLabel != "" {
		d.top += lineHeight(axisFace) + 3
	}
	lines := vg.Length(d.lines())
	d.height = d.top + lines*(d.panelHeight()+d.nameHeight()) + (lines-1)*panelGap/2 + margin + d.names.room + tickGap
	if d.ColumnLabel != "" {
		d.height += lineHeight(axisFace) + 4
	}
	return d
}

func (d *heatmapDrawing) says() string {
	if d.Signed {
		return "Color: " + d.Label + "; grey is zero"
	}
	return "Color: " + d.Label
}

func (d *heatmapDrawing) lines() int             { return (len(d.Panels) + d.across - 1) / d.across }
func (d *heatmapDrawing) panelHeight() vg.Length { return d.cell.Y * vg.Length(d.rows) }
func (d *heatmapDrawing) panelWidth() vg.Length  { return d.cell.X * vg.Length(d.columns) }

// nameHeight is the room above each panel for its name.
func (d *heatmapDrawing) nameHeight() vg.Length {
	for _, p := range d.Panels {
		if p.Name != "" {
			return lineHeight(labelFace) + 2
		}
	}
	return 0
}

// columnNames are written side by side where they fit, upwards where there is room for every one, and else as many of
// them side by side as fit.
func (d *heatmapDrawing) columnNames() nameLayout {
	var widest vg.Length
	for c := range d.columns {
		widest = max(widest, tickFace.Width(shorten(tickFace, d.columnName(c), longestName)))
	}
	line := lineHeight(tickFace)
	switch {
	case widest+5 <= d.cell.X:
		return nameLayout{every: 1, room: line}
	case d.Columns != nil && d.cell.X >= 0.8*line:
		return nameLayout{every: 1, upward: true, room: widest}
	default:
		return nameLayout{every: roundEvery(float64((widest + 8) / d.cell.X)), room: line}
	}
}

// roundEvery is the round number next above least.
func roundEvery(least float64) int {
	for every := 1; ; every *= 10 {
		for _, m := range []int{1, 2, 5} {
			if float64(m*every) >= least {
				return m * every
			}
		}
	}
}

// panel is the place of panel i.
func (d *heatmapDrawing) panel(i int) vg.Rectangle {
	line, column := vg.Length(i/d.across), vg.Length(i%d.across)
	left := d.left + column*(d.panelWidth()+panelGap)
	top := d.height - d.top - d.nameHeight() - line*(d.panelHeight()+d.nameHeight()+panelGap/2)
	return vg.Rectangle{Min: vg.Point{X: left, Y: top - d.panelHeight()}, Max: vg.Point{X: left + d.panelWidth(), Y: top}}
}

func (d *heatmapDrawing) draw(p page) {
	p.heading(d.Title, d.says())
	if d.RowLabel != "" {
		p.write(axisFace, margin, d.height-d.top+lineHeight(axisFace)/2, shorten(axisFace, d.RowLabel, pageWidth-2*margin))
	}
	for i := range d.Panels {
		d.drawPanel(p, i)
	}
	if d.ColumnLabel != "" {
		middle := (d.left + d.panel(min(d.across, len(d.Panels))-1).Max.X) / 2
		p.write(aligned(axisFace, text.XCenter), middle, margin+lineHeight(axisFace)/2, shorten(axisFace, d.ColumnLabel, pageWidth-2*margin))
	}
	d.drawColorBar(p)
}

func (d *heatmapDrawing) drawPanel(p page, i int) {
	at := d.panel(i)
	if name := d.Panels[i].Name; name != "" {
		p.write(labelFace, at.Min.X, at.Max.Y+2+lineHeight(labelFace)/2, shorten(labelFace, name, d.panelWidth()))
	}
	for r, row := range d.Panels[i].Values {
		y := at.Max.Y - d.cell.Y*vg.Length(r)
		for c, v := range row {
			x := at.Min.X + d.cell.X*vg.Length(c)
			if !typeset.Finite(v) {
				p.StrokeLine2(draw.LineStyle{Color: axisInk, Width: 0.6}, x, y-d.cell.Y, x+d.cell.X, y)
				continue
			}
			p.paint(d.ramp, (v-d.low)/(d.high-d.low), x, y-d.cell.Y, x+d.cell.X, y)
		}
	}
	p.frame(at)
	if i%d.across == 0 {
		d.drawRowNames(p, at)
	}
	if i+d.across >= len(d.Panels) {
		d.drawColumnNames(p, at)
	}
}

func (d *heatmapDrawing) drawRowNames(p page, at vg.Rectangle) {
	every := roundEvery(float64(0.82 * lineHeight(tickFace) / d.cell.Y))
	for r := 0; r < d.rows; r += every {
		y := at.Max.Y - d.cell.Y*(vg.Length(r)+0.5)
		p.write(aligned(tickFace, text.XRight), at.Min.X-tickGap, y, shorten(tickFace, d.rowName(r), longestName))
	}
}

func (d *heatmapDrawing) drawColumnNames(p page, at vg.Rectangle) {
	for c := 0; c < d.columns; c += d.names.every {
		x := at.Min.X + d.cell.X*(vg.Length(c)+0.5)
		name := shorten(tickFace, d.columnName(c), longestName)
		if !d.names.upward {
			half := tickFace.Width(name) / 2
			x = max(margin+half, min(x, pageWidth-margin-half))
			p.write(tickFace, x, at.Min.Y-tickGap-lineHeight(tickFace)/2, name)
			continue
		}
		p.Push()
		p.Translate(vg.Point{X: x, Y: at.Min.Y - tickGap})
		p.Rotate(math.Pi / 2)
		p.write(aligned(tickFace, text.XRight), 0, 0, name)
		p.Pop()
	}
}

// drawColorBar draws the scale of colors beside the first line of panels.
func (d *heatmapDrawing) drawColorBar(p page) {
	top := d.panel(0).Max.Y
	right := d.panel(min(d.across, len(d.Panels)) - 1).Max.X
	bar := vg.Rectangle{Min: vg.Point{X: right + panelGap, Y: top - max(60, min(150, d.panelHeight()))}, Max: vg.Point{X: right + panelGap + colorBarWidth, Y: top}}
	step := bar.Size().Y / shades
	for i := range shades {
		y := bar.Min.Y + step*vg.Length(i)
		p.paint(d.ramp, (float64(i)+0.5)/shades, bar.Min.X, y, bar.Max.X, y+step)
	}
	p.frame(bar)
	s := scale{min: d.low, max: d.high}.place(bar.Min.Y, bar.Max.Y)
	for _, t := range s.ticks(4) {
		p.StrokeLine2(axisLine, bar.Max.X, s.at(t.Value), bar.Max.X+3, s.at(t.Value))
		p.write(aligned(tickFace, text.XLeft), bar.Max.X+tickGap, s.at(t.Value), t.Label)
	}
}

// paint fills a box to whole pixels, so that neighbors leave no seam, as those of gonum's HeatMap do.
func (p page) paint(r ramp, t float64, left, bottom, right, top vg.Length) {
	img := p.img.Image()
	pixel := func(v vg.Length) int { return int(math.Round(v.Dots(dpi))) }
	height := img.Bounds().Dy()
	box := image.Rect(pixel(left), height-pixel(top), pixel(right), height-pixel(bottom))
	stddraw.Draw(img, box, image.NewUniform(r.at(t)), image.Point{}, stddraw.Src)
}

// frame draws the outline of a box.
func (p page) frame(at vg.Rectangle) {
	p.StrokeLines(axisLine, []vg.Point{at.Min, {X: at.Min.X, Y: at.Max.Y}, at.Max, {X: at.Max.X, Y: at.Min.Y}, at.Min})
}
