// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/viz/display"
)

func TestInteractiveForms(t *testing.T) {
	diverged := demoCurves("a", "b")
	for i := range 3 {
		diverge(diverged.Series[1].Runs[i], 4)
	}
	for name, c := range map[string]struct {
		picture Pointable
		rows    int
	}{
		"curves":      {demoCurves("a", "b"), 62},
		"diverged":    {diverged, 31 + 3*4},
		"long":        {LossSpikes(Steps, Series{"run", []Line{demoNoise(5000)}}), 301},
		"forest":      {Forest{Name: "f", Title: "forest", Outcome: "AUC", Effects: demoEffects(7)}, 7},
		"bars":        {demoBars(), 12},
		"heat map":    {demoAttention(2), 2 * 13 * 13},
		"one panel":   {BiasMap(demoBuckets(32), demoBias(4, 32)), 4 * 32},
		"ROC":         {ROC{Name: "r", Title: "ROC", Series: demoDetections("a")}, 196},
		"calibration": {Calibration{Name: "c", Title: "cal", Series: demoDetections("a")}, 10},
		"waits":       {KaplanMeier{Name: "w", Title: "waits", Event: "ended", X: Steps, Series: []Waits{{"a", []float64{3, 5, 5, 8}, []bool{false, false, true, true}}}}, 4},
		"sizes":       {demoSizes(), 5},
		"timings":     {demoTimings(), 4},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := Interactive(c.picture).Bundle()
			require.NoError(t, err)
			require.NotEmpty(t, b.Forms[display.PNG], "the PNG stays")
			spec := b.Forms[display.VegaLite]
			require.NotContains(t, string(spec), "://", "nothing to load")
			var chart struct {
				Data struct{ Values []map[string]any }
			}
			require.NoError(t, json.Unmarshal(spec, &chart))
			require.Equal(t, c.rows, len(chart.Data.Values))
			require.Less(t, len(spec), 100_000)
			_, again, err := c.picture.pointable()
			require.NoError(t, err)
			require.Equal(t, spec, again, "the same numbers give the same bytes")
		})
	}
}

func TestInteractiveRefuses(t *testing.T) {
	_, err := Interactive(demoSquares()).Bundle()
	require.EqualError(t, err, `viz: heat map "bias_by_position": 9216 cells are too many to point at, 8192 are not; show it without Interactive, or show less`)
	_, err = Interactive(Curves{Name: "c"}).Bundle()
	require.EqualError(t, err, `viz: curves "c": nothing to draw: 0 series, 0 runs, no finite value`)
}

func TestSampleKeepsEndsAndSpikes(t *testing.T) {
	for _, n := range []int{0, 1, 2, 150, 151, 300, 301, 100_000} {
		l := demoNoise(n)
		if n > 200 {
			l.Y[n/2+7] += 5
		}
		places := sample(l.Y)
		require.LessOrEqual(t, len(places), 302)
		require.Equal(t, n > 0, len(places) > 0)
		if n > 0 {
			require.Equal(t, []int{0, n - 1}, []int{places[0], places[len(places)-1]})
			require.True(t, slices.IsSorted(places))
		}
		if n <= 150 {
			require.Len(t, places, n)
		}
		if n > 200 {
			require.Contains(t, places, n/2+7)
		}
	}
}

func TestBriefAndApart(t *testing.T) {
	require.Nil(t, brief(math.NaN()))
	require.Equal(t, 0.333333, brief(1.0/3))
	require.Equal(t, []string{"a", "b", "a (2)"}, apart(3, func(i int) string { return "aba"[i : i+1] }))
}

func ExampleInteractive() {
	b, err := Interactive(demoCurves("baseline")).Bundle()
	for mime := range b.Forms {
		if mime != display.Text && mime != display.PNG {
			fmt.Println(mime, err)
		}
	}
	// Output:
	// application/vnd.vegalite.v5+json <nil>
}
