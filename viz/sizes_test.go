// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBestSize(t *testing.T) {
	nan := math.NaN()
	g := GeneratorSizes{Name: "g", Outcome: "AUC", Sizes: []GeneratorSize{
		{Ratio: 1, Outcomes: []float64{0.9, nan}}, {Ratio: 0.25, Outcomes: []float64{0.7, 0.8}}, {Ratio: 0.5, Outcomes: []float64{nan}}}}
	f, err := g.Figure()
	require.NoError(t, err)
	require.Equal(t, "AUC by generator size: 0.25 0.750 [0.115, 1.385]; 0.5 – (1 of 1 without an outcome); 1 0.900 (1 of 2 without an outcome) (best).", f.Alt)
	require.Equal(t, 1.0, g.Sizes[0].Ratio, "the order given stays")
	g.LowerIsBetter = true
	f, err = g.Figure()
	require.NoError(t, err)
	require.Contains(t, f.Alt, "0.25 0.750 [0.115, 1.385] (best)")
}

func TestSizesSayWhereTheCurveHasNotTurned(t *testing.T) {
	g := demoSizes()
	require.NotContains(t, newSizesDrawing(g).says(), "may go on")
	g.Sizes = g.Sizes[2:]
	require.Contains(t, newSizesDrawing(g).says(), "at the smallest size: the curve may go on")
}

func TestRingIsAroundTheBestMean(t *testing.T) {
	g := demoSizes()
	f, err := g.Figure()
	require.NoError(t, err)
	d, pixel := newSizesDrawing(g), pixelsOf(t, f)
	require.Equal(t, 2, d.best)
	at := d.at(g.Sizes[2].Ratio, d.sums[2].mean)
	requireNear(t, seriesColor(1), pixel(at))
	at.X -= 7
	require.Less(t, lightness(pixel(at)), 0.5, "the ring")
}

func TestSizesRefuseWhatMakesNoCurve(t *testing.T) {
	one := []float64{0.5}
	for want, sizes := range map[string][]GeneratorSize{
		`1 sizes; a curve takes two or more`:                {{Ratio: 1, Outcomes: one}},
		`size "a" has the ratio -1; it must be above 0`:     {{Ratio: -1, Label: "a"}, {Ratio: 1, Outcomes: one}},
		`the ratio 1 is there twice; put its runs together`: {{Ratio: 1, Outcomes: one}, {Ratio: 1, Outcomes: one}},
		`nothing to draw: no finite outcome at 2 sizes`:     {{Ratio: 1}, {Ratio: 2, Outcomes: []float64{math.Inf(1)}}},
	} {
		_, err := GeneratorSizes{Name: "g", Sizes: sizes}.Figure()
		require.EqualError(t, err, `viz: generator sizes "g": `+want)
	}
}

func ExampleGeneratorSizes() {
	f, err := GeneratorSizes{Name: "sizes", Title: "How large a generator?", Outcome: "RTD AUC", Sizes: []GeneratorSize{
		{Ratio: 0.25, Label: "1/4", Outcomes: []float64{0.74, 0.76}},
		{Ratio: 0.5, Label: "1/2", Outcomes: []float64{0.78, 0.79}},
		{Ratio: 1, Label: "1", Outcomes: []float64{0.71, 0.75}},
	}}.Figure()
	fmt.Println(f.Name, err)
	fmt.Println(f.Alt)
	// Output:
	// sizes <nil>
	// RTD AUC by generator size: 1/4 0.750 [0.623, 0.877]; 1/2 0.785 [0.721, 0.849] (best); 1 0.730 [0.476, 0.984].
}
