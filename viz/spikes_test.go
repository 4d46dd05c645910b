// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpikes(t *testing.T) {
	require.Equal(t, []int{201, 450}, func() []int {
		l := demoNoise(600, 200, 201, 450)
		l.Y[201] += 0.5 // the top of the first
		return l.Spikes()
	}())
	require.Empty(t, demoNoise(600).Spikes(), "noise on a falling loss")
	require.Empty(t, demoNoise(9, 5).Spikes(), "too few points to know the noise")
	require.Empty(t, Line{}.Spikes())
	rising := demoNoise(100)
	for i := 60; i < 100; i++ {
		rising.Y[i] = 9 + float64(i) // a plateau is one spike, at its top
	}
	require.Equal(t, []int{99}, rising.Spikes())
	diverge(rising, 70)
	require.Equal(t, []int{69}, rising.Spikes())
}

func TestSpikesAreCountedWhereAsked(t *testing.T) {
	c := LossSpikes(Steps, Series{"run", []Line{demoNoise(600, 200, 450)}})
	d := newCurvesDrawing(c)
	require.Equal(t, "2 spikes", d.note(0))
	require.Contains(t, d.subtitle, "marks a spike")
	c.Spikes = false
	require.Empty(t, newCurvesDrawing(c).note(0))
}

func TestLevelsAreOnTheAxis(t *testing.T) {
	c := demoCurves("a")
	c.Levels = []Level{{0.1, "low"}, {1.2, ""}}
	d := newCurvesDrawing(c)
	require.True(t, d.y.min < 0.1 && d.y.max > 1.2)
	f, err := c.Figure()
	require.NoError(t, err)
	dark, pixel := 0, pixelsOf(t, f)
	for share := 0.0; share < 1; share += 0.002 {
		at := d.at(1800*share, 1.2)
		if lightness(pixel(at)) < 0.5 {
			dark++
		}
	}
	require.Greater(t, dark, 200, "a dashed line across")
	c.Y.Log = true
	c.Levels[0].Y = 0
	_, err = c.Figure()
	require.EqualError(t, err, `viz: curves "outcome": level "low" is at 0, which the axis cannot show`)
	c.Levels[0].Y = math.NaN()
	_, err = c.Figure()
	require.ErrorContains(t, err, "is at NaN")
}

func ExampleLossSpikes() {
	loss := Line{X: make([]float64, 40), Y: make([]float64, 40)}
	for i := range loss.X {
		loss.X[i], loss.Y[i] = float64(i), 3+0.01*float64(i%3)
	}
	loss.Y[30] = 7
	f, err := LossSpikes(Steps, Series{Name: "seed 0", Runs: []Line{loss}}).Figure()
	fmt.Println(f.Name, loss.Spikes(), err)
	fmt.Println(f.Alt)
	// Output:
	// loss_spikes [30] <nil>
	// training loss over training step. Last mean over seeds: seed 0: 3.00 (1 spike).
}

func ExampleBiasProfile() {
	f, err := BiasProfile([]float64{-2, -1, 0, 1, 2}, [][]float64{{0.1, 0.4, 0, -0.2, -0.2}, {-0.3, -0.1, 0.2, 0.4, 0.1}}).Figure()
	fmt.Println(f.Name, err)
	fmt.Println(f.Alt)
	// Output:
	// bias_profile <nil>
	// bias added to the attention logit over distance of the key from the query, in tokens. Ranges: head 1 −0.200 to 0.400; head 2 −0.300 to 0.400.
}
