// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"math"
	"slices"
	"sort"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
	"gonum.org/v1/plot/plotter"

	"metrolab/viz/internal/typeset"
)

// Line is one run: Y over X, which grows strictly. From the first Y that is NaN or infinite on, the run counts as
// diverged: it is drawn up to there, ends in a cross, and is left out of mean and band.
type Line struct {
	X, Y []float64
}

// Series is one arm: the runs of its seeds. X need not be the same for all of them.
type Series struct {
	Name string
	Runs []Line
}

// alive is the part of the run before it diverged.
func (l Line) alive() Line {
	end := slices.IndexFunc(l.Y, func(y float64) bool { return !typeset.Finite(y) })
	if end < 0 {
		return l
	}
	return Line{l.X[:end], l.Y[:end]}
}

func (l Line) xys() plotter.XYs { return xys(l.X, l.Y) }

func (l Line) diverged() bool { return len(l.alive().X) < len(l.X) }

// at interpolates linearly; x must lie within the run.
func (l Line) at(x float64) float64 {
	i := sort.SearchFloat64s(l.X, x)
	if l.X[i] == x {
		return l.Y[i]
	}
	t := (x - l.X[i-1]) / (l.X[i] - l.X[i-1])
	return l.Y[i-1] + t*(l.Y[i]-l.Y[i-1])
}

// summary is the mean of a series and its band, over the stretch that all its runs share.
type summary struct {
	runs, diverged     int
	x, mean, low, high []float64 // low and high are empty with fewer than two runs
}

func (s Series) summarize(band Band) summary {
	var runs []Line
	for _, r := range s.Runs {
		if !r.diverged() {
			runs = append(runs, r)
		}
	}
	m := summary{runs: len(runs), diverged: len(s.Runs) - len(runs), x: sharedX(runs)}
	for _, x := range m.x {
		ys := make([]float64, len(runs))
		for i, r := range runs {
			ys[i] = r.at(x)
		}
		m.mean = append(m.mean, stat.Mean(ys, nil))
		if len(runs) > 1 {
			low, high := band.of(ys)
			m.low, m.high = append(m.low, low), append(m.high, high)
		}
	}
	return m
}

// sharedX are all positions of any run that lie within every run.
func sharedX(runs []Line) []float64 {
	if len(runs) == 0 {
		return nil
	}
	from, to := math.Inf(-1), math.Inf(1)
	var all []float64
	for _, r := range runs {
		from, to = max(from, r.X[0]), min(to, r.X[len(r.X)-1])
		all = append(all, r.X...)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(x float64) bool { return x < from || x > to })
}

// Band is what the shaded band of [Curves] shows.
type Band int

// Bands: the 95 % interval of the mean by Student's t, or the range from the lowest to the highest seed.
const (
	Interval95 Band = iota
	MinMax
)

func (b Band) of(ys []float64) (low, high float64) {
	if b == MinMax {
		return slices.Min(ys), slices.Max(ys)
	}
	n := float64(len(ys))
	half := distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile(0.975) * stat.StdDev(ys, nil) / math.Sqrt(n)
	mean := stat.Mean(ys, nil)
	return mean - half, mean + half
}

func (b Band) String() string {
	if b == MinMax {
		return "range over seeds"
	}
	return "95 % interval"
}
