// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat/distuv"

	"metrolab/metro/training"
)

// firstVerdict is the number of pairs after which who looks each time has one, and 0 for none within so many.
func firstVerdict(margin float64, most int, difference func() float64) int {
	w := (&Comparison{Margin: margin}).follow(nil, 0)
	for n := 1; n <= most; n++ {
		if w.add(difference(), 0); w.decided(Alpha) {
			return n
		}
	}
	return 0
}

// aaPairs are differences of the A/A studies that ship, of either sign: which side is the baseline is a name.
func aaPairs(t *testing.T) (all []float64) {
	for _, f := range Floors() {
		if f.Recipe == "tiny" && f.Metric == "frozen_auc_unigram" {
			all = append(all, f.Differences...)
		}
	}
	require.NotEmpty(t, all)
	return all
}

// Who looks after each of 100 pairs finds a difference where there is none in at most 5 % of studies, whatever the distribution
// is; the t test, looked at as often, finds one in a third.
func TestLookingAfterEveryPair(t *testing.T) {
	const studies, most = 10000, 100
	rng := rand.New(rand.NewPCG(31, 32))
	plateau := func() float64 { return []float64{0.51, 0.80}[rng.IntN(2)] + 0.01*rng.NormFloat64() }
	heavy := distuv.StudentsT{Sigma: 1, Nu: 3, Src: rng}
	aa := aaPairs(t)
	for name, difference := range map[string]func() float64{
		"normal":  rng.NormFloat64,
		"t3":      heavy.Rand,
		"plateau": func() float64 { return plateau() - plateau() },
		"A/A":     func() float64 { return aa[rng.IntN(len(aa))] * float64(2*rng.IntN(2)-1) },
		"rounded": func() float64 { return math.Round(rng.NormFloat64()) },
	} {
		wrong := 0
		for range studies {
			if firstVerdict(0, most, difference) > 0 {
				wrong++
			}
		}
		t.Logf("%s: %.2f %% false verdicts", name, 100*float64(wrong)/studies)
		require.LessOrEqual(t, float64(wrong)/studies, 0.055, name)
	}
}

// A true difference of one standard deviation is decided within 20 pairs in more than 80 % of studies; a large one after six.
func TestPairsUntilDecided(t *testing.T) {
	const studies = 4000
	rng := rand.New(rand.NewPCG(33, 34))
	decided := func(size float64, within int) float64 {
		n := 0
		for range studies {
			if firstVerdict(0, within, func() float64 { return size + rng.NormFloat64() }) > 0 {
				n++
			}
		}
		return float64(n) / studies
	}
	part := decided(1, 20)
	t.Logf("of 1 σ, within 20 pairs: %.3f", part)
	require.GreaterOrEqual(t, part, 0.80)
	require.GreaterOrEqual(t, decided(8, 6), 0.99)
	require.Equal(t, 6, fewestPairs(Alpha/2))
	require.Zero(t, decided(8, 5))
}

// A difference of the margin is called equivalent in at most 5 % of studies, however often one looks, and no difference in most.
func TestEquivalenceUntilDecided(t *testing.T) {
	const studies, most = 4000, 30
	rng := rand.New(rand.NewPCG(35, 36))
	equivalent := func(truth, margin float64) float64 {
		n := 0
		for range studies {
			w := (&Comparison{Margin: margin}).follow(nil, 0)
			for range most {
				w.add(truth+rng.NormFloat64(), 0)
			}
			if max(w.p(2), w.p(3)) < Alpha {
				n++
			}
		}
		return float64(n) / studies
	}
	require.LessOrEqual(t, equivalent(1, 1), 0.055)
	require.LessOrEqual(t, equivalent(-1.5, 1), 0.055)
	require.GreaterOrEqual(t, equivalent(0, 1.25), 0.80)
}

// The confidence sequence holds the true difference at all times together, is the test turned round, and moves with the data.
func TestConfidenceSequence(t *testing.T) {
	const studies, most = 300, 24
	rng := rand.New(rand.NewPCG(37, 38))
	missed := 0
	design := Design{Better: HigherIsBetter, Margin: 1}
	for range most {
		design.Seeds = append(design.Seeds, int64(len(design.Seeds)))
	}
	zeros := outcomes(make([]float64, most)...)
	for range studies {
		arm := draw(rng, most, 0.7, 1)
		c := design.pair(zeros, arm)
		if !(c.Low <= 0.7 && 0.7 <= c.High) {
			missed++
		}
		require.LessOrEqual(t, c.Low, c.Diff)
		require.GreaterOrEqual(t, c.High, c.Diff)
		require.LessOrEqual(t, c.Low, c.Low90)
		if math.Abs(c.P-Alpha) > 1e-6 && c.Low < c.Diff && c.Diff < c.High {
			require.Equal(t, c.P < Alpha, c.Low > 0 || c.High < 0, "%+v", c)
		}
		if math.Abs(c.EquivalenceP-Alpha) > 1e-6 && c.Low90 < c.Diff && c.Diff < c.High90 { // else widened to hold the mean
			require.Equal(t, c.EquivalenceP < Alpha, c.Low90 > -1 && c.High90 < 1, "%+v", c)
		}
	}
	require.LessOrEqual(t, float64(missed)/studies, Alpha+3*math.Sqrt(Alpha*(1-Alpha)/studies))

	arm := draw(rng, most, 1, 1)
	moved := outcomes()
	for seed, v := range arm.BySeed {
		moved.BySeed[seed] = 4*v + 8
	}
	a, b := design.pair(zeros, arm), design.pair(zeros, moved)
	require.InDelta(t, 4*a.Low+8, b.Low, 1e-6)
	require.InDelta(t, 4*a.High+8, b.High, 1e-6)
}

// sequentialStudy is a study until decided of two arms, with the outcomes of its first seeds, and a run for each that is planned.
func sequentialStudy(most int, base, first, second []float64) Results {
	s := small()
	s.UntilDecided, s.Seeds = true, nil
	r := Results{Study: s, Arms: []Arm{{Name: BaselineName}, {Name: s.Changes[0].Name}, {Name: s.Changes[1].Name}}}
	for seed := range int64(most) {
		r.Study.Seeds = append(r.Study.Seeds, seed)
		for i, values := range [][]float64{base, first, second} {
			run := Run{Arm: r.Arms[i].Name, Seed: seed, ID: r.Arms[i].Name + string(rune('a'+seed))}
			if int(seed) < len(values) {
				run.Ended, run.Result.Metrics = true, map[string]float64{s.Outcome.Metric: values[seed]}
			}
			r.Runs = append(r.Runs, run)
		}
	}
	return r
}

// named are runs by arm and seed.
func named(r Results, places []int) (names []string) {
	for _, i := range places {
		names = append(names, r.Runs[i].Arm+" "+string(rune('0'+r.Runs[i].Seed)))
	}
	return names
}

// The next seed goes first to all, then to the arm that is nearest to a verdict; a decided arm takes none.
func TestWhichSeedIsNext(t *testing.T) {
	const most = 9
	spread := []float64{.01, .02, .015, .03, .005, .012, .022, .018, .009}
	at := func(mean float64, n int) (vs []float64) {
		for i := range n {
			vs = append(vs, mean+spread[i])
		}
		return vs
	}
	base := slices.Repeat([]float64{.5}, most)
	require.Equal(t, 7, sequentialStudy(most, nil, nil, nil).Study.leastSeeds())
	r := sequentialStudy(most, nil, nil, nil)
	require.Equal(t, []string{"baseline 0", "no CLM 0", "no bias 0"}, named(r, r.next(1)), "every arm gets the fewest that can decide")
	r = sequentialStudy(most, base[:1], at(.6, 1), nil)
	require.Equal(t, []string{"no bias 0"}, named(r, r.next(2)))

	// Both have the fewest pairs; the second is as good as decided, the first is noise.
	noise := []float64{.48, .52, .49, .51, .47, .53, .5, .51, .49}
	nearly := append(at(.51, 3), .497, .53, .52, .515)
	r = sequentialStudy(most, base[:7], noise[:7], nearly)
	require.Equal(t, []string{"baseline 7", "no bias 7"}, named(r, r.next(2)))
	require.Equal(t, []string{"baseline 7", "no bias 7", "no CLM 7"}, named(r, r.next(3)))

	r = sequentialStudy(most, base[:7], noise[:7], at(.6, 7))
	c := r.Compare()[1]
	require.Equal(t, Better, c.Verdict, "%+v", c)
	require.Equal(t, []string{"baseline 7", "no CLM 7"}, named(r, r.next(2)), "a decided arm takes no seed")
	require.False(t, r.Complete())
	require.Regexp(t, `^undecided \(`, r.Compare()[0].Says())

	r = sequentialStudy(most, base, noise, at(.6, 7))
	require.True(t, r.Complete(), "no seeds are left")

	// A pair after a gap does not count yet.
	r = sequentialStudy(most, base[:8], noise[:8], at(.6, 8))
	r.Runs[5].Ended = false // the second arm at seed 1
	require.Equal(t, 1, r.Compare()[1].Pairs)

	// An arm whose runs all fail is given up after three.
	r = sequentialStudy(most, base[:3], noise[:3], at(.6, 3))
	for i := range 3 {
		r.Runs[3*i+2].Result.Diverged = "diverged at step 2"
	}
	require.Equal(t, "diverged 3 of 3", r.Compare()[1].Says())
	require.Equal(t, []string{"baseline 3", "no CLM 3"}, named(r, r.next(1)))
}

// A study until decided is planned before its first run, may be stopped and go on, ends with what it would have ended with, and
// when it is decided trains nothing more. It takes no folder of a study with a fixed number of seeds, nor the other way round.
func TestRunUntilDecided(t *testing.T) {
	s := quick()
	require.NoError(t, s.UntilDecidedWithin(6))
	require.Equal(t, []int64{3, 4, 5, 6, 7, 8}, s.Seeds)
	runner := lab(t)
	dir := filepath.Join(runner.Store.Root, s.Name)
	ctx, stop := context.WithCancel(t.Context())
	_, err := s.Run(ctx, runner, 1, func(e Event) {
		plan, err := ReadPlan(dir)
		require.NoError(t, err)
		require.True(t, plan.Until)
		require.Equal(t, s.Seeds, plan.Planned.Seeds)
		if e.Done == 3 {
			stop()
		}
	})
	require.ErrorIs(t, err, training.ErrInterrupted)
	stopped, err := Open(dir)
	require.NoError(t, err)
	require.False(t, stopped.Complete())
	require.NotContains(t, stopped.Compare()[0].Says(), "interim")
	require.LessOrEqual(t, len(stopped.RunTable().Rows), 4, "runs that have not begun are none")

	var order []string
	results, err := s.Run(t.Context(), runner, 1, func(e Event) {
		if e.Result != nil && !e.Found {
			order = append(order, fmt.Sprint(e.Arm, " ", e.Seed))
		}
	})
	require.NoError(t, err)
	require.Equal(t, "no CLM 4", order[0])
	require.True(t, results.Complete())
	require.Equal(t, 6, results.Compare()[0].Pairs)
	_, err = s.Run(t.Context(), runner, 1, func(e Event) { require.True(t, e.Found, "%+v", e) })
	require.NoError(t, err)
	_, err = results.Write(dir)
	require.NoError(t, err)
	again, err := Open(dir)
	require.NoError(t, err)
	require.Equal(t, results.Table().Rows, again.Table().Rows)
	require.Empty(t, again.exploratory())

	fixed := s
	fixed.UntilDecided = false
	require.ErrorContains(t, fixed.Fits(dir), "planned to go on until it is decided")
	shuffled := s
	shuffled.Seeds = []int64{4, 3, 5, 6, 7, 8}
	require.ErrorContains(t, shuffled.Fits(dir), "in the order of the seeds")
	more := s
	require.NoError(t, more.UntilDecidedWithin(8))
	require.NoError(t, more.Fits(dir), "more seeds are no fault of a test that may be looked at at any time")
	_, err = s.RunShare(t.Context(), runner, Share{Jobs: 1, Shard: Shard{1, 2}}, nil)
	require.ErrorContains(t, err, "share it with --claim")

	other := lab(t)
	planned := quick()
	_, err = planned.Run(t.Context(), other, 1, nil)
	require.NoError(t, err)
	require.ErrorContains(t, s.Fits(filepath.Join(other.Store.Root, s.Name)), "to be looked at once")
	few := quick()
	require.ErrorContains(t, few.UntilDecidedWithin(5), "no verdict comes before 6")
}
