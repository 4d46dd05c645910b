// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"metrolab/viz/internal/typeset"
)

// Calibration draws how often tokens are replaced against the probability that a detector gave them. On the diagonal a
// probability means what it says.
type Calibration struct {
	Name    string // of the figure's file
	Title   string
	Caption string // what to see in it; may be empty
	Bins    int    // of equal width, 0 for 10
	Series  []Detection
}

// Figure draws one point a bin that has tokens, with its 95 % interval by Wilson's formula, and the expected calibration
// error (the mean distance from the diagonal, weighted by tokens). It fails as [ROC.Figure] does, and on bins outside 2
// to 50.
func (c Calibration) Figure() (Figure, error) {
	if err := checkDetections("calibration", c.Name, c.Series); err != nil {
		return Figure{}, err
	}
	if c.Bins == 0 {
		c.Bins = 10
	}
	if c.Bins < 2 || c.Bins > 50 {
		return Figure{}, fmt.Errorf("viz: calibration %q: %d bins; take 2 to 50", c.Name, c.Bins)
	}
	d := newCalibrationDrawing(c)
	p := newPage(d.height)
	d.draw(p)
	return p.figure(c.Name, c.Title, c.Caption, d.data())
}

// bin holds the tokens whose probabilities lie within one stretch.
type bin struct {
	tokens, replaced int
	sum              float64 // of probabilities
}

func (b bin) said() float64 { return b.sum / float64(b.tokens) }
func (b bin) was() float64  { return float64(b.replaced) / float64(b.tokens) }

// wilson is the 95 % interval of a share (Wilson 1927, score interval).
func (b bin) wilson() (low, high float64) {
	const z = 1.959964
	n, p := float64(b.tokens), b.was()
	middle, half := p+z*z/(2*n), z*math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max(0, (middle-half)/(1+z*z/n)), min(1, (middle+half)/(1+z*z/n))
}

func (d Detection) bins(n int) []bin {
	bins := make([]bin, n)
	for i, p := range d.Probability {
		b := &bins[min(int(p*float64(n)), n-1)]
		b.tokens++
		b.sum += p
		if d.Replaced[i] {
			b.replaced++
		}
	}
	return bins
}

// calibrationError is the expected calibration error, ∑ tokens/all · |said − was|.
func calibrationError(bins []bin) float64 {
	all, sum := 0, 0.0
	for _, b := range bins {
		if b.tokens > 0 {
			all, sum = all+b.tokens, sum+float64(b.tokens)*math.Abs(b.said()-b.was())
		}
	}
	return sum / float64(all)
}

type calibrationDrawing struct {
	Calibration
	chart
	bins [][]bin // by series
}

func newCalibrationDrawing(c Calibration) *calibrationDrawing {
	unit := scale{min: 0, max: 1}
	d := &calibrationDrawing{Calibration: c, chart: chart{title: c.Title, square: true, x: unit, y: unit,
		subtitle: "On the dashed line a probability means what it says; bars at the foot: how many tokens got it",
		xAxis:    Axis{Label: "probability of replaced, by the detector"}, yAxis: Axis{Label: "share that is replaced, with 95 % interval"}}}
	for i, s := range c.Series {
		d.bins = append(d.bins, s.bins(c.Bins))
		d.keys = append(d.keys, newKey(i, s.Name, "calibration error "+typeset.Fixed(calibrationError(d.bins[i]), 3)))
	}
	d.layout()
	for i := range d.keys {
		d.keys[i].end = vg.Point{X: d.panel.Min.X, Y: d.panel.Max.Y - vg.Length(i)}
	}
	return d
}

func (d *calibrationDrawing) data() string {
	var parts []string
	for i, s := range d.Series {
		var points []string
		for _, b := range d.bins[i] {
			if b.tokens > 0 {
				points = append(points, fmt.Sprintf("%s\u2192%s", typeset.Fixed(b.said(), 2), typeset.Fixed(b.was(), 2)))
			}
		}
		parts = append(parts, fmt.Sprintf("%s, error %s: %s", typeset.Printable(s.Name), typeset.Fixed(calibrationError(d.bins[i]), 3), strings.Join(points, ", ")))
	}
	return "Probability said\u2192share replaced: " + strings.Join(parts, "; ") + "."
}

func (d *calibrationDrawing) draw(p page) {
	d.drawFrame(p)
	d.plot(p, d.level(0, 1))
	for i, bins := range d.bins {
		d.drawTokens(p, i, bins)
	}
	for i, bins := range d.bins {
		d.drawBins(p, i, bins)
	}
	d.drawFoot(p)
	d.drawKeys(p)
}

// drawTokens draws at the foot how the series' tokens are spread over the bins, as shares of the fullest one.
func (d *calibrationDrawing) drawTokens(p page, i int, bins []bin) {
	tokens := make(plotter.Values, len(bins))
	for k, b := range bins {
		tokens[k] = float64(b.tokens)
	}
	const foot = 0.12 // of the panel's height
	binWidth := d.panel.Size().X / vg.Length(len(bins))
	width := 0.8 * binWidth / vg.Length(len(d.Series))
	chart := &plotter.BarChart{Values: tokens, Width: width, Color: faded(seriesColor(i), 0x50),
		Offset: -0.4*binWidth + (vg.Length(i)+0.5)*width}
	x, y := scale{min: -0.5, max: float64(len(bins)) - 0.5}, scale{max: slices.Max(tokens) / foot}
	chart.Plot(p.within(d.panel), &plot.Plot{X: x.axis(nil), Y: y.axis(nil)})
}

func (d *calibrationDrawing) drawBins(p page, i int, bins []bin) {
	var points plotter.XYs
	var lows, highs []float64
	for _, b := range bins {
		if b.tokens > 0 {
			low, high := b.wilson()
			points, lows, highs = append(points, plotter.XY{X: b.said(), Y: b.was()}), append(lows, low), append(highs, high)
		}
	}
	d.plot(p,
		errorBars(draw.LineStyle{Color: faded(seriesColor(i), 0xA0), Width: 0.9}, points, lows, highs),
		&plotter.Line{XYs: points, LineStyle: seriesLine(i)},
		&plotter.Scatter{XYs: points, GlyphStyle: seriesMark(i)})
}
