// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"metrolab/viz/internal/typeset"
)

// GeneratorSizes draws an outcome against the size of the generator: a dot a seed, the mean with its 95 % interval by
// Student's t, the best mean in a ring. A generator that is too small sets a task that is too easy, one that is too large
// a task that is too hard; in between lies the best.
type GeneratorSizes struct {
	Name          string // of the figure's file
	Title         string
	Caption       string // what to see in it; may be empty
	Outcome       string // what is compared, such as "RTD AUC on the frozen set"
	LowerIsBetter bool
	Sizes         []GeneratorSize // at least two
}

// GeneratorSize is one size with its runs.
type GeneratorSize struct {
	Ratio    float64   // of the generator's size to the main model's, above 0
	Label    string    // such as "1/4"; if empty, the ratio in figures
	Outcomes []float64 // one a seed; NaN for a run without one
}

// Figure draws the curve. It fails on fewer than two sizes, two equal ones, one that is not above 0, and where no run has
// an outcome.
func (g GeneratorSizes) Figure() (Figure, error) {
	g.Sizes = slices.Clone(g.Sizes)
	slices.SortFunc(g.Sizes, func(a, b GeneratorSize) int { return cmp.Compare(a.Ratio, b.Ratio) })
	if err := g.check(); err != nil {
		return Figure{}, err
	}
	d := newSizesDrawing(g)
	p := newPage(d.height)
	d.draw(p)
	return p.figure(g.Name, g.Title, g.Caption, d.data())
}

func (g GeneratorSizes) check() error {
	if err := checkName(g.Name); err != nil {
		return err
	}
	if len(g.Sizes) < 2 {
		return fmt.Errorf("viz: generator sizes %q: %d sizes; a curve takes two or more", g.Name, len(g.Sizes))
	}
	outcomes := 0
	for i, s := range g.Sizes {
		if !typeset.Finite(s.Ratio) || s.Ratio <= 0 {
			return fmt.Errorf("viz: generator sizes %q: size %q has the ratio %g; it must be above 0", g.Name, s.Label, s.Ratio)
		}
		if i > 0 && s.Ratio == g.Sizes[i-1].Ratio {
			return fmt.Errorf("viz: generator sizes %q: the ratio %g is there twice; put its runs together", g.Name, s.Ratio)
		}
		outcomes += len(s.finished())
	}
	if outcomes == 0 {
		return fmt.Errorf("viz: generator sizes %q: nothing to draw: no finite outcome at %d sizes", g.Name, len(g.Sizes))
	}
	return nil
}

// finished are the outcomes of runs that have one.
func (s GeneratorSize) finished() []float64 {
	return slices.DeleteFunc(slices.Clone(s.Outcomes), func(v float64) bool { return !typeset.Finite(v) })
}

// sizeSummary is what is known of one size: NaN where there are too few runs.
type sizeSummary struct {
	runs            int
	mean, low, high float64
}

func (s GeneratorSize) summarize() sizeSummary {
	ys := s.finished()
	m := sizeSummary{runs: len(ys), mean: math.NaN(), low: math.NaN(), high: math.NaN()}
	if len(ys) > 0 {
		m.mean = stat.Mean(ys, nil)
	}
	if len(ys) > 1 {
		m.low, m.high = Interval95.of(ys)
	}
	return m
}

type sizesDrawing struct {
	GeneratorSizes
	chart
	sums     []sizeSummary
	best     int
	decimals int
}

func newSizesDrawing(g GeneratorSizes) *sizesDrawing {
	d := &sizesDrawing{GeneratorSizes: g, best: -1}
	ys := newExtent()
	var means []float64
	for i, s := range g.Sizes {
		m := s.summarize()
		d.sums, means = append(d.sums, m), append(means, m.mean)
		ys.add(s.finished()...)
		if typeset.Finite(m.low) {
			ys.add(m.low, m.high)
		}
		if typeset.Finite(m.mean) && (d.best < 0 || m.mean != means[d.best] && (m.mean < means[d.best]) == g.LowerIsBetter) {
			d.best = i
		}
	}
	d.decimals = max(3, typeset.Decimals(means...))
	d.title, d.subtitle, d.xAxis, d.yAxis = g.Title, d.says(), Axis{Label: "generator size / main model size"}.OnLogScale(), Axis{Label: g.Outcome}
	d.x = newScale(g.Sizes[0].Ratio, g.Sizes[len(g.Sizes)-1].Ratio, true)
	d.y = newScale(ys.low, ys.high, false)
	for _, s := range g.Sizes {
		d.xTicks = append(d.xTicks, plot.Tick{Value: s.Ratio, Label: s.label()})
	}
	d.keys = []key{newKey(0, "best: "+g.Sizes[d.best].label(), typeset.Fixed(d.sums[d.best].mean, d.decimals))}
	d.layout()
	d.xTicks = d.roomyTicks()
	d.keys[0].end = vg.Point{X: d.panel.Min.X, Y: d.y.at(d.sums[d.best].mean)}
	return d
}

func (s GeneratorSize) label() string {
	if s.Label != "" {
		return typeset.Printable(s.Label)
	}
	return fmt.Sprintf("%.3g", s.Ratio)
}

// roomyTicks leaves out those that would touch the one before.
func (d *sizesDrawing) roomyTicks() []plot.Tick {
	var kept []plot.Tick
	for _, t := range d.xTicks {
		if len(kept) == 0 || roomy([]plot.Tick{kept[len(kept)-1], t}, d.x) {
			kept = append(kept, t)
		}
	}
	return kept
}

func (d *sizesDrawing) says() string {
	text := "Dots are seeds; mean with 95 % interval; the ring is the best mean"
	if d.best == 0 {
		text += ", at the smallest size: the curve may go on"
	}
	if d.best == len(d.Sizes)-1 {
		text += ", at the largest size: the curve may go on"
	}
	return text
}

func (d *sizesDrawing) data() string {
	var parts []string
	for i, s := range d.Sizes {
		text := s.label() + " " + typeset.Fixed(d.sums[i].mean, d.decimals)
		if m := d.sums[i]; typeset.Finite(m.low) {
			text += fmt.Sprintf(" [%s, %s]", typeset.Fixed(m.low, d.decimals), typeset.Fixed(m.high, d.decimals))
		}
		if failed := len(s.Outcomes) - d.sums[i].runs; failed > 0 {
			text += fmt.Sprintf(" (%d of %d without an outcome)", failed, len(s.Outcomes))
		}
		if i == d.best {
			text += " (best)"
		}
		parts = append(parts, text)
	}
	return d.Outcome + " by generator size: " + strings.Join(parts, "; ") + "."
}

func (d *sizesDrawing) draw(p page) {
	d.drawFrame(p)
	color := seriesColor(1)
	var means, known plotter.XYs // known are the means with an interval
	var lows, highs []float64
	for i, s := range d.Sizes {
		d.drawSeeds(p, s, faded(color, 0x90))
		m := d.sums[i]
		at := plotter.XY{X: s.Ratio, Y: m.mean}
		if typeset.Finite(m.low) {
			known, lows, highs = append(known, at), append(lows, m.low), append(highs, m.high)
		}
		if typeset.Finite(m.mean) {
			means = append(means, at)
		}
	}
	d.plot(p,
		errorBars(draw.LineStyle{Color: color, Width: 1.1}, known, lows, highs),
		&plotter.Line{XYs: means, LineStyle: draw.LineStyle{Color: color, Width: 1.5}},
		&plotter.Scatter{XYs: means, GlyphStyle: draw.GlyphStyle{Color: color, Radius: 3, Shape: draw.CircleGlyph{}}})
	d.drawBest(p)
	d.drawFoot(p)
}

// drawSeeds draws the outcomes at one size beside their mean.
func (d *sizesDrawing) drawSeeds(p page, s GeneratorSize, c color.Color) {
	for _, y := range s.finished() {
		at := d.at(s.Ratio, y)
		at.X += 6
		p.DrawGlyphNoClip(draw.GlyphStyle{Color: c, Radius: 1.5, Shape: draw.CircleGlyph{}}, at)
	}
}

// drawBest rings the best mean, and writes which it is beside the panel.
func (d *sizesDrawing) drawBest(p page) {
	best := d.at(d.Sizes[d.best].Ratio, d.sums[d.best].mean)
	p.DrawGlyphNoClip(draw.GlyphStyle{Color: ink, Radius: 7, Shape: draw.RingGlyph{}}, best)
	spread(d.keys, d.panel.Min.Y, d.panel.Max.Y)
	k, x := d.keys[0], d.panel.Max.X+keyGap
	p.DrawGlyphNoClip(draw.GlyphStyle{Color: ink, Radius: 5, Shape: draw.RingGlyph{}}, vg.Point{X: x + keySample/2, Y: k.y})
	k.writeText(p, x+keySample+5)
}
