// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// grownFrom are the settings of an arm of small that begins with a model of half its width.
func grownFrom(dir string, more ...string) []string {
	return append([]string{"training.init_from=" + dir, "growth.width=fpi", "embeddings.output_scale=0.5"}, more...)
}

// halfWidth is the baseline of a study, half as wide and with as many steps.
func halfWidth(t *testing.T, s Study, steps int) metro.Config {
	t.Helper()
	c := s.Baseline
	require.NoError(t, c.SetAll("main.width_ratio=0.5", "generator.width_ratio=1"))
	c.Training.Steps, c.Seed = steps, 1000
	return c
}

// A growth is an arm. What it grew from is charged in columns of their own, that which grew from that again included, and left
// out of the others. What is read of the study's folder later says the same, without the source.
func TestGrowthIsAnArm(t *testing.T) {
	s, runner := small(), lab(t)
	s.Seeds, s.Name = s.Seeds[:1], "growth"
	c := halfWidth(t, s, 4)
	source, err := runner.Run(t.Context(), "micro", c, nil)
	require.NoError(t, err)
	c.Training.InitFrom, c.Seed = source.Run.Dir, 1001
	further, err := runner.Run(t.Context(), "micro", c, nil)
	require.NoError(t, err)
	s.Changes = []Change{
		{"grown", grownFrom(source.Run.Dir)}, {"with noise", grownFrom(source.Run.Dir, "growth.noise=0.1")}, {"further", grownFrom(further.Run.Dir)},
	}
	s.Outcome = OutcomeOf("saved_steps:frozen_auc_bigram")
	results, err := s.Run(t.Context(), runner, 2, nil)
	require.NoError(t, err)
	require.Equal(t, 4, results.Ended())
	opened, err := Open(filepath.Join(runner.Store.Root, s.Name))
	require.NoError(t, err)
	costs := opened.CostTable()
	require.Equal(t, results.CostTable(), costs)
	require.Equal(t, []string{"Mtokens", "TFLOP", "Mtokens with source", "TFLOP with source"}, names(costs.Columns)[4:8])
	const step = 8 * 16e-6
	own, err := s.Baseline.FLOPs(s.Baseline.Data.VocabSize)
	require.NoError(t, err)
	half, err := c.FLOPs(c.Data.VocabSize)
	require.NoError(t, err)
	for i, sources := range []float64{0, 1, 1, 2} {
		row := costs.Rows[i]
		require.InDelta(t, 6*step, row[4], 1e-12)
		require.InEpsilon(t, 6e-12*own.Total(), row[5], 1e-9)
		require.InDelta(t, (6+4*sources)*step, row[6], 1e-12)
		require.InEpsilon(t, 1e-12*(6*own.Total()+4*sources*half.Total()), row[7], 1e-9)
	}
	csv, err := opened.RunTable().CSV()
	require.NoError(t, err)
	require.Contains(t, csv, "tokens,flops,tokens_with_source,flops_with_source")
	page, err := opened.Report()
	require.NoError(t, err)
	require.Contains(t, strings.Join(page.Notes, " "), "begin with a trained model (training.init_from): grown, with noise, further.")

	logs, problems := opened.logs()
	require.Empty(t, problems)
	var drawn []string
	seam := opened.seam(logs)
	for _, series := range seam.Series {
		drawn = append(drawn, series.Name)
	}
	require.Empty(t, drawn, "a quarter of six steps has no record")
	opened.Study.Baseline.Training.Steps = 24
	seam = opened.seam(logs)
	for _, series := range seam.Series {
		drawn = append(drawn, series.Name)
	}
	require.Equal(t, []string{source.Run.ID, further.Run.ID, "grown", "with noise", "further"}, drawn)
	require.Equal(t, []float64{-1, 0}, seam.Series[0].Runs[0].X)
	require.Equal(t, []float64{3, 6}, seam.Series[2].Runs[0].X)
	figures, _, err := opened.figures()
	require.NoError(t, err)
	require.Equal(t, "seam", figures[2].Name)

	plan, err := results.planHash()
	require.NoError(t, err)
	results.Arms[1].Config.Growth.Noise = 0.2
	other, err := results.planHash()
	require.NoError(t, err)
	require.NotEqual(t, plan, other, "how an arm grows is planned")
}

// Of a folder that is no run nobody knows what it has cost.
func TestSourcesOfUnknownCost(t *testing.T) {
	_, known := spentOn(t.TempDir())
	require.False(t, known)
	r := Results{Study: small(), Sources: map[string]Spent{"a": {Tokens: 5, FLOPs: 7}}}
	c := r.Study.Baseline
	run := Run{Arm: "b", Result: training.Result{Steps: 6}}
	require.Equal(t, 6*8*16.0, r.withSource(run, c, MatchTokens), "it begins with nothing")
	c.Training.InitFrom = "elsewhere"
	require.NotEqual(t, r.withSource(run, c, MatchTokens), r.withSource(run, c, MatchTokens), "NaN")
	run.Arm = "a"
	require.Equal(t, 6*8*16+5.0, r.withSource(run, c, MatchTokens))
	r.Sources = nil
	require.Zero(t, r.withSource(run, c, MatchFLOPs))
}

// What a run saved is read off its log and the last evaluation of the baseline's run at its seed.
func TestWhatIsSaved(t *testing.T) {
	how, err := readingOf("saved_tokens:frozen_auc_unigram")
	require.NoError(t, err)
	require.False(t, how.plain())
	require.Equal(t, HigherIsBetter, OutcomeOf("saved_tokens:val_loss").Better)
	_, known := how.from(Run{})
	require.False(t, known, "the baseline has not ended")
	asked, known := how.from(Run{Ended: true, Result: training.Result{Metrics: runs.Values{"frozen_auc_unigram": 0.65}}})
	require.True(t, known)
	found, ok, err := asked.of(logOf("frozen_auc_unigram", .5, .6, .7, .6), 40, func(steps float64) (float64, error) { return steps, nil })
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, read{value: 30}, found)
	_, err = readingOf("saved_tokens:gradient_norm")
	require.ErrorContains(t, err, "which way gradient_norm is better is not known")

	s, runner := small(), lab(t)
	s.Changes = s.Changes[:1]
	s.Outcome = OutcomeOf("saved_tokens:val_loss")
	r, err := s.Run(t.Context(), runner, 2, nil)
	require.NoError(t, err)
	for _, run := range r.Runs {
		value, measured := run.metric(s.Outcome.Metric)
		require.True(t, measured, run.Arm)
		require.Contains(t, []float64{0, 0.5}, value, "one of two evaluations")
	}
	require.Len(t, r.Compare(), 1)
	require.Nil(t, r.References())
}
