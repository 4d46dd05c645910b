// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"cmp"
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

// Shares draws an outcome against the share of a model's weights that learned, on a logarithmic axis: a dot a seed, and the median
// with the range of the seeds. What the ways of learning are is written beside the picture, the one with the fewest weights first.
type Shares struct {
	Name    string // of the figure's file
	Title   string
	Caption string // what to see in it; may be empty
	Outcome string // what is measured, such as "accuracy on the test texts"
	Shares  []Share
}

// Share is one way of learning with its runs.
type Share struct {
	Name     string
	Share    float64   // of the weights, above 0 and at most 1
	Outcomes []float64 // one a seed, all finite
}

// median is the middle one of the outcomes, or the mean of the two.
func (s Share) median() float64 {
	ys := slices.Sorted(slices.Values(s.Outcomes))
	return (ys[(len(ys)-1)/2] + ys[len(ys)/2]) / 2
}

// Figure draws the points. It fails where there are none, on a share that is not in (0, 1] and on an outcome that is no number.
func (s Shares) Figure() (Figure, error) {
	if err := s.check(); err != nil {
		return Figure{}, err
	}
	d := newSharesDrawing(s)
	p := newPage(d.height)
	d.draw(p)
	return p.figure(s.Name, s.Title, s.Caption, d.data())
}

func (s Shares) check() error {
	if err := checkName(s.Name); err != nil {
		return err
	}
	if len(s.Shares) == 0 {
		return fmt.Errorf("viz: shares %q: nothing to draw", s.Name)
	}
	for _, one := range s.Shares {
		if !(one.Share > 0 && one.Share <= 1) {
			return fmt.Errorf("viz: shares %q: %q has the share %g; it must be above 0 and at most 1", s.Name, one.Name, one.Share)
		}
		if len(one.Outcomes) == 0 || slices.ContainsFunc(one.Outcomes, func(y float64) bool { return !typeset.Finite(y) }) {
			return fmt.Errorf("viz: shares %q: %q has the outcomes %v; it takes one or more, all finite", s.Name, one.Name, one.Outcomes)
		}
	}
	return nil
}

type sharesDrawing struct {
	Shares
	chart
	decimals int
}

func newSharesDrawing(s Shares) *sharesDrawing {
	s.Shares = slices.Clone(s.Shares)
	slices.SortStableFunc(s.Shares, func(a, b Share) int { return cmp.Compare(a.Share, b.Share) })
	d := &sharesDrawing{Shares: s}
	xs, ys := newExtent(), newExtent()
	var medians []float64
	for _, one := range s.Shares {
		xs.add(one.Share)
		ys.add(one.Outcomes...)
		medians = append(medians, one.median())
	}
	d.decimals = max(3, typeset.Decimals(medians...))
	d.title, d.subtitle = s.Title, "Dots are seeds; the mark is their median, the bar their range"
	d.xAxis, d.yAxis = Axis{Label: "share of the weights that learn"}.OnLogScale(), Axis{Label: s.Outcome}
	d.x, d.y = newScale(xs.low/1.3, 1.3*xs.high, true), newScale(ys.low, ys.high, false)
	for power := -8; power <= 0; power++ {
		if share := math.Pow(10, float64(power)); share >= xs.low/1.3 && share <= 1.3*xs.high {
			d.xTicks = append(d.xTicks, plot.Tick{Value: share, Label: fmt.Sprintf("%g %%", 100*share)})
		}
	}
	for i, one := range s.Shares {
		d.keys = append(d.keys, newKey(i, typeset.Printable(one.Name), typeset.Fixed(medians[i], d.decimals)))
	}
	d.layout()
	for i := range d.keys {
		d.keys[i].end = vg.Point{X: d.panel.Min.X, Y: d.y.at(medians[i])}
	}
	return d
}

func (d *sharesDrawing) data() string {
	var parts []string
	for _, one := range d.Shares.Shares {
		parts = append(parts, fmt.Sprintf("%s %.3g %% %s [%s, %s]", typeset.Printable(one.Name), 100*one.Share, typeset.Fixed(one.median(), d.decimals),
			typeset.Fixed(slices.Min(one.Outcomes), d.decimals), typeset.Fixed(slices.Max(one.Outcomes), d.decimals)))
	}
	return d.Outcome + " by the share of the weights that learn: " + strings.Join(parts, "; ") + "."
}

func (d *sharesDrawing) draw(p page) {
	d.drawFrame(p)
	for i, one := range d.Shares.Shares {
		at := plotter.XYs{{X: one.Share, Y: one.median()}}
		d.plot(p, errorBars(draw.LineStyle{Color: seriesColor(i), Width: 1}, at, []float64{slices.Min(one.Outcomes)}, []float64{slices.Max(one.Outcomes)}))
		for _, y := range one.Outcomes {
			dot := d.at(one.Share, y)
			dot.X += 6
			p.DrawGlyphNoClip(draw.GlyphStyle{Color: faded(seriesColor(i), 0x90), Radius: 1.5, Shape: draw.CircleGlyph{}}, dot)
		}
		mark := seriesMark(i)
		mark.Radius = 4
		p.DrawGlyphNoClip(mark, d.at(one.Share, one.median()))
	}
	d.drawFoot(p)
	spread(d.keys, d.panel.Min.Y, d.panel.Max.Y)
	x := d.panel.Max.X + keyGap
	for _, k := range d.keys {
		mark := seriesMark(k.series)
		mark.Radius = 4
		p.DrawGlyphNoClip(mark, vg.Point{X: x + keySample/2, Y: k.y})
		k.writeText(p, x+keySample+5)
	}
}
