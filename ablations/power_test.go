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

// pilots are the standard deviations that studies of n pairs find where the true one is 1.
func pilots(n, studies int) []float64 {
	rng := rand.New(rand.NewPCG(11, uint64(n)))
	zeros, sds := outcomes(make([]float64, n)...), make([]float64, studies)
	for i := range sds {
		sds[i] = pair(zeros, draw(rng, n, 0, 1)).SD
	}
	return sds
}

// A difference as small as a study says that it could tell is told by another study of as many pairs as often as is said,
// although each study knows its spread by an estimate alone.
func TestThePowerThatIsPrintedHolds(t *testing.T) {
	for _, n := range []int{3, 5, 10} {
		rng := rand.New(rand.NewPCG(12, uint64(n)))
		size := newSpread(n).detectable(Alpha)
		zeros, decided := outcomes(make([]float64, n)...), 0
		const studies = 4000
		for _, sd := range pilots(n, studies) {
			if pair(zeros, draw(rng, n, size*sd, 1)).P < Alpha {
				decided++
			}
		}
		require.InDelta(t, Power, float64(decided)/studies, 0.03, "n = %d", n)
	}
	c := Compare(outcomes(1, 2, 3), []Outcomes{outcomes(1.5, 1.5, 3.01)}, HigherIsBetter)[0]
	require.InDelta(t, newSpread(3).detectable(Alpha)*c.SD, c.MinDetectable, 1e-12)
}

// Who runs as many pairs as a study says that a difference of a size needs decides on one of that size at least as often as
// is said. It is more often where the least number, a pair more than there were, is more than enough.
func TestTheSeedsThatArePrintedDecide(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation in one goroutine, of which the race detector learns nothing; leave out -short")
	}
	const studies, size = 40, 0.9 // in true standard deviations
	for _, n := range []int{3, 5, 10} {
		spread, sum, followed := newSpread(n), 0.0, 0
		for i := range studies { // quantiles of what a study finds
			sd := math.Sqrt(distuv.ChiSquared{K: float64(n - 1)}.Quantile((float64(i)+0.5)/studies) / float64(n-1))
			seeds := spread.seedsNeeded(size/sd, Alpha)
			if seeds > MaxSeeds {
				continue
			}
			sum += tPower(seeds, size*math.Sqrt(float64(seeds)), Alpha)
			followed++
		}
		require.Greater(t, followed, studies*9/10)
		require.GreaterOrEqual(t, sum/float64(followed), Power-0.03, "n = %d", n)
	}
}

// withOutcomes is a study whose runs have these outcomes, baseline and arm, at seeds from 0 on.
func withOutcomes(base, arm []float64) Results {
	r := made(len(base))
	for i := range base {
		r.Runs[2*i].Result.Metrics = map[string]float64{r.Study.Outcome.Metric: base[i]}
		r.Runs[2*i+1].Result.Metrics = map[string]float64{r.Study.Outcome.Metric: arm[i]}
	}
	return r
}

// made is a finished study of two arms, as small as it goes.
func made(seeds int) Results {
	s := small()
	s.Changes, s.Seeds = s.Changes[:1], nil
	r := Results{Study: s, Arms: []Arm{{Name: BaselineName}, {Name: s.Changes[0].Name}}}
	for seed := range int64(seeds) {
		r.Study.Seeds = append(r.Study.Seeds, seed)
		for _, arm := range r.Arms {
			r.Runs = append(r.Runs, Run{Arm: arm.Name, Seed: seed, ID: fmt.Sprint(arm.Name, seed), Ended: true})
		}
	}
	return r
}

// Nobody who adds a seed until there is a verdict gets one: without any effect, wrong verdicts are as rare as they are said to
// be, in a study that was planned and in one that goes on.
func TestAddingSeedsGivesNoVerdicts(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation in one goroutine, of which the race detector learns nothing; leave out -short")
	}
	const studies, shown = 400, 20
	rng := rand.New(rand.NewPCG(13, 14))
	planned, tempted := 0, 0
	for study := range studies {
		var base, arm []float64
		wrong := false
		for n := 1; n <= 10; n++ {
			base, arm = append(base, 0.7+0.02*rng.NormFloat64()), append(arm, 0.7+0.02*rng.NormFloat64())
			if n < 3 {
				continue
			}
			c := pair(outcomes(base...), outcomes(arm...))
			wrong = wrong || c.P < Alpha
			if n == 3 && wrong {
				planned++
			}
			if study < shown && n > 3 {
				r := withOutcomes(base, arm)
				r.Planned = &Planned{Seeds: []int64{0, 1, 2}}
				require.Equal(t, exploratory, r.Table().Rows[1][6])
			}
		}
		if wrong {
			tempted++
		}
	}
	require.LessOrEqual(t, float64(planned)/studies, Alpha+4*math.Sqrt(Alpha*(1-Alpha)/studies))
	require.Greater(t, float64(tempted)/studies, 0.09, "what looking after each seed would find")
	r := withOutcomes([]float64{.80, .81, .79, .80}, []float64{.70, .71, .72, .70})
	r.Planned = &Planned{Seeds: []int64{0, 1, 2}}
	require.Contains(t, r.Compare()[0].Note, "on the planned seeds 0, 1, 2 alone: worse")
}

// There is no verdict while planned pairs are missing, and none on an arm that is the baseline under another name.
func TestVerdictsThatAreWithheld(t *testing.T) {
	base, arm := []float64{.80, .81, .79}, []float64{.60, .62, .61}
	r := withOutcomes(base, arm)
	require.Equal(t, Worse, r.Compare()[0].Verdict)
	r.Runs[5].Ended = false
	require.Equal(t, "interim: 2 of 3 seeds", r.Compare()[0].Says())

	r = withOutcomes(base, base)
	require.Equal(t, sameOutcome, r.Compare()[0].Says())
	for i := range r.Runs {
		r.Runs[i].ID = fmt.Sprint(r.Runs[i].Seed)
	}
	require.Equal(t, sameRuns, r.Compare()[0].Says())

	r = withOutcomes(base, arm)
	for i := 1; i < 6; i += 2 {
		r.Runs[i].Result.Diverged = "diverged at step 2"
	}
	require.Equal(t, "diverged 3 of 3", r.Compare()[0].Says())
	require.Equal(t, "diverged 3 of 3", r.Table().Rows[1][6])
	figure, err := r.Forest().Figure()
	require.NoError(t, err)
	require.Contains(t, figure.Alt, "diverged 3 of 3")

	r = withOutcomes(base, arm)
	r.Planned = &Planned{Seeds: r.Study.Seeds}
	r.Planned.Hash, err = r.planHash()
	require.NoError(t, err)
	require.Equal(t, Worse, r.Compare()[0].Verdict)
	r.Study.Outcome.Better = LowerIsBetter
	require.Equal(t, altered, r.Compare()[0].Says())
}

// A run that has not measured the outcome is a gap that is named, no zero and no failure, and each row says what its
// difference is to.
func TestGapsAreNamed(t *testing.T) {
	r := withOutcomes([]float64{.150, .100, .110}, []float64{.10, .11, .16})
	r.Runs[5].Result.Metrics = nil
	c := r.Compare()[0]
	require.Empty(t, c.Failed)
	require.Contains(t, c.Note, "the outcome was not measured at seed 2")
	require.Contains(t, c.Note, "over these 2 pairs the baseline's mean is 0.125")
	table := r.Table()
	require.Equal(t, "baseline", table.Columns[2].Name)
	require.InDelta(t, 0.125, table.Rows[1][2], 1e-12)
	require.InDelta(t, 0.12, table.Rows[0][1], 1e-12)
	text, err := table.Text(0)
	require.NoError(t, err)
	require.NotContains(t, text, "0.000 ")
	row := r.RunTable().Rows[5]
	require.Nil(t, row[runLabels])
	require.Equal(t, "has not measured frozen_auc_bigram", r.without(r.Runs[5]))
}

// Where chance decides whether a run leaves the plateau, three pairs give wrong verdicts too often; those carry a caution, and
// from five pairs on there are few enough.
func TestRunsOnAPlateau(t *testing.T) {
	outcome := func(rng *rand.Rand, n int) []float64 {
		vs := make([]float64, n)
		for i := range vs {
			vs[i] = []float64{0.51, 0.80}[rng.IntN(2)] + 0.01*rng.NormFloat64()
		}
		return vs
	}
	rate := func(n int) (all, uncautioned float64) {
		rng := rand.New(rand.NewPCG(15, uint64(n)))
		const studies = 4000
		for range studies { // of three arms, any verdict
			base, ps, cautioned := outcomes(outcome(rng, n)...), make([]float64, 3), make([]bool, 3)
			for i := range ps {
				arm := outcomes(outcome(rng, n)...)
				ps[i], cautioned[i] = pair(base, arm).P, plateauCaution(base, arm, 0.6) != ""
			}
			wrong, plain := false, false
			for i, p := range holm(ps) {
				wrong, plain = wrong || p < Alpha, plain || p < Alpha && !cautioned[i]
			}
			if wrong {
				all += 1. / studies
			}
			if plain {
				uncautioned += 1. / studies
			}
		}
		return all, uncautioned
	}
	all, uncautioned := rate(3)
	require.Greater(t, all, Alpha)
	require.Less(t, uncautioned, Alpha)
	all, _ = rate(enoughForTwoKinds)
	require.LessOrEqual(t, all, Alpha)

	c := withOutcomes([]float64{.80, .81, .79}, []float64{.51, .50, .52}).Compare()[0]
	require.Equal(t, "worse, with caution", c.Says())
	require.Contains(t, c.Note, "caution: 3 of 3 runs of this arm and 0 of 3 of the baseline's stayed near guessing")
	require.Empty(t, withOutcomes([]float64{.80, .81, .79}, []float64{.70, .71, .72}).Compare()[0].Caution)
}
