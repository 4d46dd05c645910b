// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot/vg"
)

// By scipy 1.17.1: stats.t.interval(.95, 2, [1,2,4].mean(), stats.sem([1,2,4])) = (-1.461250, 6.127916).
func TestBandOfThreeSeeds(t *testing.T) {
	low, high := Interval95.of([]float64{1, 2, 4})
	require.InDelta(t, -1.4612497, low, 1e-6)
	require.InDelta(t, 6.1279164, high, 1e-6)
	low, high = MinMax.of([]float64{1, 4, 2})
	require.Equal(t, []float64{1, 4}, []float64{low, high})
}

func TestMeanOverSeedsWithStepsOfTheirOwn(t *testing.T) {
	nan := math.NaN()
	s := Series{Name: "a", Runs: []Line{
		{X: []float64{0, 2, 4}, Y: []float64{0, 2, 4}},
		{X: []float64{1, 3, 9}, Y: []float64{3, 5, 11}},
		{X: []float64{0, 1, 2}, Y: []float64{7, nan, 8}},
	}}
	m := s.summarize(MinMax)
	require.Equal(t, 2, m.runs)
	require.Equal(t, 1, m.diverged)
	require.Equal(t, []float64{1, 2, 3, 4}, m.x, "only where both have a value")
	require.InDeltaSlice(t, []float64{2, 3, 4, 5}, m.mean, 1e-12, "between points as on a straight line")
	require.InDeltaSlice(t, []float64{1, 2, 3, 4}, m.low, 1e-12)
	one := Series{Runs: s.Runs[:1]}.summarize(Interval95)
	require.Empty(t, one.low, "one seed has no band")
	require.Empty(t, Series{}.summarize(Interval95).x)
}

func TestKeysNeverOverlap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		keys := make([]key, 1+rng.IntN(9))
		for i := range keys {
			keys[i] = key{series: i, lines: make([]string, rng.IntN(4)), end: vg.Point{Y: vg.Length(200 * rng.Float64())}}
			if rng.IntN(4) == 0 {
				keys[i].end.Y = vg.Length(math.Inf(-1))
			}
		}
		bottom, top := vg.Length(10), 10+keysHeight(keys)+vg.Length(100*rng.Float64())
		spread(keys, bottom, top)
		for i, k := range keys {
			require.GreaterOrEqual(t, k.y-k.height()/2, bottom-1e-6)
			require.LessOrEqual(t, k.y+k.height()/2, top+1e-6)
			if i > 0 {
				above := keys[i-1]
				require.LessOrEqual(t, k.y+k.height()/2, above.y-above.height()/2+1e-6)
				require.GreaterOrEqual(t, above.end.Y, k.end.Y, "in the order of the curves' ends")
			}
		}
	}
}

func TestCurvesRefuseWhatCannotBeDrawn(t *testing.T) {
	nan := math.NaN()
	good := Line{X: []float64{0, 1}, Y: []float64{1, 2}}
	one := func(l Line) Curves { return Curves{Name: "c", Series: []Series{{Name: "a", Runs: []Line{good, l}}}} }
	log := func(c Curves) Curves { c.X.Log = true; return c }
	logY := func(c Curves) Curves { c.Y.Log = true; return c }
	for want, c := range map[string]Curves{
		`viz: figure name "../c" cannot be a file name; use letters, digits, '.', '_' and '-'`:                                    {Name: "../c"},
		`viz: curves "c": nothing to draw: 0 series, 0 runs, no finite value`:                                                     {Name: "c"},
		`viz: curves "c": nothing to draw: 1 series, 1 runs, no finite value`:                                                     {Name: "c", Series: []Series{{Runs: []Line{{X: []float64{1}, Y: []float64{nan}}}}}},
		`viz: curves "c": series "a", run 2 of 2 has 2 x values but 1 y values`:                                                   one(Line{X: []float64{0, 1}, Y: []float64{1}}),
		`viz: curves "c": series "a", run 2 of 2 has no points; leave it out`:                                                     one(Line{}),
		`viz: curves "c": series "a", run 2 of 2 has x = NaN at point 1`:                                                          one(Line{X: []float64{0, nan}, Y: []float64{1, 2}}),
		`viz: curves "c": series "a", run 2 of 2 has x = 0 after 0; x must grow`:                                                  one(Line{X: []float64{0, 0}, Y: []float64{1, 2}}),
		`viz: curves "c": series "a", run 1 of 2 has x = 0, which a logarithmic axis cannot show`:                                 log(one(good)),
		`viz: curves "c": series "a", run 2 of 2 has y = -1, which a logarithmic axis cannot show`:                                logY(one(Line{X: []float64{1}, Y: []float64{-1}})),
		`viz: curves "c": series "a", run 2 of 2 has y = 1e+200 at point 0, beyond what can be drawn; mark a diverged run by NaN`: one(Line{X: []float64{1}, Y: []float64{1e200}}),
	} {
		_, err := c.Figure()
		require.EqualError(t, err, want)
	}
}

func TestCurvesTakeOddRuns(t *testing.T) {
	c := demoCurves(longNames...)
	diverge(c.Series[1].Runs[0], 9)
	for i := range 3 {
		diverge(c.Series[2].Runs[i], i)
	}
	c.Series[3].Runs = c.Series[3].Runs[:1]
	c.Series[4].Runs = nil
	c.Series[5].Runs = []Line{{X: []float64{7}, Y: []float64{0.6}}}
	c.Caption = "A caption."
	f, err := c.Figure()
	require.NoError(t, err)
	require.Contains(t, f.Alt, "A caption. RTD AUC, higher is better over training step.")
	for _, want := range []string{"(1 of 3 diverged)", "no mean (3 of 3 diverged)", "(1 seed)", "no mean (no runs)"} {
		require.Contains(t, f.Alt, want)
	}
	c.X.Log, c.Y.Log = true, true
	for _, s := range c.Series {
		for _, r := range s.Runs {
			r.X[0] = max(1, r.X[0])
		}
	}
	_, err = c.Figure()
	require.NoError(t, err)
}

func ExampleCurves() {
	f, err := Curves{Name: "loss", Title: "Training loss", X: Axis{Label: "step", Log: true}, Y: Axis{Label: "loss"}, Series: []Series{
		{Name: "baseline", Runs: []Line{
			{X: []float64{1, 10, 100}, Y: []float64{5.7, 4.1, 2.4}},
			{X: []float64{1, 10, 100}, Y: []float64{5.8, 4.4, 2.5}},
		}},
		{Name: "no warm-up", Runs: []Line{{X: []float64{1, 10, 100}, Y: []float64{5.7, 9.3, math.NaN()}}}},
	}}.Figure()
	fmt.Println(f.Width, f.Height, err)
	fmt.Println(f.Alt)
	// Output:
	// 720 400 <nil>
	// loss over step. Last mean over seeds: baseline: 2.45; no warm-up: no mean (1 of 1 diverged).
}

func BenchmarkCurves(b *testing.B) {
	c := demoCurves(longNames...)
	for b.Loop() {
		f, err := c.Figure()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(f.PNG)), "PNG-bytes")
	}
}
