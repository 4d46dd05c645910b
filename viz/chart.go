// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// chart is a panel between two axes with the keys of its curves at the right: the frame of all figures that are drawn
// over two scales.
type chart struct {
	title, subtitle string
	xAxis, yAxis    Axis
	x, y            scale
	keys            []key
	square          bool // the panel is as high as wide
	xTicks, yTicks  []plot.Tick
	panel           vg.Rectangle
	height          vg.Length
}

// layout fits the panel between heading, axes and keys, and grows the page where the keys need it. Ticks on x that are
// there already stay.
func (c *chart) layout() {
	const least, squarePanel = 300, 250
	labelHeight := lineHeight(axisFace)*vg.Length(len(wrap(axisFace, c.yAxis.Label, pageWidth-2*margin))) + 10
	top := headingHeight(c.title, c.subtitle) + labelHeight
	right := margin + keysWidth(c.keys)
	bottom := margin + xAxisHeight(c.xAxis.Label, pageWidth-right-60)
	inner := keysHeight(c.keys)
	if c.square {
		inner = max(inner, squarePanel)
	}
	c.height = max(least, top+bottom+inner)
	c.panel = vg.Rectangle{Min: vg.Point{Y: snapped(bottom)}, Max: vg.Point{X: snapped(pageWidth - right), Y: snapped(c.height - top)}}
	c.y = c.y.place(c.panel.Min.Y, c.panel.Max.Y)
	c.yTicks = yTicks(c.panel, c.y)
	if c.square {
		c.yTicks = c.y.ticks(5)
	}
	c.panel.Min.X = snapped(margin + yAxisWidth(c.yTicks))
	if c.square {
		c.panel.Max.X = min(c.panel.Max.X, c.panel.Min.X+c.panel.Size().Y)
	}
	c.x = c.x.place(c.panel.Min.X, c.panel.Max.X)
	if c.xTicks == nil {
		c.xTicks = xTicks(c.panel, c.x)
	}
}

// drawFrame draws all but the data and the keys.
func (c *chart) drawFrame(p page) {
	p.heading(c.title, c.subtitle)
	p.drawX(c.panel, c.x, c.xAxis.Label, c.xTicks)
	p.drawY(c.panel, c.y, c.yAxis.Label, c.yTicks)
}

// plot has plotters draw on the panel, to its scales; they end at its edges.
func (c *chart) plot(p page, plotters ...plot.Plotter) {
	plt := &plot.Plot{X: c.x.axis(c.xTicks), Y: c.y.axis(c.yTicks)}
	for _, each := range plotters {
		each.Plot(p.within(c.panel), plt)
	}
}

// drawFoot draws the line that the panel stands on, over the data.
func (c *chart) drawFoot(p page) {
	p.StrokeLine2(axisLine, c.panel.Min.X, c.panel.Min.Y, c.panel.Max.X, c.panel.Min.Y)
}

func (c *chart) at(x, y float64) vg.Point { return vg.Point{X: c.x.at(x), Y: c.y.at(y)} }

// points are places on the page.
func (c *chart) points(xys plotter.XYs) []vg.Point {
	pts := make([]vg.Point, len(xys))
	for i, xy := range xys {
		pts[i] = c.at(xy.X, xy.Y)
	}
	return pts
}

// xys pairs values as plotters take them.
func xys(x, y []float64) plotter.XYs {
	pairs := make(plotter.XYs, len(x))
	for i := range x {
		pairs[i] = plotter.XY{X: x[i], Y: y[i]}
	}
	return pairs
}

// level is a thin line across the panel, from a height at its left edge to one at its right.
func (c *chart) level(left, right float64) *plotter.Line {
	return &plotter.Line{XYs: plotter.XYs{{X: c.x.min, Y: left}, {X: c.x.max, Y: right}}, LineStyle: levelLine}
}

// labelLevel writes above or below the line of a level, where the fewest of the points are in the way.
func (c *chart) labelLevel(p page, y float64, label string, points []vg.Point) {
	width, height := smallFace.Width(label), lineHeight(smallFace)
	var best vg.Rectangle
	least := len(points) + 1
	for _, middle := range []vg.Length{c.y.at(y) + 0.6*height, c.y.at(y) - 0.6*height} {
		for _, share := range []vg.Length{0, 0.25, 0.5, 0.75, 1} {
			left := c.panel.Min.X + 4 + share*(c.panel.Size().X-width-8)
			box := vg.Rectangle{Min: vg.Point{X: left, Y: middle - height/2}, Max: vg.Point{X: left + width, Y: middle + height/2}}
			if box.Min.Y < c.panel.Min.Y || box.Max.Y > c.panel.Max.Y {
				continue
			}
			if n := inBox(points, box); n < least {
				best, least = box, n
			}
		}
	}
	p.box(faded(paper, 0xE0), best.Min.X, best.Min.Y, best.Max.X, best.Max.Y)
	p.write(smallFace, best.Min.X, (best.Min.Y+best.Max.Y)/2, label)
}

func inBox(points []vg.Point, box vg.Rectangle) int {
	n := 0
	for _, pt := range points {
		if pt.X >= box.Min.X && pt.X <= box.Max.X && pt.Y >= box.Min.Y && pt.Y <= box.Max.Y {
			n++
		}
	}
	return n
}

// errorBars are intervals around points, as gonum takes them: by their distances from the points.
func errorBars(line draw.LineStyle, points plotter.XYs, low, high []float64) *plotter.YErrorBars {
	bars := &plotter.YErrorBars{XYs: points, LineStyle: line, CapWidth: 5, YErrors: make(plotter.YErrors, len(points))}
	for i, at := range points {
		bars.YErrors[i].Low, bars.YErrors[i].High = at.Y-low[i], high[i]-at.Y
	}
	return bars
}

var levelLine = draw.LineStyle{Color: softInk, Width: 0.8, Dashes: []vg.Length{3, 2}}
