// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/training"
	"metrolab/viz"
)

func small() Study {
	c := recipes.Micro()
	c.Training.Steps, c.Training.EvalEvery, c.Training.LogEvery, c.Training.CheckpointEvery = 6, 3, 3, 3
	c.Optimizer.WarmupSteps = 2
	return Study{
		Name: "small", Question: "Does it run?", Recipe: "micro", Baseline: c, Seeds: []int64{3, 4},
		Outcome: Outcome{Metric: "frozen_auc_bigram", Label: "RTD AUC", Better: HigherIsBetter},
		Changes: []Change{{"no CLM", []string{"objective.clm_weight=0"}}, {"no bias", []string{"positions.relative=none"}}},
	}
}

// narrow makes the study cheaper: its models are measured at the end alone, and are narrow where that takes the most time.
func (s *Study) narrow() {
	s.Baseline.Main.FFN, s.Baseline.Generator.FFN, s.Baseline.Training.EvalEvery = 4, 4, s.Baseline.Training.Steps
}

func TestArms(t *testing.T) {
	arms, err := small().Arms()
	require.NoError(t, err)
	require.Equal(t, []string{BaselineName, "no CLM", "no bias"}, []string{arms[0].Name, arms[1].Name, arms[2].Name})
	require.Zero(t, arms[1].Config.Objective.CLMWeight)
	require.Equal(t, "none", arms[2].Config.Positions.Relative)
	require.Equal(t, small().Baseline, arms[0].Config)
}

func TestStudiesThatMakeNoSense(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*Study)
		says  string
	}{
		"no seeds":         {func(s *Study) { s.Seeds = nil }, "no seeds"},
		"a seed twice":     {func(s *Study) { s.Seeds = []int64{1, 1} }, "seed 1 twice"},
		"a name twice":     {func(s *Study) { s.Changes[1].Name = "no CLM" }, "a name of its own"},
		"the baseline's":   {func(s *Study) { s.Changes[1].Name = BaselineName }, "a name of its own"},
		"changes nothing":  {func(s *Study) { s.Changes[0].Set = []string{"objective.clm_weight=1"} }, "changes nothing"},
		"two arms alike":   {func(s *Study) { s.Changes[0].Set = s.Changes[1].Set }, `same config as "no CLM"`},
		"unknown field":    {func(s *Study) { s.Changes[0].Set = []string{"objective.clm=1"} }, `arm "no CLM"`},
		"no direction":     {func(s *Study) { s.Outcome = OutcomeOf("gradient_norm") }, "which way is better"},
		"invalid baseline": {func(s *Study) { s.Baseline.Main.Heads = 3 }, `arm "baseline": main.heads`},
	} {
		t.Run(name, func(t *testing.T) {
			s := small()
			c.spoil(&s)
			_, err := s.Arms()
			require.ErrorContains(t, err, c.says)
			require.True(t, usererr.Is(err))
		})
	}
}

func TestAdjust(t *testing.T) {
	s := small()
	require.NoError(t, s.Adjust([]string{"no bias"}, []string{"training.steps=9"}, []int64{7}))
	require.Equal(t, []Change{small().Changes[1]}, s.Changes)
	require.Equal(t, []int64{7}, s.Seeds)
	require.Equal(t, 9, s.Baseline.Training.Steps)
	require.ErrorContains(t, s.Adjust([]string{"no CLM"}, nil, nil), `no change "no CLM"`)
}

// Pairs are complete early: every arm of the first seed comes before the second seed.
func TestPlanGoesSeedBySeed(t *testing.T) {
	jobs, err := small().plan()
	require.NoError(t, err)
	var order []string
	for _, j := range jobs {
		require.Equal(t, j.seed, j.arm.Config.Seed)
		order = append(order, fmt.Sprint(j.arm.Name, " ", j.seed))
	}
	require.Equal(t, []string{"baseline 3", "no CLM 3", "no bias 3", "baseline 4", "no CLM 4", "no bias 4"}, order)
}

// lab trains in a folder of its own, in pure Go.
func lab(t *testing.T) *training.Runner {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text.txt")
	var prose strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&prose, "caller %d waits for %d locks and then holds %d of them.\n\n", i%7, i%5, i%3)
	}
	require.NoError(t, os.WriteFile(path, []byte(prose.String()), 0o600))
	return labOn(t, path)
}

// labOn trains on the text at path.
func labOn(t *testing.T, path string) *training.Runner {
	t.Helper()
	dir := t.TempDir()
	corpus, err := text.Prepare(t.Context(), path, filepath.Join(dir, "cache"), nil)
	require.NoError(t, err)
	be := backendtest.Go(t)
	return &training.Runner{Backend: be, BackendKind: "go", Corpus: corpus, CacheDir: filepath.Join(dir, "cache"), Store: runs.Store{Root: filepath.Join(dir, "runs")}}
}

// A study that is stopped and started again, with one worker or two, ends with the results of one that was not; what
// was trained is not trained again; and the folder it leaves is enough to make its report from the runs.
func TestRunStopsAndGoesOn(t *testing.T) {
	whole, err := small().Run(t.Context(), lab(t), 1, nil)
	require.NoError(t, err)
	require.Equal(t, 6, whole.Ended())

	runner := lab(t)
	ctx, stop := context.WithCancel(t.Context())
	stopped, err := small().Run(ctx, runner, 2, func(e Event) {
		if e.Done >= 2 {
			stop()
		}
	})
	require.ErrorIs(t, err, training.ErrInterrupted)
	for i, run := range stopped.Runs { // those that had not begun, too
		require.Equal(t, whole.Runs[i].Arm, run.Arm)
		require.Equal(t, whole.Runs[i].Seed, run.Seed)
	}
	results, err := small().Run(t.Context(), runner, 2, nil)
	require.NoError(t, err)
	require.Equal(t, whole.Table().Rows, results.Table().Rows)

	dir := filepath.Join(runner.Store.Root, "small")
	require.Contains(t, results.Extra.Summary, "Each run sees 6 steps of 8 rows of 16 tokens.")
	results.Extra.Notes = append(results.Extra.Notes, "made text")
	files, err := results.Write(dir)
	require.NoError(t, err)
	page, err := os.ReadFile(files.Report)
	require.NoError(t, err)
	for _, part := range []string{"no bias", "positions.relative", "made text", "RTD AUC"} {
		require.Contains(t, string(page), part)
	}
	// The folder takes the same study again, and with more seeds, but no other one.
	more := small()
	more.Seeds = []int64{3, 4, 5}
	require.NoError(t, more.Fits(dir))
	require.NoError(t, small().Fits(filepath.Join(dir, "elsewhere")))
	for _, change := range []func(*Study){
		func(s *Study) { s.Seeds = []int64{3} }, func(s *Study) { s.Baseline.Training.Steps = 7 }, func(s *Study) { s.Changes = s.Changes[:1] },
	} {
		other := small()
		change(&other)
		require.ErrorContains(t, other.Fits(dir), "another study")
	}
	loaded, err := Open(dir)
	require.NoError(t, err)
	require.Equal(t, results.Table().Rows, loaded.Table().Rows)
	require.Equal(t, results.Extra, loaded.Extra)
	again, err := loaded.Report()
	require.NoError(t, err)
	html, err := again.HTML()
	require.NoError(t, err)
	require.Equal(t, page, html)

	curves, err := loaded.Curves("frozen_auc_bigram")
	require.NoError(t, err)
	require.Equal(t, "RTD AUC", curves.Title)
	require.Len(t, curves.Series, 3)
	require.Len(t, curves.Series[0].Runs, 2)
	require.Equal(t, []float64{3, 6}, curves.Series[0].Runs[0].X)
	require.Equal(t, []viz.Level{{Y: 0.5, Label: "guessing"}, {Y: loaded.referencesOf("frozen_auc_bigram")[0].Value, Label: "pairs alone"}}, curves.Levels)
	_, err = loaded.Curves("frozen_acu")
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "frozen_auc_bigram")
	require.Len(t, loaded.Forest().Effects, 2)

	trained := 0
	_, err = small().Run(t.Context(), runner, 1, func(e Event) {
		if e.Result == nil {
			trained++
		}
	})
	require.NoError(t, err)
	require.Zero(t, trained, "finished runs were trained again")
}

// Who reads it on a narrow screen sees first which run it is.
func TestRunTableStartsWithTheRunAndItsOutcome(t *testing.T) {
	r := Results{Study: small(), Runs: []Run{
		{Arm: BaselineName, Seed: 3, ID: "a", Ended: true, Result: training.Result{Steps: 6, Metrics: runs.Values{"val_loss": 2, "frozen_auc_unigram": .6, "frozen_auc_bigram": .7}}},
		{Arm: "no CLM", Seed: 3, ID: "b", Ended: true, Result: training.Result{Steps: 2, Diverged: "diverged at step 2"}},
		{Arm: "no bias", Seed: 3},
	}}
	text, err := r.RunTable().CSV()
	require.NoError(t, err)
	require.Equal(t, `arm,seed,frozen_auc_bigram,frozen_auc_unigram,val_loss,steps,seconds,state,run
baseline,3,0.7,0.6,2,6,0,finished,a
no CLM,3,NaN,NaN,NaN,2,0,diverged,b
no bias,3,,,,0,0,not finished,
`, text)
}
