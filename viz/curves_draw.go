// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"metrolab/internal/spelling"
	"metrolab/viz/internal/typeset"
)

// curvesDrawing is Curves with its means and its places on the page.
type curvesDrawing struct {
	Curves
	chart
	sums   []summary
	spikes []int // by series
	thin   bool  // seeds are drawn one by one
}

func newCurvesDrawing(c Curves) *curvesDrawing {
	d := &curvesDrawing{Curves: c}
	for _, s := range c.Series {
		d.sums = append(d.sums, s.summarize(c.Band))
		if c.Spikes {
			d.spikes = append(d.spikes, s.spikes())
		}
	}
	d.thin = d.fewSeeds()
	d.x, d.y = d.scales()
	d.title, d.subtitle, d.xAxis, d.yAxis = c.Title, d.says(), c.X, c.Y
	for i, s := range c.Series {
		d.keys = append(d.keys, newKey(i, s.Name, d.note(i)))
	}
	d.layout()
	for i := range d.keys {
		d.keys[i].end = d.end(i)
	}
	return d
}

// note says what sets the series apart from one with all its seeds.
func (d *curvesDrawing) note(i int) string {
	switch m := d.sums[i]; {
	case d.Each != "":
		return ""
	case m.diverged > 0:
		return fmt.Sprintf("%d of %d diverged", m.diverged, m.runs+m.diverged)
	case m.runs == 0:
		return "no runs"
	case m.runs < d.mostRuns():
		return spelling.Plural(m.runs, "seed")
	case d.Spikes:
		return spelling.Plural(d.spikes[i], "spike")
	default:
		return ""
	}
}

func (d *curvesDrawing) mostRuns() int {
	most := 0
	for _, m := range d.sums {
		most = max(most, m.runs)
	}
	return most
}

// end is the last point of the mean, or of any run where there is no mean; below the panel where there is none.
func (d *curvesDrawing) end(i int) vg.Point {
	if m := d.sums[i]; len(m.x) > 0 {
		n := len(m.x)
		return d.at(m.x[n-1], m.mean[n-1])
	}
	for _, r := range d.Series[i].Runs {
		if alive := r.alive(); len(alive.X) > 0 {
			n := len(alive.X)
			return d.at(alive.X[n-1], alive.Y[n-1])
		}
	}
	return vg.Point{X: d.panel.Max.X, Y: vg.Length(math.Inf(-1))}
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
	for _, l := range d.Levels {
		ys.add(l.Y)
	}
	x, y = newScale(xs.low, xs.high, d.X.Log), newScale(ys.low, ys.high, d.Y.Log)
	x.min, x.max, x.seconds = xs.low, max(xs.high, xs.low+1e-9), d.X.seconds
	return x, y
}

func (d *curvesDrawing) says() string {
	if d.Note != "" {
		return d.lines() + ". " + d.Note
	}
	return d.lines()
}

// lines says what the lines are.
func (d *curvesDrawing) lines() string {
	if d.Each != "" {
		return "One line a " + d.Each
	}
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
	if d.Spikes {
		parts = append(parts, "\u25bc marks a spike")
	}
	return strings.Join(parts, "; ")
}

func (d *curvesDrawing) data() string {
	if d.Each != "" {
		return d.ranges()
	}
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
			value = typeset.Fixed(m.mean[n-1], typeset.Decimals(last...))
		}
		if note := d.note(i); note != "" {
			value += " (" + note + ")"
		}
		parts = append(parts, typeset.Printable(d.Series[i].Name)+": "+value)
	}
	return fmt.Sprintf("%s over %s. Last mean over seeds: %s.", d.Y.Label, d.X.Label, strings.Join(parts, "; "))
}

// ranges says where lines that are not runs lie.
func (d *curvesDrawing) ranges() string {
	var parts []string
	for _, s := range d.Series {
		e := newExtent()
		for _, r := range s.Runs {
			e.add(r.alive().Y...)
		}
		n := typeset.Decimals(e.low, e.high)
		parts = append(parts, fmt.Sprintf("%s %s to %s", typeset.Printable(s.Name), typeset.Fixed(e.low, n), typeset.Fixed(e.high, n)))
	}
	return fmt.Sprintf("%s over %s. Ranges: %s.", d.Y.Label, d.X.Label, strings.Join(parts, "; "))
}

func (d *curvesDrawing) draw(p page) {
	d.drawFrame(p)
	for _, l := range d.Levels {
		d.plot(p, d.level(l.Y, l.Y))
	}
	for i := range d.Series {
		d.drawBand(p, i)
	}
	for i, s := range d.Series {
		d.drawRuns(p, i, s)
	}
	for i := range d.Series {
		d.drawMean(p, i)
	}
	if d.Spikes {
		d.drawSpikes(p)
	}
	d.labelLevels(p)
	d.drawFoot(p)
	d.drawKeys(p)
}

func (d *curvesDrawing) labelLevels(p page) {
	var taken []vg.Point
	for i, s := range d.Series {
		for _, r := range s.Runs {
			taken = append(taken, d.points(r.alive().xys())...)
		}
		taken = append(taken, d.points(xys(d.sums[i].x, d.sums[i].mean))...)
	}
	for _, l := range d.Levels {
		if l.Label != "" {
			d.labelLevel(p, l.Y, shorten(smallFace, l.Label, d.panel.Size().X-8), taken)
		}
	}
}

func (d *curvesDrawing) drawBand(p page, i int) {
	m := d.sums[i]
	if len(m.low) < 2 {
		return
	}
	outline := xys(m.x, m.high)
	for k := len(m.x) - 1; k >= 0; k-- {
		low := m.low[k]
		if d.y.log {
			low = max(low, d.y.min/10) // the band of positive values may reach below zero
		}
		outline = append(outline, plotter.XY{X: m.x[k], Y: low})
	}
	alpha := uint8(0x26)
	if len(d.Series) > 4 {
		alpha = 0x18
	}
	d.plot(p, &plotter.Polygon{XYs: []plotter.XYs{outline}, Color: faded(seriesColor(i), alpha)})
}

func (d *curvesDrawing) drawRuns(p page, i int, s Series) {
	for _, r := range s.Runs {
		alive := r.alive().xys()
		if d.thin && d.sums[i].runs > 1 || r.diverged() {
			d.plot(p, &plotter.Line{XYs: alive, LineStyle: draw.LineStyle{Color: faded(seriesColor(i), 0x80), Width: 0.6}})
		}
		if r.diverged() && len(alive) > 0 {
			d.plot(p, &plotter.Scatter{XYs: alive[len(alive)-1:], GlyphStyle: draw.GlyphStyle{Color: seriesColor(i), Radius: 3.5, Shape: cross{}}})
		}
	}
}

// drawMean draws the mean with a few markers, each series at other places.
func (d *curvesDrawing) drawMean(p page, i int) {
	mean := xys(d.sums[i].x, d.sums[i].mean)
	if len(mean) == 1 {
		d.plot(p, &plotter.Scatter{XYs: mean, GlyphStyle: seriesMark(i)})
	}
	if len(mean) < 2 {
		return
	}
	line := seriesLine(i)
	if len(mean) > int(d.panel.Size().X) {
		line.Width = 0.9 // so many points are noise, which a thick line would fill
	}
	d.plot(p, &plotter.Line{XYs: mean, LineStyle: line})
	d.drawMarks(p, i, len(d.Series), 6, d.points(mean))
}

// drawMarks draws so many markers along the line of series i of n, each series at other places.
func (c *chart) drawMarks(p page, i, n, marks int, line []vg.Point) {
	for k := range marks {
		share := (float64(k) + (float64(i)+0.5)/float64(n)) / float64(marks)
		p.DrawGlyphNoClip(seriesMark(i), pointAt(line, c.panel.Min.X+vg.Length(share)*c.panel.Size().X))
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
