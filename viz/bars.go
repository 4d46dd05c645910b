// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"metrolab/viz/internal/typeset"
)

// Bars are bars from zero in named groups, one of each series in a group, with error bars.
type Bars struct {
	Name    string // of the figure's file
	Title   string
	Caption string // what to see in it; may be empty
	Note    string // below the title, such as where the numbers are from; may be empty
	Label   string // what the height is, and its unit
	Groups  []string
	Series  []BarSeries
}

// BarSeries is one color of bars, with one value a group. A NaN is a missing value, shown as a dash.
type BarSeries struct {
	Name      string
	Values    []float64
	Low, High []float64 // ends of the error bars; both nil for none, NaN for none at one bar
}

// Figure draws the bars. It fails where lengths differ, nothing is finite, or an error bar does not hold its value.
func (b Bars) Figure() (Figure, error) {
	if err := b.check(); err != nil {
		return Figure{}, err
	}
	d := barsDrawing{Bars: b}
	d.layout()
	p := newPage(d.height)
	d.draw(p)
	return p.figure(b.Name, b.Title, b.Caption, d.data())
}

func (b Bars) check() error {
	if err := checkName(b.Name); err != nil {
		return err
	}
	anything := false
	for _, s := range b.Series {
		if err := s.check(len(b.Groups)); err != nil {
			return fmt.Errorf("viz: bars %q: series %q %w", b.Name, s.Name, err)
		}
		for _, v := range s.Values {
			anything = anything || typeset.Finite(v)
		}
	}
	if !anything {
		return fmt.Errorf("viz: bars %q: nothing to draw: %d groups, %d series, no finite value",
			b.Name, len(b.Groups), len(b.Series))
	}
	return nil
}

func (s BarSeries) check(groups int) error {
	bars := s.Low != nil || s.High != nil
	if len(s.Values) != groups || bars && (len(s.Low) != groups || len(s.High) != groups) {
		return fmt.Errorf("has %d values, %d low and %d high ends for %d groups", len(s.Values), len(s.Low), len(s.High), groups)
	}
	for i, v := range s.Values {
		if math.IsInf(v, 0) {
			return fmt.Errorf("has an infinite value in group %d; mark a missing one by NaN", i+1)
		}
		if low, high := s.ends(i); low > v || v > high || math.IsInf(low, 0) || math.IsInf(high, 0) {
			return fmt.Errorf("has %g outside its error bar [%g, %g] in group %d", v, low, high, i+1)
		}
	}
	return nil
}

// ends are those of the error bar in a group, NaN where it has none.
func (s BarSeries) ends(group int) (low, high float64) {
	if s.Low == nil {
		return math.NaN(), math.NaN()
	}
	return s.Low[group], s.High[group]
}

type barsDrawing struct {
	Bars
	decimals int
	groups   [][]string // wrapped names
	legend   [][]int    // series by line of the legend
	labeled  bool       // the values stand above the bars; else the axis has to do
	y        scale
	panel    vg.Rectangle
	height   vg.Length
}

const (
	barsPanel    vg.Length = 190
	legendSwatch vg.Length = 12
	legendGap    vg.Length = 16
)

func (d *barsDrawing) layout() {
	d.y = d.scale()
	d.legend = d.legendLines()
	labelLines := len(wrap(axisFace, d.Label, pageWidth-2*margin))
	top := headingHeight(d.Title, d.Note) + lineHeight(axisFace)*vg.Length(labelLines) + 10 + d.legendHeight()
	d.panel.Max.Y = barsPanel // its height is all that the ticks depend on
	d.panel.Min.X, d.panel.Max.X = margin+yAxisWidth(yTicks(d.panel, d.y.place(0, barsPanel))), pageWidth-margin
	d.labeled = d.allLabelsFit()
	lines := 0
	for _, g := range d.Groups {
		d.groups = append(d.groups, wrap(tickFace, g, d.groupWidth()-6))
		lines = max(lines, len(d.groups[len(d.groups)-1]))
	}
	d.panel.Min.Y = snapped(margin + tickGap + lineHeight(tickFace)*vg.Length(lines))
	d.panel.Max.Y = d.panel.Min.Y + barsPanel
	d.height = d.panel.Max.Y + top
	d.y = d.y.place(d.panel.Min.Y, d.panel.Max.Y)
}

func (d *barsDrawing) groupWidth() vg.Length { return d.panel.Size().X / vg.Length(len(d.Groups)) }

func (d *barsDrawing) barWidth() vg.Length {
	return min(40, 0.8*d.groupWidth()/vg.Length(len(d.Series)))
}

// allLabelsFit reports whether the numbers above the bars keep clear of each other.
func (d *barsDrawing) allLabelsFit() bool {
	for _, s := range d.Series {
		for _, v := range s.Values {
			if smallFace.Width(typeset.Fixed(v, d.decimals)) > d.barWidth()-3 {
				return false
			}
		}
	}
	return true
}

// scale starts at zero: the length of a bar is what the eye compares.
func (d *barsDrawing) scale() scale {
	y := newExtent()
	y.add(0)
	var values []float64
	for _, s := range d.Series {
		for i, v := range s.Values {
			low, high := s.ends(i)
			for _, v := range []float64{v, low, high} {
				if typeset.Finite(v) {
					y.add(v)
				}
			}
			values = append(values, v)
		}
	}
	d.decimals = typeset.Decimals(values...)
	room := 0.06 * (y.high - y.low) // for the number above the highest bar
	s := newScale(y.low, y.high+room, false)
	if y.low == 0 {
		s.min = 0
	}
	return s
}

func (d *barsDrawing) legendLines() [][]int {
	if len(d.Series) < 2 {
		return nil
	}
	lines, x := [][]int{nil}, vg.Length(0)
	for i, s := range d.Series {
		width := legendSwatch + 4 + labelFace.Width(legendName(s)) + legendGap
		if x > 0 && x+width-legendGap > pageWidth-2*margin {
			lines, x = append(lines, nil), 0
		}
		lines[len(lines)-1] = append(lines[len(lines)-1], i)
		x += width
	}
	return lines
}

// legendName is the name, cut where it is longer than a line.
func legendName(s BarSeries) string {
	return shorten(labelFace, s.Name, pageWidth-2*margin-legendSwatch-10)
}

func (d *barsDrawing) legendHeight() vg.Length { return 15 * vg.Length(len(d.legend)) }

func (d *barsDrawing) data() string {
	var parts []string
	for _, s := range d.Series {
		for i, g := range d.Groups {
			name := strings.TrimSpace(s.Name + " " + g)
			parts = append(parts, typeset.Printable(name)+" "+typeset.Fixed(s.Values[i], d.decimals))
		}
	}
	return d.Label + ": " + strings.Join(parts, "; ") + "."
}

func (d *barsDrawing) draw(p page) {
	p.heading(d.Title, d.Note)
	d.drawLegend(p)
	p.drawY(d.panel, d.y, d.Label, yTicks(d.panel, d.y))
	for g, name := range d.groups {
		center := d.panel.Min.X + d.groupWidth()*(vg.Length(g)+0.5)
		y := d.panel.Min.Y - tickGap - lineHeight(tickFace)*vg.Length(len(name))/2
		p.paragraph(tickFace, center, y, name)
		d.drawGroup(p, g, center)
	}
	zero := d.y.at(0)
	p.StrokeLine2(axisLine, d.panel.Min.X, zero, d.panel.Max.X, zero)
}

func (d *barsDrawing) drawLegend(p page) {
	y := p.Max.Y - headingHeight(d.Title, d.Note) - 8
	for _, line := range d.legend {
		x := margin
		for _, i := range line {
			p.hatchedBox(i, x, y-legendSwatch/2, x+legendSwatch, y+legendSwatch/2)
			name := legendName(d.Series[i])
			p.write(labelFace, x+legendSwatch+4, y, name)
			x += legendSwatch + 4 + labelFace.Width(name) + legendGap
		}
		y -= 15
	}
}

// drawGroup draws the bars of group g side by side around center.
func (d *barsDrawing) drawGroup(p page, g int, center vg.Length) {
	n := vg.Length(len(d.Series))
	width := d.barWidth()
	for i, s := range d.Series {
		left := center + width*(vg.Length(i)-n/2)
		d.drawBar(p, i, s, g, left+0.06*width, left+0.94*width)
	}
}

func (d *barsDrawing) drawBar(p page, i int, s BarSeries, g int, left, right vg.Length) {
	v, center, zero := s.Values[g], (left+right)/2, d.y.at(0)
	if !typeset.Finite(v) {
		p.write(aligned(smallFace, text.XCenter), center, zero+lineHeight(smallFace)/2, typeset.Missing)
		return
	}
	p.hatchedBox(i, left, min(zero, d.y.at(v)), right, max(zero, d.y.at(v)))
	low, high := s.ends(g)
	top := max(zero, d.y.at(v))
	if typeset.Finite(low) && typeset.Finite(high) {
		top = max(top, d.y.at(high))
		interval := errorBars(draw.LineStyle{Color: ink, Width: 1.1}, plotter.XYs{{X: float64(center), Y: v}}, []float64{low}, []float64{high})
		interval.CapWidth = min(8, (right-left)/2)
		interval.Plot(p.within(d.panel), &plot.Plot{X: d.across().axis(nil), Y: d.y.axis(nil)})
	}
	if d.labeled {
		p.write(aligned(smallFace, text.XCenter), center, top+lineHeight(smallFace)/2, typeset.Fixed(v, d.decimals))
	}
}

// across is the panel's width as a scale of places on the page.
func (d *barsDrawing) across() scale {
	return scale{min: float64(d.panel.Min.X), max: float64(d.panel.Max.X)}
}

// hatchedBox fills a box with the color of series i, paler, and with lines of a slope of its own, which the bars of gonum do
// not have.
func (p page) hatchedBox(i int, left, bottom, right, top vg.Length) {
	c := seriesColor(i)
	line := draw.LineStyle{Color: c, Width: 0.8}
	p.box(faded(c, 0x60), left, bottom, right, top)
	around := vg.Rectangle{Min: vg.Point{X: left, Y: bottom}, Max: vg.Point{X: right, Y: top}}
	inside := draw.Canvas{Canvas: p.Canvas.Canvas, Rectangle: around}
	const gap = 4
	rise := top - bottom
	switch i % 5 {
	case 1, 2:
		for x := left - rise; x < right; x += gap {
			from, to := vg.Point{X: x, Y: bottom}, vg.Point{X: x + rise, Y: top}
			if i%5 == 2 {
				from.Y, to.Y = top, bottom
			}
			inside.StrokeLines(line, inside.ClipLinesXY([]vg.Point{from, to})...)
		}
	case 3:
		for y := bottom + gap; y < top; y += gap {
			p.StrokeLine2(line, left, y, right, y)
		}
	case 4:
		for x := left + gap; x < right; x += gap {
			p.StrokeLine2(line, x, bottom, x, top)
		}
	}
	p.StrokeLines(line, []vg.Point{{X: left, Y: bottom}, {X: left, Y: top}, {X: right, Y: top}, {X: right, Y: bottom},
		{X: left, Y: bottom}})
}
