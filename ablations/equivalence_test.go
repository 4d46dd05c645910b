// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Golden numbers by scipy 1.17.1 and statsmodels 0.15.0, printed by scripts/parity/verdicts.py.
func TestEquivalenceAgainstStatsmodels(t *testing.T) {
	five := outcomes(.801, .812, .795, .807, .799)
	eight, other := outcomes(1, 2, 3, 4, 5, 6, 7, 8), outcomes(1.1, 1.9, 3.2, 4.3, 4.8, 6.1, 7.3, 8.2)
	for name, c := range map[string]struct {
		base, arm            Outcomes
		margin, p, low, high float64
		verdict              Verdict
		seeds                int // if there is no difference
	}{
		"three seeds": {outcomes(.805, .757, .747), outcomes(.812, .751, .760), .02,
			0.05588192445465604, -0.011707253546828184, 0.021040586880161513, Undecided, 8},
		"five seeds, close": {five, outcomes(.803, .811, .797, .806, .801), .01,
			0.00011708675257807952, -0.0007665810508877246, 0.002366581050887725, Equivalent, 0},
		"five seeds, significant within the margin": {five, outcomes(.805, .815, .7995, .810, .8035), .01,
			2.6323138685022025e-05, 0.0030770555810833303, 0.004522944418916587, Equivalent, 0},
		"eight seeds, beyond the margin": {eight, other, .1,
			0.574752314212184, -0.008587459226299679, 0.23358745922629928, Undecided, 41},
		"eight seeds, wide margin": {eight, other, .3,
			0.010954430076421304, -0.008587459226299679, 0.23358745922629928, Equivalent, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got := Design{Better: HigherIsBetter, Margin: c.margin}.Compare(c.base, []Outcomes{c.arm})[0]
			require.InEpsilon(t, c.p, got.EquivalenceP, 1e-7)
			require.InDelta(t, c.low, got.Low90, 1e-9)
			require.InDelta(t, c.high, got.High90, 1e-9)
			require.Equal(t, c.verdict, got.Verdict)
			require.Equal(t, c.seeds, got.EquivalenceSeeds)
			require.Equal(t, c.verdict == Equivalent, -c.margin < got.Low90 && got.High90 < c.margin, "the tests are the 90 %% interval within the margin")
		})
	}
}

// By the integral of scripts/parity/verdicts.py.
func TestPowerOfEquivalenceAgainstSciPy(t *testing.T) {
	for _, c := range []struct {
		n                           int
		delta, epsilon, alpha, want float64
	}{
		{3, 0, 5, .05, 0.856948751031937}, {5, .5, 4, .05, 0.8630646030445321}, {10, 0, 3.2, .05, 0.8072217567783965},
		{20, 1, 3, .05 / 3, 0.3526031523100018}, {2, 0, 20, .05, 0.9975246023904208}, {100, 0, 3, .05, 0.8179750074688172},
	} {
		require.InDelta(t, c.want, tostPower(c.n, c.delta, c.epsilon, c.alpha), 1e-6, "%+v", c)
	}
}

// Of an arm that is significant and within the margin the verdict is "equivalent", which is what was asked for; failed runs of
// either side take it away; and what cannot be known is not said.
func TestEquivalentBeatsBetter(t *testing.T) {
	base, arm := outcomes(.801, .812, .795, .807, .799), outcomes(.805, .815, .7995, .810, .8035)
	within := Design{Better: HigherIsBetter, Margin: .01}
	c := within.Compare(base, []Outcomes{arm})[0]
	require.Equal(t, "equivalent within ±0.01", c.Says())
	require.Contains(t, c.Note, "the difference is there (p 0.00036), and smaller than the margin")
	require.Equal(t, Better, Compare(base, []Outcomes{arm}, HigherIsBetter)[0].Verdict)

	base.BySeed[9], arm.BySeed[9] = .8, math.NaN()
	c = within.Compare(base, []Outcomes{arm})[0]
	require.Equal(t, Undecided, c.Verdict)
	require.Contains(t, c.Note, "equivalent on the seeds that survived, which is no verdict")

	c = within.Compare(outcomes(1, 2, 3, 4, 5), []Outcomes{outcomes(1, 2, 3, 4, 5)})[0]
	require.Equal(t, 1./32, c.EquivalenceP, "five equal differences within the margin")
	require.Equal(t, Equivalent, c.Verdict)
	c = within.Compare(outcomes(1), []Outcomes{outcomes(1)})[0]
	require.True(t, math.IsNaN(c.EquivalenceP))
	require.Equal(t, "undecided", c.Says())
}

func TestUndecidedSaysHowManyMore(t *testing.T) {
	base, arm := outcomes(.805, .757, .747), outcomes(.812, .751, .760)
	require.Equal(t, "undecided (about 85 more pairs)", Compare(base, []Outcomes{arm}, HigherIsBetter)[0].Says())
	c := Design{Better: HigherIsBetter, Margin: .02}.Compare(base, []Outcomes{arm})[0]
	require.Greater(t, c.MorePairs, 5)
	require.Less(t, c.MorePairs, 85, "equivalence is nearer")
	require.Contains(t, c.Note, "equivalence within ±0.02 needs about 8 seeds, if there is no difference at all")
}

// At most one of an arm's two hypotheses is true: worked by hand. Sorted p: 0.01 (of 2 arms), 0.02 (2 arms), 0.03 (1 arm, the first
// having lost both), 0.9.
func TestHolmOfTwo(t *testing.T) {
	difference, equivalence := holmOfTwo([]float64{0.01, 0.9}, []float64{0.02, 0.03})
	require.InDeltaSlice(t, []float64{0.02, 0.9}, difference, 1e-15)
	require.InDeltaSlice(t, []float64{0.04, 0.04}, equivalence, 1e-15, "monotone")
	difference, equivalence = holmOfTwo([]float64{0.01, math.NaN()}, []float64{0.5, math.NaN()})
	require.InDelta(t, 0.02, difference[0], 1e-15)
	require.InDelta(t, 1, equivalence[0], 1e-15)
	require.True(t, math.IsNaN(difference[1]) && math.IsNaN(equivalence[1]))
}

// With differences as large as the margin, or none, a study of three arms gives any false verdict in at most 5 %.
func TestFalseVerdictsWithinAMargin(t *testing.T) {
	const studies, n, margin = 10000, 6, 1.
	design, zeros := Design{Better: HigherIsBetter, Margin: margin}, outcomes(make([]float64, n)...)
	rng := rand.New(rand.NewPCG(21, 22))
	for _, truth := range [][]float64{{0, 0, 0}, {margin, margin, -margin}, {0, margin, -3 * margin}} {
		wrong := 0
		for range studies {
			var cs []Comparison
			for _, mean := range truth {
				cs = append(cs, design.pair(zeros, draw(rng, n, mean, .5)))
			}
			design.adjust(cs)
			for i, c := range cs {
				if truth[i] == 0 && (c.HolmP < Alpha) || truth[i] != 0 && c.HolmEquivP < Alpha {
					wrong++
					break
				}
			}
		}
		t.Logf("%v: %.2f %% of studies", truth, 100*float64(wrong)/studies)
		require.LessOrEqual(t, float64(wrong)/studies, Alpha+3*math.Sqrt(Alpha*(1-Alpha)/studies), "%v", truth)
	}
}
