// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"math"
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	spikeWindow = 50     // points before one that it is compared with
	spikeLeast  = 10     // of them, before which nothing counts as a spike
	spikeHeight = 6      // robust standard deviations
	robustSigma = 1.4826 // standard deviation of a normal distribution over its median absolute deviation
)

// Spikes returns the indices into X at the tops of the run's spikes. A point belongs to a spike if it lies more than six
// robust standard deviations (1.4826 times the median absolute deviation) above the median of the 50 points before it,
// those of spikes left out; neighbors are one spike. The first ten points belong to none.
func (l Line) Spikes() []int {
	var calm []float64
	var tops []int
	rising := false
	for i, y := range l.alive().Y {
		if !aboveNoise(y, calm) {
			calm, rising = append(calm, y), false
			if len(calm) > spikeWindow {
				calm = calm[1:]
			}
			continue
		}
		if n := len(tops); rising && y > l.Y[tops[n-1]] {
			tops[n-1] = i
		} else if !rising {
			tops = append(tops, i)
		}
		rising = true
	}
	return tops
}

func aboveNoise(y float64, calm []float64) bool {
	if len(calm) < spikeLeast {
		return false
	}
	middle := median(calm)
	away := make([]float64, len(calm))
	for i, v := range calm {
		away[i] = math.Abs(v - middle)
	}
	return y-middle > spikeHeight*robustSigma*median(away)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// spikes counts those of all runs.
func (s Series) spikes() int {
	n := 0
	for _, r := range s.Runs {
		n += len(r.Spikes())
	}
	return n
}

func (d *curvesDrawing) drawSpikes(p page) {
	for i, s := range d.Series {
		for _, r := range s.Runs {
			for _, k := range r.Spikes() {
				at := d.at(r.X[k], r.Y[k])
				at.Y += 5
				p.DrawGlyphNoClip(draw.GlyphStyle{Color: paper, Radius: 4, Shape: invertedPyramid{}}, vg.Point{X: at.X, Y: at.Y + 0.5})
				p.DrawGlyphNoClip(draw.GlyphStyle{Color: seriesColor(i), Radius: 3, Shape: invertedPyramid{}}, at)
			}
		}
	}
}
