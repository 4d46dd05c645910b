// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"metrolab/viz/internal/typeset"
)

// KaplanMeier draws how soon an event comes, where some have not lived to see it: for each series, the part of its runs that
// have seen it, 1 − S(t), by the estimate of Kaplan and Meier,
//
//	S(t) = ∏ over the times tᵢ ≤ t of events: 1 − dᵢ/nᵢ
//
// with dᵢ events at tᵢ among the nᵢ runs that were still waiting.
type KaplanMeier struct {
	Name    string // of the figure's file
	Title   string
	Caption string // what to see in it; may be empty
	Event   string // what the runs have done then, such as "reached an AUC of 0.75"
	X       Axis   // what passes until then, such as [Tokens]; it begins at 0
	Series  []Waits
}

// Waits are the runs of one arm.
type Waits struct {
	Name     string
	Until    []float64 // when the event came or, where it did not, up to when it was waited for; above 0
	Censored []bool    // it did not come; as many as Until
}

// Figure draws the curves. It fails on series that are empty, whose lengths differ, or that hold a time which is not above 0.
func (k KaplanMeier) Figure() (Figure, error) {
	if err := k.check(); err != nil {
		return Figure{}, err
	}
	d := newKaplanMeierDrawing(k)
	p := newPage(d.height)
	d.draw(p)
	return p.figure(k.Name, k.Title, k.Caption, d.data())
}

func (k KaplanMeier) check() error {
	if err := checkName(k.Name); err != nil {
		return err
	}
	if len(k.Series) == 0 {
		return fmt.Errorf("viz: Kaplan-Meier curves %q: nothing to draw: no series", k.Name)
	}
	for _, s := range k.Series {
		if len(s.Until) == 0 || len(s.Until) != len(s.Censored) {
			return fmt.Errorf("viz: Kaplan-Meier curves %q: series %q has %d times and says of %d whether the event came; it needs one or more, and as many of both",
				k.Name, s.Name, len(s.Until), len(s.Censored))
		}
		for _, t := range s.Until {
			if !typeset.Finite(t) || t <= 0 {
				return fmt.Errorf("viz: Kaplan-Meier curves %q: series %q has a time of %g; it must be above 0", k.Name, s.Name, t)
			}
		}
	}
	return nil
}

// curve is 1 − S at 0, after each time at which an event came, and at the last time of all. A run that was waited for up to the
// time of an event was still waiting then.
func (w Waits) curve() Line {
	curve, waiting := Line{X: []float64{0}, Y: []float64{0}}, 1.0
	times := slices.Compact(slices.Sorted(slices.Values(w.Until)))
	for _, t := range times {
		events, left := 0, 0
		for i, until := range w.Until {
			if until >= t {
				left++
			}
			if until == t && !w.Censored[i] {
				events++
			}
		}
		if events > 0 {
			waiting *= 1 - float64(events)/float64(left)
			curve.X, curve.Y = append(curve.X, t), append(curve.Y, 1-waiting)
		}
	}
	if last := times[len(times)-1]; curve.X[len(curve.X)-1] < last {
		curve.X, curve.Y = append(curve.X, last), append(curve.Y, 1-waiting)
	}
	return curve
}

// seen is how many runs have seen the event.
func (w Waits) seen() (n int) {
	for _, censored := range w.Censored {
		if !censored {
			n++
		}
	}
	return n
}

// note says how many runs have seen the event, and by when half of them have, by the estimate.
func (k KaplanMeier) note(w Waits) string {
	note := fmt.Sprintf("%d of %d", w.seen(), len(w.Until))
	curve := w.curve()
	half := slices.IndexFunc(curve.Y, func(y float64) bool { return y > 0.5-1e-9 })
	if half < 0 {
		return note
	}
	at := []float64{curve.X[half]}
	if k.X.seconds {
		return note + ", half by " + durationLabels(at)[0]
	}
	at[0], _ = strconv.ParseFloat(strconv.FormatFloat(at[0], 'g', 3, 64), 64)
	return note + ", half by " + tickLabels(at)[0]
}

type kaplanMeierDrawing struct {
	KaplanMeier
	chart
	curves []Line
}

func newKaplanMeierDrawing(k KaplanMeier) *kaplanMeierDrawing {
	last := 0.0
	for _, s := range k.Series {
		last = max(last, slices.Max(s.Until))
	}
	d := &kaplanMeierDrawing{KaplanMeier: k, chart: chart{title: k.Title, subtitle: "By Kaplan and Meier; a short bar is a run that ended without",
		x: scale{min: 0, max: 1.02 * last, seconds: k.X.seconds}, y: scale{min: -0.02, max: 1.02},
		xAxis: k.X, yAxis: Axis{Label: "part of the runs that have " + k.Event}}}
	for i, s := range k.Series {
		d.curves = append(d.curves, s.curve())
		d.keys = append(d.keys, newKey(i, s.Name, k.note(s)))
	}
	d.layout()
	for i, curve := range d.curves {
		n := len(curve.X)
		d.keys[i].end = d.at(curve.X[n-1], curve.Y[n-1])
	}
	return d
}

func (d *kaplanMeierDrawing) data() string {
	var parts []string
	for _, s := range d.Series {
		parts = append(parts, typeset.Printable(s.Name)+" "+d.note(s))
	}
	return fmt.Sprintf("Runs that have %s, over %s: %s.", d.Event, d.X.Label, strings.Join(parts, "; "))
}

func (d *kaplanMeierDrawing) draw(p page) {
	d.drawFrame(p)
	d.plot(p, d.level(0.5, 0.5))
	var taken []vg.Point
	for i, curve := range d.curves {
		steps := stairs(curve)
		taken = append(taken, d.points(steps)...)
		d.plot(p, &plotter.Line{XYs: steps, LineStyle: seriesLine(i)})
	}
	for i := range d.Series {
		d.drawRuns(p, i)
	}
	d.labelLevel(p, 0.5, "half", taken)
	d.drawFoot(p)
	d.drawKeys(p)
}

// drawRuns marks where a curve rises, and where a run was given up.
func (d *kaplanMeierDrawing) drawRuns(p page, i int) {
	const tick vg.Length = 4
	curve, line := d.curves[i], seriesLine(i)
	line.Dashes = nil
	for k := 1; k < len(curve.X); k++ {
		if curve.Y[k] > curve.Y[k-1] {
			p.DrawGlyphNoClip(seriesMark(i), d.at(curve.X[k], curve.Y[k]))
		}
	}
	for k, t := range d.Series[i].Until {
		if d.Series[i].Censored[k] {
			at := d.at(t, curve.stepAt(t))
			p.StrokeLine2(line, at.X, at.Y-tick, at.X, at.Y+tick)
		}
	}
}

// stairs is a line that keeps its height up to each point.
func stairs(l Line) (steps plotter.XYs) {
	for i, x := range l.X {
		if i > 0 {
			steps = append(steps, plotter.XY{X: x, Y: l.Y[i-1]})
		}
		steps = append(steps, plotter.XY{X: x, Y: l.Y[i]})
	}
	return steps
}
