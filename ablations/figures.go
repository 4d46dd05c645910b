// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"metrolab/metro/runs"
	"metrolab/viz"
)

// curves are the metrics drawn over training in every report, after the outcome itself.
var curves = []struct{ metric, title, caption string }{
	{"val_generator_loss", "Generator loss on held-out text",
		"Cross-entropy of the generator at masked positions of the validation split. It stands beside the outcome because a stronger generator sets its own main model a harder task."},
	{"val_rtd_auc", "RTD AUC against the run's own generator",
		"A diagnostic, not comparable across arms: each arm is tested on the fakes of its own generator."},
	{"val_clm_accuracy_replaced", "CLM accuracy at replaced positions",
		"How often the main model's first choice at a replaced token is the original."},
}

// figures draws the forest of differences and the curves.
func (r Results) figures(store runs.Store) ([]viz.Figure, error) {
	outcome := r.Study.Outcome
	forest, err := viz.Forest{
		Name: "forest", Title: "Difference to the baseline", Outcome: outcome.Label, LowerIsBetter: outcome.Better == LowerIsBetter,
		Caption: "Paired by seed: the mean difference and its 95 % interval by Student's t. Verdicts are after Holm's correction over all changes.",
		Effects: r.effects(),
	}.Figure()
	if err != nil {
		return nil, err
	}
	figures := []viz.Figure{forest}
	logs, err := r.logs(store)
	if err != nil {
		return nil, err
	}
	draw := func(metric, title, caption string) error {
		c := viz.Curves{
			Name: metric, Title: title, Caption: caption, Band: viz.MinMax,
			X: viz.Axis{Label: "training step"}, Y: viz.Axis{Label: metric},
		}
		points := 0
		for _, arm := range r.Arms {
			series := viz.Series{Name: arm.Name}
			for _, line := range logs[arm.Name] {
				if l := lineOf(line, metric); len(l.X) > 0 {
					series.Runs = append(series.Runs, l)
					points += len(l.X)
				}
			}
			if len(series.Runs) > 0 {
				c.Series = append(c.Series, series)
			}
		}
		if points == 0 {
			return nil // no run has come to its first evaluation
		}
		figure, err := c.Figure()
		if err == nil {
			figures = append(figures, figure)
		}
		return err
	}
	if err := draw(outcome.Metric, outcome.Label, "The outcome on the way. Thin lines are seeds, the band is their range."); err != nil {
		return nil, err
	}
	for _, c := range curves {
		if c.metric == outcome.Metric {
			continue
		}
		if err := draw(c.metric, c.title, c.caption); err != nil {
			return nil, err
		}
	}
	return figures, nil
}

// logs reads the metrics of every run that has started, by arm.
func (r Results) logs(store runs.Store) (map[string][][]runs.Row, error) {
	logs := map[string][][]runs.Row{}
	err := r.eachStarted(store, func(run Run, dir *runs.Run) error {
		rows, err := runs.ReadMetrics(dir.Path(runs.MetricsFile))
		logs[run.Arm] = append(logs[run.Arm], rows)
		return err
	})
	return logs, err
}

// eachStarted calls visit with every run that has a directory, until one fails.
func (r Results) eachStarted(store runs.Store, visit func(Run, *runs.Run) error) error {
	for _, run := range r.Runs {
		if run.ID == "" {
			continue
		}
		dir, err := store.Open(run.ID)
		if err != nil {
			return err
		}
		if err := visit(run, dir); err != nil {
			return err
		}
	}
	return nil
}

func lineOf(rows []runs.Row, metric string) viz.Line {
	var l viz.Line
	for _, row := range rows {
		if v, ok := row.Values[metric]; ok {
			l.X, l.Y = append(l.X, float64(row.Step)), append(l.Y, v)
		}
	}
	return l
}
