// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"metrolab/viz"
)

// Figure draws a report: of the suite "step", how fast each case computes beside a plain matrix product; of "components", the
// time of their calls; of "scale", how the time of a step grows.
func (r Report) Figure() (viz.Figure, error) {
	switch r.Suite {
	case "components":
		return r.timings().Figure()
	case "scale":
		return r.curves().Figure()
	default:
		return r.bars().Figure()
	}
}

func (r Report) bars() viz.Bars {
	b := viz.Bars{
		Name: "step", Title: "What a training step makes of the machine", Note: r.Where(), Label: "GFLOP/s",
		Caption: "Operations of the matrix products of a training step a second, beside those of a 1024×1024 matrix product, measured in turns.",
	}
	for _, s := range []struct{ key, name string }{{FLOPsPerSecond, "training step"}, {PeakFLOPsPerSecond, "matrix product"}} {
		series := viz.BarSeries{Name: s.name}
		for _, c := range r.Cases {
			low, high := c.Spread(s.key)
			series.Values = append(series.Values, c.Median(s.key)/1e9)
			series.Low, series.High = append(series.Low, low/1e9), append(series.High, high/1e9)
		}
		b.Series = append(b.Series, series)
	}
	for _, c := range r.Cases {
		b.Groups = append(b.Groups, c.Name)
	}
	return b
}

func (r Report) timings() viz.Timings {
	t := viz.Timings{Name: "components", Title: "Parts of a training step", Note: r.Where()}
	if len(r.Cases) > 0 {
		t.Title += ", " + r.Cases[0].sizes()
	}
	for _, c := range r.Cases {
		calls := slices.Concat(c.Samples[callQ5], c.Samples[callQ25], c.Samples[CallSeconds], c.Samples[callQ75], c.Samples[callQ95])
		slices.Sort(calls) // what is left of the calls of all repetitions
		at := func(p float64) time.Duration {
			return time.Duration(stat.Quantile(p, stat.Empirical, calls, nil) * float64(time.Second))
		}
		t.Functions = append(t.Functions, viz.Timing{Name: c.Name, Q5: at(0.05), Q25: at(0.25), Median: at(0.5), Q75: at(0.75), Q95: at(0.95)})
	}
	return t
}

func (r Report) curves() viz.Curves {
	c := viz.Curves{
		Name: "scale", Title: "How the cost of a step grows", Note: r.Where(), Each: "size that grows while the others stay",
		X: viz.Axis{Label: "size, in parts of the base's"}.OnLogScale(), Y: viz.Axis{Label: "time of all cores for a step, in milliseconds"}.OnLogScale(),
	}
	if base, found := r.base(); found {
		c.Caption = fmt.Sprintf("The base is %s with %s.", base.Name, base.sizes())
	}
	for _, name := range Axes() {
		var line viz.Line
		for _, point := range r.series(name) {
			line.X, line.Y = append(line.X, float64(point.Factor)), append(line.Y, 1e3*point.cost())
		}
		if len(line.X) > 1 {
			c.Series = append(c.Series, viz.Series{Name: name, Runs: []viz.Line{line}})
		}
	}
	return c
}

// base is what the sizes of the suite "scale" begin with.
func (r Report) base() (Case, bool) {
	i := slices.IndexFunc(r.Cases, func(c Case) bool { return c.Factor == 1 })
	if i < 0 {
		return Case{}, false
	}
	return r.Cases[i], true
}
