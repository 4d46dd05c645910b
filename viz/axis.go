// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"metrolab/viz/internal/typeset"
)

// Axis labels one axis of a figure and says how it is divided.
type Axis struct {
	Label   string // what and in which unit, such as "training tokens"
	Log     bool   // logarithmic; every value on it must be > 0
	seconds bool   // divided like a clock, not in tens
}

// What training goes over: optimizer steps, tokens that the main model has read, floating-point operations, and seconds,
// which are shown as seconds, minutes, hours or days.
var (
	Steps   = Axis{Label: "training step"}
	Tokens  = Axis{Label: "training tokens"}
	FLOPs   = Axis{Label: "training compute in FLOPs"}
	Seconds = Axis{Label: "training time", seconds: true}
)

// OnLogScale returns the axis made logarithmic.
func (a Axis) OnLogScale() Axis {
	a.Log = true
	return a
}

// extent is the smallest range that holds all values added.
type extent struct{ low, high float64 }

func newExtent() extent { return extent{math.Inf(1), math.Inf(-1)} }

func (e *extent) add(values ...float64) {
	for _, v := range values {
		e.low, e.high = min(e.low, v), max(e.high, v)
	}
}

// scale maps values to a stretch of the page.
type scale struct {
	min, max     float64
	log, seconds bool
	from, to     vg.Length
}

// newScale covers the values with a little air around them.
func newScale(low, high float64, log bool) scale {
	const air = 0.03
	if log {
		if high <= low*(1+1e-12) {
			low, high = low/2, high*2
		}
		pad := math.Pow(high/low, air)
		return scale{min: low / pad, max: high * pad, log: true}
	}
	if high-low <= 1e-12*max(math.Abs(low), math.Abs(high)) {
		around := max(0.05*math.Abs(high), 1e-9)
		low, high = low-around, high+around
	}
	pad := air * (high - low)
	return scale{min: low - pad, max: high + pad}
}

func (s scale) normalizer() plot.Normalizer {
	if s.log {
		return plot.LogScale{}
	}
	return plot.LinearScale{}
}

func (s scale) at(v float64) vg.Length {
	return s.from + vg.Length(s.normalizer().Normalize(s.min, s.max, v))*(s.to-s.from)
}

// axis is the scale as plotters take it, with its ticks, which rounding may have put beyond its ends.
func (s scale) axis(ticks []plot.Tick) plot.Axis {
	a := plot.Axis{Min: s.min, Max: s.max, Scale: s.normalizer()}
	within := slices.Clone(ticks)
	for i, t := range within {
		within[i].Value = max(s.min, min(t.Value, s.max))
	}
	a.Tick.Marker = plot.ConstantTicks(within)
	return a
}

// place returns the scale between two positions on the page.
func (s scale) place(from, to vg.Length) scale {
	s.from, s.to = from, to
	return s
}

// ticks are about n round values on the scale.
func (s scale) ticks(n int) []plot.Tick {
	values := s.linearTicks(n)
	if s.log {
		values = s.logTicks(n)
	}
	labels := tickLabels(values)
	switch {
	case s.seconds:
		labels = durationLabels(values)
	case !s.log:
		evenDecimals(labels)
	}
	ticks := make([]plot.Tick, len(values))
	for i, label := range labels {
		ticks[i] = plot.Tick{Value: values[i], Label: strings.Replace(label, "-", typeset.Minus, 1)}
	}
	return ticks
}

// linearTicks are the multiples of 1, 2, 2.5 or 5 times a power of ten, or of a round time.
func (s scale) linearTicks(n int) []float64 {
	rough := (s.max - s.min) / float64(max(1, n))
	step := roundStep(rough)
	if s.seconds {
		step = roundTime(rough)
	}
	var values []float64
	for k := int(math.Ceil(s.min/step - 1e-9)); float64(k)*step <= s.max+1e-9*step; k++ {
		values = append(values, float64(k)*step)
	}
	return values
}

func roundStep(rough float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*power >= rough*0.8 {
			return m * power
		}
	}
	return 10 * power
}

// logTicks are powers of ten, thinned where there are many, with 2 and 5 between them where there are few, or linear
// ones where that leaves fewer than three.
func (s scale) logTicks(n int) []float64 {
	decades := math.Log10(s.max / s.min)
	between := []float64{1}
	if decades < float64(n)/2.5 {
		between = []float64{1, 2, 5}
	}
	stride := max(1, int(math.Round(decades/float64(n))))
	var values []float64
	for e := int(math.Floor(math.Log10(s.min))); e <= int(math.Ceil(math.Log10(s.max))); e++ {
		for _, m := range between {
			if v := m * math.Pow10(e); v >= s.min && v <= s.max && e%stride == 0 {
				values = append(values, v)
			}
		}
	}
	if len(values) < 3 {
		return s.linearTicks(n)
	}
	return values
}

// tickLabels writes values alike: all plain, all with thousands as k and millions as M, or all with exponents.
func tickLabels(values []float64) []string {
	largest, smallest := 0.0, math.Inf(1)
	for _, v := range values {
		if largest = max(largest, math.Abs(v)); v != 0 {
			smallest = min(smallest, math.Abs(v))
		}
	}
	labels := make([]string, len(values))
	for i, v := range values {
		switch {
		case smallest < 1e-4 || largest >= 1e22:
			labels[i] = strconv.FormatFloat(v, 'g', 3, 64)
		case largest >= 1e4:
			labels[i] = shortened(v)
		default:
			// 12 digits hide that 3 * 0.1 is 0.30000000000000004.
			labels[i] = strconv.FormatFloat(v, 'g', 12, 64)
		}
	}
	return labels
}

// shortened writes 25000 as 25k, 2.5e6 as 2.5M, 1e18 as 1E.
func shortened(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e18, "E"}, {1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(v) >= unit.size {
			return strconv.FormatFloat(v/unit.size, 'g', 6, 64) + unit.name
		}
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}

// evenDecimals pads plain labels other than zero to equal decimals.
func evenDecimals(labels []string) {
	most := 0
	for _, l := range labels {
		if strings.Trim(l, "-0123456789.") != "" {
			return
		}
		_, fraction, _ := strings.Cut(l, ".")
		most = max(most, len(fraction))
	}
	for i, l := range labels {
		if whole, fraction, _ := strings.Cut(l, "."); most > 0 && l != "0" {
			labels[i] = whole + "." + fraction + strings.Repeat("0", most-len(fraction))
		}
	}
}

var tickFace = face(9, softInk, text.XCenter)

const tickGap vg.Length = 5 // between an axis and its labels

// xTicks are as many ticks, up to one every 70 pt and five in any case, as leave room between their labels.
func xTicks(panel vg.Rectangle, s scale) []plot.Tick {
	for n := max(5, int(panel.Size().X/70)); ; n-- {
		if ticks := s.ticks(n); n <= 1 || roomy(ticks, s) {
			return ticks
		}
	}
}

func roomy(ticks []plot.Tick, s scale) bool {
	for i := 1; i < len(ticks); i++ {
		labels := (tickFace.Width(ticks[i-1].Label) + tickFace.Width(ticks[i].Label)) / 2
		if s.at(ticks[i].Value)-s.at(ticks[i-1].Value) < labels+tickFace.Font.Size {
			return false
		}
	}
	return true
}

var (
	gridLine = draw.LineStyle{Color: gridInk, Width: 0.6}
	axisLine = draw.LineStyle{Color: axisInk, Width: 0.8}
)

// drawX draws grid, ticks and label of a horizontal axis under the panel; xAxisHeight is what it takes there.
func (p page) drawX(panel vg.Rectangle, s scale, label string, ticks []plot.Tick) {
	grid := plotter.Grid{Vertical: gridLine}
	grid.Plot(p.within(panel), &plot.Plot{X: s.axis(ticks)})
	for _, t := range ticks {
		x := s.at(t.Value)
		p.StrokeLine2(axisLine, x, panel.Min.Y, x, panel.Min.Y-3)
		p.write(tickFace, x, panel.Min.Y-tickGap-lineHeight(tickFace)/2, t.Label)
	}
	lines := wrap(axisFace, label, panel.Size().X)
	center := panel.Min.Y - tickGap - lineHeight(tickFace) - 3 - lineHeight(axisFace)*vg.Length(len(lines))/2
	p.paragraph(aligned(axisFace, text.XCenter), (panel.Min.X+panel.Max.X)/2, center, lines)
}

func xAxisHeight(label string, width vg.Length) vg.Length {
	return tickGap + lineHeight(tickFace) + 3 + lineHeight(axisFace)*vg.Length(len(wrap(axisFace, label, width)))
}

// drawY draws grid, labels and, above the panel's left corner, the name of a vertical axis.
func (p page) drawY(panel vg.Rectangle, s scale, label string, ticks []plot.Tick) {
	grid := plotter.Grid{Horizontal: gridLine}
	grid.Plot(p.within(panel), &plot.Plot{Y: s.axis(ticks)})
	for _, t := range ticks {
		y := s.at(t.Value)
		p.write(aligned(tickFace, text.XRight), panel.Min.X-tickGap, y, t.Label)
	}
	lines := wrap(axisFace, label, pageWidth-2*margin)
	p.paragraph(axisFace, margin, panel.Max.Y+7+lineHeight(axisFace)*vg.Length(len(lines))/2, lines)
}

func yTicks(panel vg.Rectangle, s scale) []plot.Tick { return s.ticks(max(3, int(panel.Size().Y/30))) }

// yAxisWidth is the room that the labels of a vertical axis take.
func yAxisWidth(ticks []plot.Tick) vg.Length {
	var width vg.Length
	for _, t := range ticks {
		width = max(width, tickFace.Width(t.Label))
	}
	return width + tickGap
}
