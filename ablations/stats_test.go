// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat/distuv"
)

func outcomes(vs ...float64) Outcomes {
	o := Outcomes{Name: "arm", BySeed: map[int64]float64{}}
	for i, v := range vs {
		o.BySeed[int64(i)] = v
	}
	return o
}

// pair compares one arm by a design without a margin.
func pair(baseline, arm Outcomes) Comparison { return Design{}.pair(baseline, arm) }

// filler are arms without results, which only count in the number of comparisons.
func filler(first Outcomes, arms int) []Outcomes {
	return append([]Outcomes{first}, make([]Outcomes, arms-1)...)
}

// Golden numbers by scipy 1.17.1 (python3 -m venv /tmp/v && /tmp/v/bin/pip install scipy==1.17.1):
//
//	r = stats.ttest_rel(arm, base); r.pvalue; r.confidence_interval(.95)
//	power(n, delta, a): c = stats.t.ppf(1-a/2, n-1); integrate.quad over x of
//	    stats.chi.pdf(x, n-1) * (norm.cdf(delta - c*x/sqrt(n-1)) + norm.cdf(-delta - c*x/sqrt(n-1)))
//	assured(N, d, n, a): integrate.quad over u of the density of sqrt(chi2(n-1)/(n-1)) at u * power(N, d*u*sqrt(N), a)
//	detectable = optimize.brentq(lambda k: assured(n, k, n, .05/arms) - .8, .1, 60) * sd
//	seeds = first N > n with assured(N, abs(mean)/sd, n, .05/arms) >= .8
func TestCompareAgainstSciPy(t *testing.T) {
	for name, c := range map[string]struct {
		base, arm                                []float64
		arms                                     int
		diff, sd, low, high, p, detectable, need float64
	}{
		"three seeds, small": {[]float64{.805, .757, .747}, []float64{.812, .751, .760}, 1,
			0.0046666666666666705, 0.009712534856222319, -0.019460607446364762, 0.0287939407796981, 0.4928335107984471, 0.04918133201529975, 88},
		"three seeds, clear": {[]float64{.805, .757, .747}, []float64{.513, .507, .521}, 1,
			-0.256, 0.03340658617698016, -0.3389865605430737, -0.17301343945692632, 0.005628392205686931, math.NaN(), 0},
		"five seeds of three arms": {[]float64{2.41, 2.47, 2.38, 2.52, 2.44}, []float64{2.40, 2.43, 2.39, 2.45, 2.41}, 3,
			-0.027999999999999935, 0.030331501776206186, -0.06566153376696868, 0.009661533766968815, 0.10793882229227696, 0.08769235107742049, 23},
		"eight seeds of two arms": {[]float64{1, 2, 3, 4, 5, 6, 7, 8}, []float64{1.1, 1.9, 3.2, 4.3, 4.8, 6.1, 7.3, 8.2}, 2,
			0.11249999999999982, 0.18077215335491087, -0.03862930225276026, 0.26362930225275993, 0.12176388027567929, 0.2757549129165581, 35},
	} {
		t.Run(name, func(t *testing.T) {
			got := Compare(outcomes(c.base...), filler(outcomes(c.arm...), c.arms), HigherIsBetter)[0]
			require.Equal(t, len(c.base), got.Pairs)
			require.InDelta(t, c.diff, got.Diff, 1e-12)
			require.InDelta(t, c.sd, got.SD, 1e-12)
			require.InDelta(t, c.low, got.Low, 1e-9)
			require.InDelta(t, c.high, got.High, 1e-9)
			require.InDelta(t, c.p, got.P, 1e-9)
			require.InDelta(t, min(1, float64(c.arms)*c.p), got.HolmP, 1e-9, "the smallest p of m is multiplied by m")
			require.InDelta(t, got.Diff, got.Mean-got.BaselineMean, 1e-12)
			if math.IsNaN(c.detectable) {
				require.True(t, math.IsNaN(got.MinDetectable))
			} else {
				require.InEpsilon(t, c.detectable, got.MinDetectable, 2e-3)
			}
			require.EqualValues(t, c.need, got.SeedsNeeded)
		})
	}
}

// Power by the quadrature above; all but the second also by scipy's nct.sf + nct.cdf, which fails there.
func TestPowerAgainstSciPy(t *testing.T) {
	for _, c := range []struct {
		n                  int
		delta, alpha, want float64
	}{
		{2, 3, 0.05, 0.1861320616065875}, {2, 60, 0.05 / 3, 0.8837283376147808}, {3, 5, 0.05, 0.719180536391498},
		{3, 5, 0.05 / 8, 0.14958544086511544}, {10, 2.5, 0.01, 0.3012760062554085}, {100, 3, 0.05, 0.8439471027373894}, {5, 0, 0.05, 0.05},
	} {
		require.InDelta(t, c.want, tPower(c.n, c.delta, c.alpha), 1e-8, "%+v", c)
		if c.delta < 30 {
			critical := -distuv.StudentsT{Sigma: 1, Nu: float64(c.n - 1)}.Quantile(c.alpha / 2)
			gonum := distuv.NoncentralT{Nu: float64(c.n - 1), Mu: c.delta}
			require.InDelta(t, 1-gonum.CDF(critical)+gonum.CDF(-critical), tPower(c.n, c.delta, c.alpha), 1e-8, "%+v", c)
		}
	}
}

// By R's definition of p.adjust(p, "holm"), worked by hand: 3·0.01, then max(0.03, 2·0.02), then max(0.04, 0.5).
func TestHolm(t *testing.T) {
	require.InDeltaSlice(t, []float64{0.04, 0.5, 0.03}, holm([]float64{0.02, 0.5, 0.01}), 1e-15)
	require.InDeltaSlice(t, []float64{1, 1}, holm([]float64{0.9, 0.7}), 1e-15, "capped at 1, monotone")
	require.Empty(t, holm(nil))
	withGap := holm([]float64{math.NaN(), 0.01})
	require.True(t, math.IsNaN(withGap[0]))
	require.InDelta(t, 0.02, withGap[1], 1e-15, "an arm without a test still counts")
}

func TestVerdictFollowsDirection(t *testing.T) {
	base, lower := outcomes(.805, .757, .747), outcomes(.513, .507, .521)
	require.Equal(t, Worse, Compare(base, []Outcomes{lower}, HigherIsBetter)[0].Verdict)
	require.Equal(t, Better, Compare(base, []Outcomes{lower}, LowerIsBetter)[0].Verdict)
}

func TestMissingRunsArePairedAndCounted(t *testing.T) {
	base := Outcomes{BySeed: map[int64]float64{1: 0.7, 2: 0.8, 3: 0.9, 9: 0.1}}
	arm := Outcomes{Name: "a", BySeed: map[int64]float64{2: 0.82, 3: 0.93, 4: 0.5}}
	c := Compare(base, []Outcomes{arm}, HigherIsBetter)[0]
	require.Equal(t, 2, c.Pairs)
	require.Equal(t, 3, c.Unpaired, "baseline 1 and 9, arm 4")
	require.InDelta(t, 0.85, c.BaselineMean, 1e-12)
	require.InDelta(t, 0.025, c.Diff, 1e-12)
}

func TestDegenerateOutcomes(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	clear, base := []float64{1.90, 1.92, 1.89, 1.91}, []float64{1, 1, 1, 1}
	for name, c := range map[string]struct {
		base, arm []float64
		verdict   Verdict
		pairs     int
		p         float64
		note      string
	}{
		"nothing ran":               {nil, nil, Undecided, 0, nan, "no seed has a finite outcome on both sides"},
		"one pair":                  {base[:1], []float64{2}, Undecided, 1, nan, "one pair gives no interval"},
		"equal":                     {[]float64{1, 2, 3}, []float64{1, 2, 3}, Undecided, 3, 1, "equal to the baseline on all 3 pairs"},
		"equal up to rounding":      {[]float64{.1, .2, .3}, []float64{.1 + 1e-17, .2, .30000000000000004}, Undecided, 3, 1, "equal to the baseline on all 3 pairs"},
		"two equal shifts":          {[]float64{1, 2}, []float64{2, 3}, Undecided, 2, 0.5, "the same difference on all 2 pairs"},
		"equal shifts but rounding": {[]float64{.1, .7, .4}, []float64{.3, .9, .6}, Undecided, 3, 0.25, "the same difference on all 3 pairs"},
		"six equal shifts":          {[]float64{1, 2, 3, 4, 5, 6}, []float64{2, 3, 4, 5, 6, 7}, Better, 6, 1. / 32, "exact sign-flip test"},
		"arm failed":                {append(base, 1), append(clear, nan), Undecided, 4, nan, "failed at seed 4; better on the seeds that survived, which is no verdict"},
		"arm failed twice":          {append(base, 1, 1), append(clear, nan, -inf), Undecided, 4, nan, "failed at seeds 4, 5"},
		"failed and worse":          {append([]float64{3, 3, 3, 3}, 3), append(clear, inf), Worse, 4, nan, "failed at seed 4"},
		"baseline failed, better":   {append(base, nan), append(clear, 2), Better, 4, nan, "baseline failed at seed 4"},
		"baseline failed, worse":    {[]float64{3, 3, 3, 3, nan}, append(clear, 2), Undecided, 4, nan, "worse on the seeds that survived"},
		"all failed":                {[]float64{1, 2}, []float64{nan, nan}, None, 0, nan, "failed at seeds 0, 1"},
		"baseline failed always":    {[]float64{nan, inf}, []float64{1, 2}, None, 0, nan, "baseline failed at seeds 0, 1"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Compare(outcomes(c.base...), []Outcomes{outcomes(c.arm...)}, HigherIsBetter)[0]
			require.Equal(t, c.verdict, got.Verdict)
			require.Equal(t, c.pairs, got.Pairs)
			require.Contains(t, got.Note, c.note)
			if !math.IsNaN(c.p) {
				require.InDelta(t, c.p, got.P, 1e-15)
				require.True(t, math.IsNaN(got.Low) && math.IsNaN(got.MinDetectable), "sd 0 gives no interval")
			}
			if c.pairs < 2 {
				require.True(t, math.IsNaN(got.P) && math.IsNaN(got.HolmP) && math.IsNaN(got.Low))
			}
		})
	}
}

func TestNoiseAskForManySeeds(t *testing.T) {
	c := Compare(outcomes(1, 2, 3), []Outcomes{outcomes(1.5, 1.5, 3.01)}, HigherIsBetter)[0]
	require.Equal(t, MaxSeeds+1, c.SeedsNeeded)
	require.Contains(t, c.Note, "needs more than 100 seeds")
}

func draw(rng *rand.Rand, n int, mean, sd float64) Outcomes {
	vs := make([]float64, n)
	for i := range vs {
		vs[i] = mean + sd*rng.NormFloat64()
	}
	return outcomes(vs...)
}

func TestSwappingSidesMirrorsEverything(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	mirrored := map[Verdict]Verdict{Better: Worse, Worse: Better, Undecided: Undecided}
	for range 50 {
		n := 2 + rng.IntN(6)
		a, b := draw(rng, n, 0, 1), draw(rng, n, 2, 1)
		if rng.IntN(3) == 0 {
			a.BySeed[int64(n)], b.BySeed[int64(n)] = math.NaN(), 1
		}
		x, y := Compare(a, []Outcomes{b}, HigherIsBetter)[0], Compare(b, []Outcomes{a}, HigherIsBetter)[0]
		require.InDelta(t, x.Diff, -y.Diff, 1e-12)
		require.InDelta(t, x.Low, -y.High, 1e-9)
		require.InDelta(t, x.P, y.P, 1e-12)
		require.Equal(t, x.SeedsNeeded, y.SeedsNeeded)
		require.Equal(t, mirrored[x.Verdict], y.Verdict)
	}
}

func TestShiftAndScale(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	moved := func(o Outcomes, scale, shift float64) Outcomes {
		m := outcomes()
		for s, v := range o.BySeed {
			m.BySeed[s] = scale*v + shift
		}
		return m
	}
	for range 50 {
		a, b := draw(rng, 5, 0, 1), draw(rng, 5, 1, 1)
		x := Compare(a, []Outcomes{b}, HigherIsBetter)[0]
		y := Compare(moved(a, 8, 100), []Outcomes{moved(b, 8, 100)}, HigherIsBetter)[0]
		require.InDelta(t, x.P, y.P, 1e-9)
		require.InDelta(t, 8*x.High, y.High, 1e-9)
		require.Equal(t, x.Verdict, y.Verdict)
		require.Equal(t, x.SeedsNeeded, y.SeedsNeeded)
	}
}

func TestMorePairsDetectLess(t *testing.T) {
	for n := 3; n < 12; n++ {
		size := func(n int) float64 { return newSpread(n).detectable(0.05) }
		require.Less(t, size(n), size(n-1))
	}
}

// Of 2,000 studies the interval should hold the truth in 95 % ± 4 standard errors (0.49 %), and with nothing to find, a
// study of four arms that share a baseline should give any verdict in at most 5 % + 4 standard errors.
func TestCoverageAndFalseVerdicts(t *testing.T) {
	const studies, slack = 2000, 4 * 0.0049
	for _, n := range []int{2, 3, 5, 10} {
		rng := rand.New(rand.NewPCG(5, uint64(n)))
		covered, wrong := 0, 0
		for range studies {
			if c := pair(draw(rng, n, 0.7, 0.1), draw(rng, n, 0.75, 0.05)); c.Low <= 0.05 && 0.05 <= c.High {
				covered++
			}
			base, ps := draw(rng, n, 0, 1), make([]float64, 4)
			for i := range ps {
				ps[i] = pair(base, draw(rng, n, 0, 1)).P
			}
			for _, p := range holm(ps) {
				if p < Alpha {
					wrong++
					break
				}
			}
		}
		require.InDelta(t, 0.95, float64(covered)/studies, slack, "n = %d", n)
		require.LessOrEqual(t, float64(wrong)/studies, Alpha+slack, "n = %d", n)
	}
}

func ExampleCompare() {
	baseline := Outcomes{Name: "METRO", BySeed: map[int64]float64{1: 0.805, 2: 0.757, 3: 0.747}}
	arms := []Outcomes{
		{Name: "no relative positions", BySeed: map[int64]float64{1: 0.513, 2: 0.507, 3: 0.521}},
		{Name: "RTD weight 10", BySeed: map[int64]float64{1: 0.812, 2: 0.751, 3: 0.760}},
	}
	for _, c := range Compare(baseline, arms, HigherIsBetter) {
		fmt.Printf("%s: %+.3f [%+.3f, %+.3f], p %.3f: %s\n", c.Name, c.Diff, c.Low, c.High, c.HolmP, c.Verdict)
		if c.Note != "" {
			fmt.Println(c.Note)
		}
	}
	// Output:
	// no relative positions: -0.256 [-0.339, -0.173], p 0.011: worse
	// RTD weight 10: +0.005 [-0.019, +0.029], p 0.493: undecided
	// 3 pairs could tell a difference of 0.07; one of this size needs more than 100 seeds
}
