// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat"

	"metrolab/layers"
)

// draw makes a variable of the given shape.
func draw(t *testing.T, init layers.Initializer, dims ...int) []float64 {
	t.Helper()
	store := float64Store()
	build(t, store, func(scope *model.Scope, x *Node) { layers.Param(scope, x, "w", init, dims...) })
	return flat(store.GetVariable("/w").MustValue())
}

// The initializers' spread, on enough values to tell. That of N(0, 1) cut off at ±2 is √(1 − 4φ(2)/(2Φ(2)−1)).
func TestInitializers(t *testing.T) {
	const in, out = 64, 300
	cut := math.Sqrt(1 - 4*math.Exp(-2)/math.Sqrt(2*math.Pi)/math.Erf(math.Sqrt2))
	require.InDelta(t, 0.8796, cut, 1e-4)
	for _, test := range []struct {
		name      string
		init      layers.Initializer
		mean, std float64
	}{
		{"zeros", layers.InitZeros, 0, 0},
		{"ones", layers.InitOnes, 1, 0},
		{"normal", layers.InitNormal(0.02), 0, 0.02},
		{"truncated normal", layers.InitTruncatedNormal(0.02), 0, 0.02 * cut},
		{"fan-in", layers.InitFanIn, 0, 1 / math.Sqrt(in)},
		{"T5 dense", layers.InitT5Dense, 0, 1 / math.Sqrt(2*out)},
		{"T5 embedding", layers.InitT5Embedding(out), 0, 1 / math.Sqrt(2*out)},
		{"scaled", layers.InitScaled(layers.InitNormal(0.02), 0.25), 0, 0.005},
	} {
		mean, std := stat.MeanStdDev(draw(t, test.init, in, out), nil)
		require.InDelta(t, test.mean, mean, 4*test.std/math.Sqrt(in*out), test.name)
		require.InDelta(t, test.std, std, 0.03*test.std, test.name)
	}
}

// The shape of the two whose tails are cut: 1e5 draws in 20 cells of equal probability, by the distribution function.
func TestInitializerDistributions(t *testing.T) {
	const n, cells, limit = 100_000, 20, 43.82 // χ² of 19 degrees of freedom, at 1 in 1000
	for _, test := range []struct {
		name  string
		init  layers.Initializer
		bound float64 // of absolute values
		cdf   func(v float64) float64
	}{
		{"truncated normal", layers.InitTruncatedNormal(0.02), 0.04, func(v float64) float64 {
			return (1 + math.Erf(v/0.02/math.Sqrt2)/math.Erf(math.Sqrt2)) / 2
		}},
		{"T5 embedding", layers.InitT5Embedding(96), 0.125, func(v float64) float64 { return (1 + v/0.125) / 2 }},
	} {
		var counts [cells]float64
		largest := 0.0
		for _, v := range draw(t, test.init, n) {
			largest = max(largest, math.Abs(v))
			counts[int(cells*test.cdf(v))]++
		}
		require.LessOrEqual(t, largest, test.bound, test.name)
		require.Greater(t, largest, 0.99*test.bound, test.name)
		chi2 := 0.0
		for _, c := range counts {
			chi2 += (c - n/cells) * (c - n/cells) / (n / cells)
		}
		require.Less(t, chi2, limit, test.name)
	}
}

// Scaled values are those of the initializer, times the factor, whatever it draws.
func TestInitScaled(t *testing.T) {
	for _, init := range []layers.Initializer{layers.InitOnes, layers.InitFanIn, layers.InitTruncatedNormal(1)} {
		plain, scaled := draw(t, init, 5, 7), draw(t, layers.InitScaled(init, 1/math.Sqrt(24)), 5, 7)
		for i := range plain {
			require.Equal(t, plain[i]*(1/math.Sqrt(24)), scaled[i])
		}
	}
}
