// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/metrics"
	"metrolab/metro/runs"
	"metrolab/metro/training"
	"metrolab/viz"
)

// logOf is a log of evaluations, one every ten steps, with a record between them.
func logOf(key string, values ...float64) (rows []runs.Row) {
	for i, v := range values {
		rows = append(rows, runs.Row{Step: 10*i + 5, Values: runs.Values{"loss": 1}}, runs.Row{Step: 10 * (i + 1), Values: runs.Values{key: v}})
	}
	return rows
}

func TestOutcomesAreReadOffTheLog(t *testing.T) {
	c := small().Baseline
	c.Training.Steps, c.Training.BatchSize, c.Data.SeqLen = 40, 8, 16
	flops, err := c.FLOPs(c.Data.VocabSize)
	require.NoError(t, err)
	up, down := logOf("frozen_auc_unigram", .5, .6, .7, .9), logOf("val_loss", 4, 3, 2, 1)
	for name, want := range map[string]read{
		"last2:frozen_auc_unigram":         {value: .8, at: []float64{.75, 1}},
		"last4:frozen_auc_unigram":         {value: .675, at: []float64{.25, .5, .75, 1}},
		"steps_to:frozen_auc_unigram=0.65": {value: 30},
		"steps_to:val_loss=3":              {value: 20},
		"tokens_to:frozen_auc_unigram=0.7": {value: 30 * 8 * 16},
		"flops_to:val_loss=0.5":            {value: 40 * flops.Total(), censored: true},
	} {
		how, err := readingOf(name)
		require.NoError(t, err, name)
		rows := up
		if how.metric == "val_loss" {
			rows = down
		}
		got, ok, err := how.of(rows, 40, func(steps float64) (float64, error) { return Study{}.spent(how.resource, "", c, steps) })
		require.NoError(t, err)
		require.True(t, ok, name)
		require.InDelta(t, want.value, got.value, 1e-9, name)
		require.InDeltaSlice(t, want.at, got.at, 1e-9, name)
		require.Equal(t, want.censored, got.censored, name)
	}
	how, err := readingOf("last5:frozen_auc_unigram")
	require.NoError(t, err)
	_, ok, err := how.of(up, 40, nil)
	require.NoError(t, err)
	require.False(t, ok, "there are four evaluations")

	require.Equal(t, HigherIsBetter, OutcomeOf("last2:frozen_auc_unigram").Better)
	require.Equal(t, "RTD AUC on the frozen set, mean of the last 2 evaluations", OutcomeOf("last2:frozen_auc_unigram").Label)
	require.Equal(t, LowerIsBetter, OutcomeOf("tokens_to:frozen_auc_unigram=0.7").Better)
	require.Equal(t, training.FrozenBigram, heldOutOf("tokens_to:frozen_auc_bigram=0.7"))
	for name, says := range map[string]string{
		"mean:frozen_auc_unigram":        `"mean" is no way to read a metric`,
		"last0:frozen_auc_unigram":       `"last0" is no way`,
		"tokens_to:frozen_auc_unigram":   `"tokens_to" is no way`,
		"tokens_to:frozen_auc_unigram=x": `"x" is not a number`,
		"tokens_to:gradient_norm=1":      "which way gradient_norm is better is not known",
		"last3:frozen_auc_bigram":        `6 steps with training.eval_every=3 give 2 evaluations`,
	} {
		s := small()
		s.Outcome = Outcome{Metric: name, Better: HigherIsBetter}
		_, err := s.Arms()
		require.ErrorContains(t, err, says)
		require.True(t, usererr.Is(err))
	}
}

// The picture of a time to a target has each run that ended: those that reached it, those that never did and, to the end of their
// budget, those that diverged.
func TestTimesToTarget(t *testing.T) {
	s := small()
	s.Outcome = OutcomeOf("tokens_to:frozen_auc_bigram=0.7")
	arms, err := s.Arms()
	require.NoError(t, err)
	r := Results{Study: s, Arms: arms, Runs: []Run{{Arm: BaselineName, Seed: 3, Ended: true}, {Arm: BaselineName, Seed: 4, Ended: true}, {Arm: "no CLM", Seed: 3, Ended: true}, {Arm: "no CLM", Seed: 4}}}
	r.Runs[0].Result.Metrics = runs.Values{s.Outcome.Metric: 384}
	r.Runs[1].Result.Metrics, r.Runs[1].read = runs.Values{s.Outcome.Metric: 768}, read{censored: true}
	r.Runs[2].Result.Diverged = "diverged at step 2"
	k := r.TimesToTarget()
	require.Equal(t, []viz.Waits{
		{Name: BaselineName, Until: []float64{384, 768}, Censored: []bool{false, true}},
		{Name: "no CLM", Until: []float64{6 * 8 * 16}, Censored: []bool{true}},
	}, k.Series)
	require.Equal(t, viz.Tokens, k.X)
	text, err := r.Table().Text(0)
	require.NoError(t, err)
	require.Contains(t, text, " 576 ", "the mean of 384 and 768 tokens, without decimals")
	figures, _, err := r.figures()
	require.NoError(t, err)
	require.Equal(t, "kaplan_meier", figures[1].Name)
	require.Contains(t, figures[1].Alt, "reached 0.7, over training tokens: baseline 1 of 2, half by 384; no CLM 0 of 1.")
	r.Study.Outcome = OutcomeOf("frozen_auc_bigram")
	require.Empty(t, r.TimesToTarget().Series)
}

// An A/A study: what it measures is noise, its scores have costs beside them, and whoever never reaches a target is censored.
func TestNoiseOfAStudyOfEqualArms(t *testing.T) {
	s := small()
	s.Outcome = OutcomeOf("last2:val_loss")
	s.Changes = []Change{{"as good as equal", []string{"optimizer.beta1=0.9001"}}} // rounding alone need not reach a loss in six steps
	runner := lab(t)
	board := NewBoard(s)
	r, err := s.Run(t.Context(), runner, 2, board.Update)
	require.NoError(t, err)
	require.Equal(t, meanOf(r.outcomes(BaselineName, nil)), board.Results.Table().Rows[0][1], "a board knows the outcome at once")

	list, err := NoiseOf([]Results{r})
	require.NoError(t, err)
	require.Len(t, list, 8, "four frozen sets, each at the last evaluation and as a mean of two: there is no third")
	list, err = NoiseOf([]Results{r}, "last2:val_loss")
	require.NoError(t, err)
	n := list[0]
	require.Equal(t, 2, n.Pairs)
	require.Equal(t, r.Compare()[0].SD, n.SD)
	require.Len(t, n.differences, 2)
	require.InDelta(t, r.Compare()[0].Diff, (n.differences[0]+n.differences[1])/2, 1e-12)
	require.Less(t, n.Low, n.SD)
	require.False(t, n.Wall)
	require.Positive(t, n.Minutes)
	text, err := NoiseTable(list).Text(0)
	require.NoError(t, err)
	require.Contains(t, text, "n for 0.02")
	floors, err := r.FloorsOf(list, "metro ablate noise")
	require.NoError(t, err)
	require.Equal(t, Floor{Recipe: "micro", Metric: "last2:val_loss", Steps: 6, SD: n.SD, Differences: n.differences, Seeds: s.Seeds, Change: s.Changes[0].Set,
		Command: "metro ablate noise", Commit: floors[0].Commit, Machine: floors[0].Machine, Backend: floors[0].Backend, Date: floors[0].Date}, floors[0])

	costs := r.CostTable()
	require.Equal(t, []string{"arm", s.Outcome.Label, "runs", "steps", "Mtokens", "TFLOP", "minutes", "processor minutes", "memory, MB"}, names(costs.Columns))
	require.InDelta(t, 6*8*16e-6, costs.Rows[1][4], 1e-12)
	csv, err := r.RunTable().CSV()
	require.NoError(t, err)
	require.Contains(t, csv, "steps,seconds,tokens,flops,processor_seconds,memory,state,run")

	r.Study.Outcome = OutcomeOf("tokens_to:frozen_auc_bigram=0.999")
	r = r.Reload()
	c := r.Compare()[0]
	require.Equal(t, 1.0, c.P)
	require.Contains(t, c.Note, "2 of 2 runs of this arm and 2 of 2 of the baseline's never reached the target")
	csv, err = r.RunTable().CSV()
	require.NoError(t, err)
	require.Contains(t, csv, ",true,finished,")
	_, err = r.Report()
	require.NoError(t, err)

	_, err = NoiseOf([]Results{{Study: small(), Arms: make([]Arm, 3)}})
	require.ErrorContains(t, err, "has 2 changes")
}

// The number of pairs is what the power asks for, and grows as the size falls.
func TestPairsForASize(t *testing.T) {
	n := Noise{Pairs: 6, SD: 0.02}
	for _, size := range Sizes {
		pairs := n.PairsFor(size)
		require.GreaterOrEqual(t, newSpread(6).power(pairs, size/n.SD, Alpha), Power)
		require.Less(t, newSpread(6).power(pairs-1, size/n.SD, Alpha), Power)
	}
	require.Equal(t, MaxSeeds+1, n.PairsFor(1e-4))
	require.Zero(t, Noise{Pairs: 6}.PairsFor(0.1))
	require.InDelta(t, 0.1, Noise{SD: 0.02, learned: 0.2}.Relative(), 1e-12)
}

func TestSignedRank(t *testing.T) {
	require.InDelta(t, 2./64, signedRank([]float64{1, 2, 3, 4, 5, 6}), 1e-15)
	require.InDelta(t, 2*24./128, signedRank([]float64{1, -2, 3, 4, 5, -6, 7}), 1e-15, "24 sets of ranks up to 7 sum up to 8 or less")
	require.Equal(t, 1.0, signedRank([]float64{0, 0}))
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 { // ties and zeros too
		diff := make([]float64, 7)
		for i := range diff {
			diff[i] = float64(rng.IntN(9) - 4)
		}
		require.InDelta(t, bySigns(diff), signedRank(diff), 1e-12, "%v", diff)
	}
}

// bySigns is the p of the signed-rank test by going through all signs.
func bySigns(differences []float64) float64 {
	var size, rank []float64
	var own []bool
	for _, d := range differences {
		if d != 0 {
			size, own = append(size, max(d, -d)), append(own, d > 0)
		}
	}
	middle := 0.0
	for _, a := range size {
		below, level := 0.0, 0.0
		for _, b := range size {
			if b < a {
				below++
			} else if b == a {
				level++
			}
		}
		rank = append(rank, below+(level+1)/2)
		middle += (below + (level+1)/2) / 2
	}
	far := func(up func(i int) bool) float64 {
		sum := 0.0
		for i, r := range rank {
			if up(i) {
				sum += r
			}
		}
		return max(sum-middle, middle-sum)
	}
	found, as := far(func(i int) bool { return own[i] }), 0
	for signs := range 1 << len(rank) {
		if far(func(i int) bool { return signs>>i&1 == 1 }) >= found {
			as++
		}
	}
	return float64(as) / float64(int(1)<<len(rank))
}

// Who gives up early is level with who reached the target later than that: nobody knows which of the two is quicker.
func TestCensoredPairs(t *testing.T) {
	for _, c := range []struct {
		a, b         float64
		lost, missed bool // a or b is censored
		want         float64
	}{
		{30, 40, false, false, -10},
		{30, 40, false, true, -10}, {40, 30, true, false, 10},
		{30, 40, true, false, 0}, {40, 30, false, true, 0},
		{30, 40, true, true, 0},
	} {
		a, b := restrict(c.a, c.lost, c.b, c.missed)
		require.Equal(t, c.want, a-b, fmt.Sprint(c))
	}
	base := Outcomes{BySeed: map[int64]float64{}, Censored: map[int64]bool{}}
	arm := Outcomes{Name: "slow", BySeed: map[int64]float64{}, Censored: map[int64]bool{}}
	for seed := range int64(7) {
		base.BySeed[seed], arm.BySeed[seed], arm.Censored[seed] = float64(50+seed), 100, true
	}
	got := Compare(base, []Outcomes{arm}, metrics.LowerIsBetter)[0]
	require.Equal(t, Worse, got.Verdict)
	require.InDelta(t, 2./128, got.P, 1e-12)
	require.False(t, finite(got.Low))
	require.Contains(t, got.Note, "7 of 7 runs of this arm and 0 of 7 of the baseline's never reached the target")
}
