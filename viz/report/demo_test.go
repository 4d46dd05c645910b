// SPDX-License-Identifier: Apache-2.0

package report

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/viz"
	"metrolab/viz/table"
)

// All numbers in this file are made up.

var armNames = []string{"no relative position bias", "RTD weight 10 instead of 50", "no CLM", "whole-word masking",
	"generator of half the depth and a quarter of the width, frozen after 300 steps",
	"model.generator.temperature=0.7,model.masking.rate=0.25", "dropout 0.1 in the generator as well"}

// demoEffects are arms with every kind of verdict.
func demoEffects(n int) viz.Effects {
	nan := math.NaN()
	kinds := viz.Effects{
		{Pairs: 3, Mean: 0.513, Diff: -0.2563, Low: -0.339, High: -0.173, P: 0.0056, HolmP: 0.017, Verdict: viz.Worse},
		{Pairs: 3, Mean: 0.774, Diff: 0.0047, Low: -0.0195, High: 0.0288, P: 0.493, HolmP: 0.986, Verdict: viz.Undecided,
			Note: "3 pairs could tell a difference of 0.045; one of this size needs about 44 seeds"},
		{Pairs: 3, Mean: 0.823, Diff: 0.053, Low: 0.031, High: 0.075, P: 0.0009, HolmP: 0.0036, Verdict: viz.Better},
		{Pairs: 1, Mean: 0.74, Diff: -0.03, Low: nan, High: nan, P: nan, HolmP: nan, Verdict: viz.Undecided, Note: "one pair gives no interval"},
		{Mean: nan, Diff: nan, Low: nan, High: nan, P: nan, HolmP: nan, Verdict: viz.Undecided, Note: "no seed has a finite outcome on both sides"},
	}
	var effects viz.Effects
	for i := range n {
		e := kinds[i%len(kinds)]
		e.Name = armNames[i]
		effects = append(effects, e)
	}
	return effects
}

// demoReport is a study of n arms, 1 to 7, without figures.
func demoReport(n int) Report {
	r := Report{
		Title: "Which parts of METRO does a tiny encoder need? (made-up numbers)",
		Summary: "The METRO recipe at size tiny (2 layers of width 128, 1,800 steps of 2,048 tokens) against single changes, three seeds each, " +
			"paired by seed, on the documentation inside the Go distribution. Every number in this report is made up.",
		Outcome:  "RTD AUC on the frozen corrupted held-out set",
		Baseline: Baseline{Name: "METRO baseline", Mean: 0.7697, Runs: 3},
		Effects:  demoEffects(n),
		Runs: table.Table{Columns: []table.Column{{Name: "RTD AUC", Align: table.Right, Format: "%.4f"}, {Name: "generator CE", Align: table.Right, Format: "%.3f"}, {Name: "arm"}, {Name: "seed", Align: table.Right},
			{Name: "steps", Align: table.Right}, {Name: "tokens/s", Align: table.Right, Format: "%.0f"}, {Name: "backend"}, {Name: "run"}}},
		Failed: map[int]string{5: "loss is NaN at step 720"},
		Provenance: []Field{{"revision", "0000000000000000000000000000000000000000 (dirty)"}, {"Go", "go1.26.5"}, {"backend", "xla:cpu"},
			{"CPU", "an invented processor, 2 cores"}, {"corpus", "Go documentation, sha256 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}},
		Notes: []string{"Two layers and four million tokens say little about large models.", "Three seeds find large differences only."},
	}
	for arm, name := range append([]string{"METRO baseline"}, armNames[:n]...) {
		for seed := range 3 {
			auc, ce := any(0.77-0.03*float64(arm)+0.007*float64(seed)), any(2.4+0.1*float64(arm))
			if len(r.Runs.Rows) == 5 {
				auc, ce = math.NaN(), nil
			}
			r.Runs.Rows = append(r.Runs.Rows, []any{auc, ce, name, seed, 1800, 51234.5, "xla:cpu", "0123456789ab"})
		}
		fields := []Field{{"model.layers", "2"}, {"model.width", "128"}, {"model.relative_positions", "true"}, {"rtd.weight", "50"}, {"clm.weight", "1"}}
		if arm > 0 {
			fields[2+arm%3].Value = []string{"0.5", "false", "10"}[arm%3]
		}
		r.Configs = append(r.Configs, Config{name, fields})
	}
	return r
}

// demoFigures are three figures for demoReport.
func demoFigures(t *testing.T, n int) []viz.Figure {
	curves := viz.Curves{Name: "outcome", Title: "RTD AUC on the frozen held-out set", X: viz.Steps, Y: viz.Axis{Label: "RTD AUC, higher is better"}}
	bars := viz.Bars{Name: "probe", Title: "Probe on package families", Label: "balanced accuracy", Series: []viz.BarSeries{{Name: "fine-tuned"}}}
	for i, name := range armNames[:n] {
		top := 0.8 - 0.04*float64(i)
		curves.Series = append(curves.Series, viz.Series{Name: name, Runs: []viz.Line{{X: []float64{0, 600, 1200, 1800}, Y: []float64{0.5, 0.51, top - 0.05, top}}}})
		bars.Groups, bars.Series[0].Values = append(bars.Groups, name), append(bars.Series[0].Values, top)
	}
	forest := viz.Forest{Name: "forest", Title: "What each change does to RTD AUC", Outcome: "RTD AUC", Effects: demoEffects(n),
		Caption: "Some changes are told apart from the baseline; the others need more seeds."}
	var figures []viz.Figure
	for _, draw := range []func() (viz.Figure, error){forest.Figure, curves.Figure, bars.Figure} {
		f, err := draw()
		require.NoError(t, err)
		figures = append(figures, f)
	}
	return figures
}
