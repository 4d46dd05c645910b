// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestROCAreaIsTheShareOfOrderedPairs compares with the definition: the share of pairs of a replaced and an original token
// in which the replaced one has the higher probability, ties for a half.
func TestROCAreaIsTheShareOfOrderedPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		d := Detection{Probability: []float64{0.5, 0.5}, Replaced: []bool{true, false}}
		for range rng.IntN(40) {
			d.Probability = append(d.Probability, float64(rng.IntN(8))/8)
			d.Replaced = append(d.Replaced, rng.IntN(3) == 0)
		}
		pairs, ordered := 0.0, 0.0
		for i, p := range d.Probability {
			for k, q := range d.Probability {
				if d.Replaced[i] && !d.Replaced[k] {
					pairs++
					switch {
					case p > q:
						ordered++
					case p == q:
						ordered += 0.5
					}
				}
			}
		}
		x, y, area := d.roc()
		require.InDelta(t, ordered/pairs, area, 1e-12)
		require.Equal(t, []float64{0, 0, 1, 1}, []float64{x[0], y[0], x[len(x)-1], y[len(y)-1]})
		for i := 1; i < len(x); i++ {
			require.True(t, x[i] >= x[i-1] && y[i] >= y[i-1] && (x[i] > x[i-1] || y[i] > y[i-1]))
		}
		require.Equal(t, 1.0, Line{x, y}.stepAt(1))
	}
}

func TestCalibrationBins(t *testing.T) {
	d := Detection{Probability: []float64{0, 0.05, 0.5, 0.54, 1}, Replaced: []bool{false, true, true, false, true}}
	bins := d.bins(10)
	require.Equal(t, bin{tokens: 2, replaced: 1, sum: 0.05}, bins[0])
	require.Equal(t, 2, bins[5].tokens)
	require.Equal(t, bin{tokens: 1, replaced: 1, sum: 1}, bins[9], "1 falls in the last bin")
	// By hand: 2/5 · |0.025 − 0.5| + 2/5 · |0.52 − 0.5| + 1/5 · 0.
	require.InDelta(t, 0.4*0.475+0.4*0.02, calibrationError(bins), 1e-12)
}

// The ends solve (share − p)² = z² p (1 − p) / n, which is what the interval is defined by.
func TestWilsonInterval(t *testing.T) {
	const z = 1.959964
	for _, b := range []bin{{tokens: 10, replaced: 1}, {tokens: 10, replaced: 0}, {tokens: 7, replaced: 7}, {tokens: 4000, replaced: 123}} {
		low, high := b.wilson()
		for _, p := range []float64{low, high} {
			require.InDelta(t, z*z*p*(1-p)/float64(b.tokens), (b.was()-p)*(b.was()-p), 1e-12)
		}
		require.True(t, low >= -1e-12 && low <= b.was() && b.was() <= high && high <= 1+1e-12)
	}
}

func TestDetectionsAreChecked(t *testing.T) {
	for want, d := range map[string]Detection{
		`series "s" has 1 probabilities for 2 tokens`:                                                {Probability: []float64{1}, Replaced: []bool{true, false}},
		`series "s" has 3.5 at token 1, which is no probability; give the sigmoid of the RTD logits`: {Probability: []float64{1, 3.5}, Replaced: []bool{true, false}},
		`series "s" has NaN at token 0, which is no probability; give the sigmoid of the RTD logits`: {Probability: []float64{math.NaN()}, Replaced: []bool{true}},
		`series "s" has 2 replaced tokens of 2; it takes both kinds`:                                 {Probability: []float64{1, 0}, Replaced: []bool{true, true}},
		`series "s" has 0 replaced tokens of 0; it takes both kinds`:                                 {},
	} {
		d.Name = "s"
		_, err := ROC{Name: "r", Series: []Detection{d}}.Figure()
		require.EqualError(t, err, `viz: ROC "r": `+want)
		_, err = Calibration{Name: "r", Series: []Detection{d}}.Figure()
		require.EqualError(t, err, `viz: calibration "r": `+want)
	}
	_, err := ROC{Name: "r"}.Figure()
	require.EqualError(t, err, `viz: ROC "r": nothing to draw: no series`)
	_, err = Calibration{Name: "r", Bins: 51, Series: demoDetections("a")}.Figure()
	require.EqualError(t, err, `viz: calibration "r": 51 bins; take 2 to 50`)
}

func TestSquarePanels(t *testing.T) {
	d := newROCDrawing(ROC{Series: demoDetections(longNames...)})
	require.InDelta(t, float64(d.panel.Size().Y), float64(d.panel.Size().X), 1e-9, "as high as wide")
	require.Less(t, d.panel.Max.X+keysWidth(d.keys), pageWidth)
	require.Equal(t, d.xTicks, d.yTicks)
}

func ExampleROC() {
	f, err := ROC{Name: "roc", Title: "Finding replaced tokens", Series: []Detection{
		{Name: "METRO", Probability: []float64{0.9, 0.8, 0.3, 0.2, 0.1}, Replaced: []bool{true, false, true, false, false}},
	}}.Figure()
	fmt.Println(f.Name, err)
	fmt.Println(f.Alt)
	// Output:
	// roc <nil>
	// Area under the ROC curve: METRO 0.833 (2 of 5 tokens replaced).
}

func ExampleCalibration() {
	f, err := Calibration{Name: "calibration", Title: "May the probability be believed?", Bins: 2, Series: []Detection{
		{Name: "METRO", Probability: []float64{0.9, 0.8, 0.3, 0.2, 0.1}, Replaced: []bool{true, false, true, false, false}},
	}}.Figure()
	fmt.Println(f.Name, err)
	fmt.Println(f.Alt)
	// Output:
	// calibration <nil>
	// Probability said→share replaced: METRO, error 0.220: 0.20→0.33, 0.85→0.50.
}
