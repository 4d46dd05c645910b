// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"

	"metrolab/internal/usererr"
	"metrolab/metro/metrics"
	"metrolab/metro/runs"
	"metrolab/viz"
)

// Forest draws each change's difference to the baseline with its interval and verdict.
func (r Results) Forest() viz.Forest {
	return viz.Forest{
		Name: "forest", Title: "Difference to the baseline", Outcome: r.Study.Outcome.Label, LowerIsBetter: r.Study.Outcome.Better == LowerIsBetter,
		Caption: r.intervals() + " Verdicts are after Holm's correction over all changes.",
		Effects: r.effects(),
	}
}

// TimesToTarget draws when the runs of each arm that have ended reached the target of the study's outcome, if it has one; with no
// series where it has none, or none has ended. A run that diverged waits for it to the end of its budget, like one that never
// reached it: it will not come.
func (r Results) TimesToTarget() viz.KaplanMeier {
	how, _ := readingOf(r.Study.Outcome.Metric)
	k := viz.KaplanMeier{
		Name: "kaplan_meier", Title: capitalized(r.Study.Outcome.Label), Event: fmt.Sprintf("reached %g", how.target),
		Caption: "How soon the runs reach the target: one minus the estimate of Kaplan and Meier, in which those that never do count for as long as they lasted, and those that diverged to the end.",
		X:       map[string]viz.Axis{MatchSteps: viz.Steps, MatchTokens: viz.Tokens, MatchFLOPs: viz.FLOPs}[how.resource],
	}
	if how.resource == "" {
		return k
	}
	for _, arm := range r.Arms {
		waits := viz.Waits{Name: arm.Name}
		for _, run := range r.Runs {
			if run.Arm != arm.Name || !run.Ended {
				continue
			}
			until, measured := run.metric(r.Study.Outcome.Metric)
			censored := run.read.censored
			if !finite(until) {
				c := arm.Config
				c.Seed = run.Seed
				whole, err := r.Study.spent(how.resource, arm.Name, c, float64(c.Training.Steps))
				until, censored, measured = whole, true, err == nil
			}
			if measured {
				waits.Until, waits.Censored = append(waits.Until, until), append(waits.Censored, censored)
			}
		}
		if len(waits.Until) > 0 {
			k.Series = append(k.Series, waits)
		}
	}
	return k
}

// intervals says in a sentence what the differences and their intervals are.
func (r Results) intervals() string {
	if r.Study.UntilDecided {
		return "Paired by seed: the mean difference and its 95 % confidence sequence, which holds at all numbers of pairs together."
	}
	return "Paired by seed: the mean difference and its 95 % interval by Student's t."
}

func (r Results) effects() []viz.Effect {
	var effects []viz.Effect
	for _, c := range r.Compare() {
		effects = append(effects, viz.Effect{
			Name: c.Name, Pairs: c.Pairs, Mean: c.Mean, Diff: c.Diff, Low: c.Low, High: c.High,
			P: c.P, HolmP: c.HolmP, Verdict: viz.Verdict(c.Verdict), Words: c.Says(), Note: c.Note,
		})
	}
	return effects
}

// Curves draws a metric over training: a line for each arm, the mean over its seeds, with a band from the lowest to the
// highest. A metric that no run has recorded is the user's error, which lists those that there are.
func (r Results) Curves(metric string) (viz.Curves, error) {
	logs, _ := r.logs()
	c := r.curves(logs, metric)
	if len(c.Series) == 0 {
		return c, usererr.New("no run of study %s has recorded %q; there are %s", r.Study.Name, metric, strings.Join(logs.keys(), ", "))
	}
	return c, nil
}

// curves has no series where no run has recorded the metric.
func (r Results) curves(logs logs, metric string) viz.Curves {
	m := metrics.Of(metric)
	if metric == r.Study.Outcome.Metric {
		m.Label = r.Study.Outcome.Label
	}
	how, _ := readingOf(r.Study.Outcome.Metric)
	c := viz.OverSteps(metric, m.Label)
	c.Title, c.Caption, c.Band = capitalized(m.Label), "Thin lines are seeds, the band is their range.", viz.MinMax
	if m.Meaning != "" {
		c.Caption = capitalized(m.Meaning) + ". " + c.Caption
	}
	if m.Chance != 0 {
		c.Levels = []viz.Level{{Y: m.Chance, Label: "guessing"}}
	}
	if how.resource != "" && metric == how.metric {
		c.Levels = append(c.Levels, viz.Level{Y: how.target, Label: "target"})
	}
	if references := r.referencesOf(metric); len(references) > 0 {
		c.Levels = append(c.Levels, viz.Level{Y: references[0].Value, Label: references[0].Label})
	}
	for _, arm := range r.Arms {
		series := viz.Series{Name: arm.Name}
		for _, rows := range logs[arm.Name] {
			if x, y := runs.Curve(rows, metric); len(x) > 0 {
				series.Runs = append(series.Runs, viz.Line{X: x, Y: y})
			}
		}
		if len(series.Runs) > 0 {
			c.Series = append(c.Series, series)
		}
	}
	return c
}

// reported are the metrics drawn in every report after the outcome, and what to keep in mind about them.
var reported = []struct{ metric, remark string }{
	{"val_generator_loss", "It stands beside the outcome because a stronger generator sets its own main model a harder task."},
	{"val_rtd_auc", "A diagnostic, not comparable across arms: each arm is tested on the fakes of its own generator."},
	{"val_clm_accuracy_replaced", ""},
}

// figures draws those of the report: the differences, and the curves that there are. Problems are what of the logs cannot be
// read.
func (r Results) figures() (figures []viz.Figure, problems []string, err error) {
	if forest := r.Forest(); len(forest.Effects) > 0 { // a baseline alone has nothing to differ from
		figure, err := forest.Figure()
		if err != nil {
			return nil, nil, err
		}
		figures = append(figures, figure)
	}
	if times := r.TimesToTarget(); len(times.Series) > 0 {
		figure, err := times.Figure()
		if err != nil {
			return nil, nil, err
		}
		figures = append(figures, figure)
	}
	logs, problems := r.logs()
	draw := func(metric, remark string) error {
		c := r.curves(logs, metric)
		if len(c.Series) == 0 {
			return nil // no run has come to its first evaluation, or the objective has no such metric
		}
		c.Caption = strings.TrimSpace(c.Caption + " " + remark)
		figure, err := c.Figure()
		if err == nil {
			figures = append(figures, figure)
		}
		return err
	}
	outcome := baseMetric(r.Study.Outcome.Metric)
	if err := draw(outcome, ""); err != nil {
		return nil, nil, err
	}
	if seam := r.seam(logs); len(seam.Series) > 0 {
		figure, err := seam.Figure()
		if err != nil {
			return nil, nil, err
		}
		figures = append(figures, figure)
	}
	for _, c := range reported {
		if c.metric == outcome {
			continue
		}
		if err := draw(c.metric, c.remark); err != nil {
			return nil, nil, err
		}
	}
	return figures, problems, nil
}

// logs are the records of runs, by arm.
type logs map[string][][]runs.Row

// logs reads those of every run that has started, as far as they can be read; problems say where not.
func (r Results) logs() (logs, []string) {
	logs := logs{}
	problems := r.eachStarted(func(run Run, dir *runs.Run) error {
		rows, err := dir.ReadMetrics()
		logs[run.Arm] = append(logs[run.Arm], rows)
		if errors.Is(err, fs.ErrNotExist) && !run.Ended {
			return nil // it has come to no line yet
		}
		return err
	})
	return logs, problems
}

// keys lists the metrics that were recorded.
func (l logs) keys() []string {
	var all []runs.Row
	for _, arm := range l {
		for _, rows := range arm {
			all = append(all, rows...)
		}
	}
	return runs.Recorded(all)
}

// capitalized begins text with a capital letter.
func capitalized(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}
