// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"math"

	"metrolab/viz/internal/typeset"
)

// Curves are lines over training: a mean over seeds with its band for each series, and each seed as a thin line where
// they are few. X is [Steps], [Tokens], [FLOPs], [Seconds] or an axis of your own. [OverSteps], [GradientNorms],
// [LossSpikes], [TieCosine] and [BiasProfile] are Curves with the words and lines that belong to one question.
type Curves struct {
	Name    string // of the figure's file
	Title   string
	Caption string // what to see in it; may be empty
	Note    string // below the title, such as where the numbers are from; may be empty
	X, Y    Axis
	Band    Band
	Series  []Series
	Levels  []Level // such as chance, or the norm that gradients are clipped to
	Spikes  bool    // mark where a run jumps up and say how often; see [Line.Spikes]
	Each    string  // what each line is, if not a run of training, such as "head"
}

// Level is a thin line across a figure at the height Y, which widens the axis to hold it.
type Level struct {
	Y     float64
	Label string // may be empty
}

// Figure draws the curves. It fails on series whose lengths differ, that are empty or hold what an axis cannot show.
func (c Curves) Figure() (Figure, error) {
	if err := c.check(); err != nil {
		return Figure{}, err
	}
	d := newCurvesDrawing(c)
	p := newPage(d.height)
	d.draw(p)
	return p.figure(c.Name, c.Title, c.Caption, d.data())
}

func (c Curves) check() error {
	if err := checkName(c.Name); err != nil {
		return err
	}
	for _, l := range c.Levels {
		if !typeset.Finite(l.Y) || c.Y.Log && l.Y <= 0 {
			return fmt.Errorf("viz: curves %q: level %q is at %g, which the axis cannot show", c.Name, l.Label, l.Y)
		}
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
		case !typeset.Finite(x):
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
