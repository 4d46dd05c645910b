// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Curves are lines over training: a mean over seeds with its band for each series, and each seed as a thin line where
// they are few. X is steps, tokens or seconds; its label says which.
type Curves struct {
	Name    string // of the figure's file
	Title   string
	Caption string // what to see in it; may be empty
	X, Y    Axis
	Band    Band
	Series  []Series
}

// Figure draws the curves. It fails on series whose lengths differ, that are empty or hold what an axis cannot show.
func (c Curves) Figure() (Figure, error) {
	if err := c.check(); err != nil {
		return Figure{}, err
	}
	d := curvesDrawing{Curves: c, sums: make([]summary, len(c.Series))}
	for i, s := range c.Series {
		d.sums[i] = s.summarize(c.Band)
	}
	d.layout()
	p := newPage(d.height)
	d.draw(p)
	return p.figure(c.Name, c.Title, c.Caption, d.data())
}

func (c Curves) check() error {
	if err := checkName(c.Name); err != nil {
		return err
	}
	runs, points := 0, 0
	for _, s := range c.Series {
		for k, r := range s.Runs {
			if err := c.checkRun(r); err != nil {
				return fmt.Errorf("viz: curves %q: series %q, run %d of %d %w", c.Name, s.Name, k+1, len(s.Runs), err)
			}
			runs, points = runs+1, points+len(r.alive().X)
		}
	}
	if points == 0 {
		return fmt.Errorf("viz: curves %q: nothing to draw: %d series, %d runs, no finite value", c.Name, len(c.Series), runs)
	}
	return nil
}

func (c Curves) checkRun(r Line) error {
	if len(r.X) != len(r.Y) {
		return fmt.Errorf("has %d x values but %d y values", len(r.X), len(r.Y))
	}
	if len(r.X) == 0 {
		return fmt.Errorf("has no points; leave it out")
	}
	for i, x := range r.X {
		switch {
		case !finite(x):
			return fmt.Errorf("has x = %g at point %d", x, i)
		case i > 0 && x <= r.X[i-1]:
			return fmt.Errorf("has x = %g after %g; x must grow", x, r.X[i-1])
		case c.X.Log && x <= 0:
			return fmt.Errorf("has x = %g, which a logarithmic axis cannot show", x)
		}
	}
	for i, y := range r.alive().Y {
		switch {
		case math.Abs(y) > 1e100:
			return fmt.Errorf("has y = %g at point %d, beyond what can be drawn; mark a diverged run by NaN", y, i)
		case c.Y.Log && y <= 0:
			return fmt.Errorf("has y = %g, which a logarithmic axis cannot show", y)
		}
	}
	return nil
}

// curvesDrawing is Curves with its means and its places on the page.
type curvesDrawing struct {
	Curves
	sums   []summary
	keys   []key
	x, y   scale
	panel  vg.Rectangle
	height vg.Length
	thin   bool // seeds are drawn one by one
}

// layout fits the panel between heading, axes and key, and grows the page where the key needs it.
func (d *curvesDrawing) layout() {
	d.thin = d.fewSeeds()
	d.x, d.y = d.scales()
	d.keys = d.newKeys()
	labelHeight := lineHeight(axisFace)*vg.Length(len(wrap(axisFace, d.Y.Label, pageWidth-2*margin))) + 10
	top := headingHeight(d.Title, d.subtitle()) + labelHeight
	right := margin + keysWidth(d.keys)
	bottom := margin + xAxisHeight(d.X.Label, pageWidth-right-60)
	d.height = max(300, top+bottom+keysHeight(d.keys))
	d.panel = vg.Rectangle{Min: vg.Point{Y: bottom}, Max: vg.Point{X: pageWidth - right, Y: d.height - top}}
	d.y = d.y.place(d.panel.Min.Y, d.panel.Max.Y)
	d.panel.Min.X = margin + yAxisWidth(yTicks(d.panel, d.y))
	d.x = d.x.place(d.panel.Min.X, d.panel.Max.X)
}

func (d *curvesDrawing) fewSeeds() bool {
	lines, most := 0, 0
	for _, s := range d.Series {
		lines, most = lines+len(s.Runs), max(most, len(s.Runs))
	}
	return most <= 5 && lines <= 16
}

// scales cover every run, and of the bands as much as leaves the runs two thirds of the height: with two or three
// seeds a 95 % interval can be many times as wide as the runs are apart.
func (d *curvesDrawing) scales() (x, y scale) {
	xs, ys := newExtent(), newExtent()
	for _, s := range d.Series {
		for _, r := range s.Runs {
			alive := r.alive()
			xs.add(alive.X...)
			ys.add(alive.Y...)
		}
	}
	bands := newExtent()
	for _, m := range d.sums {
		bands.add(m.low...)
		bands.add(m.high...)
	}
	if bands.low <= bands.high && !d.Y.Log {
		room := (ys.high - ys.low) / 4
		ys.low, ys.high = min(ys.low, max(bands.low, ys.low-room)), max(ys.high, min(bands.high, ys.high+room))
	}
	x, y = newScale(xs.low, xs.high, d.X.Log), newScale(ys.low, ys.high, d.Y.Log)
	x.min, x.max = xs.low, max(xs.high, xs.low+1e-9)
	return x, y
}

func (d *curvesDrawing) subtitle() string {
	parts := []string{"Single runs"}
	diverged := 0
	for _, m := range d.sums {
		diverged += m.diverged
	}
	if most := d.mostRuns(); most > 1 {
		parts = []string{fmt.Sprintf("Mean over %d seeds and %s", most, d.Band)}
		if d.thin {
			parts = append(parts, "thin lines are single seeds")
		}
	}
	if diverged > 0 {
		parts = append(parts, "\u00d7 ends a diverged run, which is left out of the mean")
	}
	return strings.Join(parts, "; ")
}

func (d *curvesDrawing) data() string {
	var last []float64
	for _, m := range d.sums {
		if n := len(m.mean); n > 0 {
			last = append(last, m.mean[n-1])
		}
	}
	var parts []string
	for i, m := range d.sums {
		value := "no mean"
		if n := len(m.mean); n > 0 {
			value = fixed(m.mean[n-1], decimals(last...))
		}
		if note := d.keyNote(i); note != "" {
			value += " (" + note + ")"
		}
		parts = append(parts, printable(d.Series[i].Name)+": "+value)
	}
	return fmt.Sprintf("%s over %s. Last mean over seeds: %s.", d.Y.Label, d.X.Label, strings.Join(parts, "; "))
}

func (d *curvesDrawing) draw(p page) {
	p.heading(d.Title, d.subtitle())
	p.drawX(d.panel, d.x, d.X.Label)
	p.drawY(d.panel, d.y, d.Y.Label)
	inside := draw.Canvas{Canvas: p.Canvas.Canvas, Rectangle: d.panel}
	for i := range d.Series {
		d.drawBand(inside, i)
	}
	for i, s := range d.Series {
		d.drawRuns(inside, i, s)
	}
	for i := range d.Series {
		d.drawMean(inside, i)
	}
	p.StrokeLine2(axisLine, d.panel.Min.X, d.panel.Min.Y, d.panel.Max.X, d.panel.Min.Y)
	d.drawKeys(p)
}

func (d *curvesDrawing) points(x, y []float64) []vg.Point {
	pts := make([]vg.Point, len(x))
	for i := range x {
		v := y[i]
		if d.y.log {
			v = max(v, d.y.min/10) // the band of positive values may reach below zero
		}
		pts[i] = vg.Point{X: d.x.at(x[i]), Y: d.y.at(v)}
	}
	return pts
}

func (d *curvesDrawing) drawBand(c draw.Canvas, i int) {
	m := d.sums[i]
	if len(m.low) < 2 {
		return
	}
	outline := d.points(m.x, m.high)
	low := d.points(m.x, m.low)
	for k := len(low) - 1; k >= 0; k-- {
		outline = append(outline, low[k])
	}
	alpha := uint8(0x26)
	if len(d.Series) > 4 {
		alpha = 0x18
	}
	c.FillPolygon(faded(seriesColor(i), alpha), c.ClipPolygonXY(outline))
}

func (d *curvesDrawing) drawRuns(c draw.Canvas, i int, s Series) {
	for _, r := range s.Runs {
		pts := d.points(r.alive().X, r.alive().Y)
		if d.thin && d.sums[i].runs > 1 || r.diverged() {
			c.StrokeLines(draw.LineStyle{Color: faded(seriesColor(i), 0x80), Width: 0.6}, pts)
		}
		if r.diverged() && len(pts) > 0 {
			end := pts[len(pts)-1]
			cross := draw.LineStyle{Color: seriesColor(i), Width: 1.4}
			c.StrokeLine2(cross, end.X-3.5, end.Y-3.5, end.X+3.5, end.Y+3.5)
			c.StrokeLine2(cross, end.X-3.5, end.Y+3.5, end.X+3.5, end.Y-3.5)
		}
	}
}

// drawMean draws the mean with a few markers, each series at other places.
func (d *curvesDrawing) drawMean(c draw.Canvas, i int) {
	m := d.sums[i]
	pts := d.points(m.x, m.mean)
	if len(pts) == 1 {
		c.DrawGlyph(seriesMark(i), pts[0])
	}
	if len(pts) < 2 {
		return
	}
	c.StrokeLines(seriesLine(i), pts)
	const markers = 6
	for k := range markers {
		share := (float64(k) + (float64(i)+0.5)/float64(len(d.Series))) / markers
		c.DrawGlyph(seriesMark(i), pointAt(pts, d.panel.Min.X+vg.Length(share)*d.panel.Size().X))
	}
}

// pointAt interpolates on the page; left and right of the line it stays at the ends.
func pointAt(pts []vg.Point, x vg.Length) vg.Point {
	for k := 1; k < len(pts); k++ {
		if a, b := pts[k-1], pts[k]; x <= b.X {
			t := max(0, (x-a.X)/(b.X-a.X))
			return vg.Point{X: a.X + t*(b.X-a.X), Y: a.Y + t*(b.Y-a.Y)}
		}
	}
	return pts[len(pts)-1]
}
