// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"metrolab/metro"
	"metrolab/metro/metrics"
	"metrolab/metro/runs"
	"metrolab/metro/training"
	"metrolab/viz"
)

// Spent is what a trained model has cost, by its configs: what it was trained on, what it forks and what it began with included.
type Spent struct {
	Tokens float64 `json:"tokens"`
	FLOPs  float64 `json:"flops"`
}

// sourcesOf are what the models that arms begin with have cost, as far as their folders tell.
func sourcesOf(arms []Arm) map[string]Spent {
	sources := map[string]Spent{}
	for _, arm := range arms {
		if from := arm.Config.Training.InitFrom; from != "" {
			if spent, known := spentOn(from); known {
				sources[arm.Name] = spent
			}
		}
	}
	return sources
}

// spentOn is what a model, a run or RUN@STEP, has cost up to its checkpoint. Of a folder from elsewhere nobody knows.
func spentOn(dir string) (spent Spent, known bool) {
	p, err := training.LoadModel(dir)
	if err != nil || !p.IsRun() {
		return spent, false
	}
	c, begin := p.Identity.Config, 0
	if c.Training.Fork != "" {
		trunk, shared, err := metro.ParseFork(c.Training.Fork)
		if err != nil {
			return spent, false
		}
		if filepath.Base(trunk) == trunk {
			trunk = filepath.Join(filepath.Dir(p.RunDir), trunk)
		}
		if spent, known = spentOn(fmt.Sprintf("%s@%d", trunk, shared)); !known {
			return spent, false
		}
		begin = shared
	} else if from := c.Training.InitFrom; from != "" {
		if spent, known = spentOn(from); !known {
			return spent, false
		}
	}
	for resource, sum := range map[string]*float64{MatchTokens: &spent.Tokens, MatchFLOPs: &spent.FLOPs} {
		own, err := costBetween(c, resource, begin, p.Step)
		if err != nil {
			return spent, false
		}
		*sum += own
	}
	return spent, true
}

// withSource is [Study.spentAlone] and what the model that the run begins with had cost; NaN where that is not known, and 0 where
// no arm begins with a model whose cost is.
func (r Results) withSource(run Run, c metro.Config, resource string) float64 {
	if len(r.Sources) == 0 {
		return 0
	}
	own := r.Study.spentAlone(run, c, resource)
	if c.Training.InitFrom == "" || r.Study.shared(run.Arm, c) > 0 { // of a fork it is among the trunk's
		return own
	}
	spent, known := r.Sources[run.Arm]
	switch {
	case !known:
		return math.NaN()
	case resource == MatchTokens:
		return own + spent.Tokens
	}
	return own + spent.FLOPs
}

// sourceNote says for the report what arms begin with; "" where all begin with nothing.
func (s Study) sourceNote() string {
	var begun []string
	arms, _ := s.Arms() // what is wrong with them is said elsewhere
	for _, arm := range arms {
		if arm.Config.Training.InitFrom != "" {
			begun = append(begun, arm.Name)
		}
	}
	if begun == nil {
		return ""
	}
	return fmt.Sprintf("These arms begin with a trained model (training.init_from): %s. What that model had cost stands in columns of its own, charged in full to every run; verdicts and other costs leave it out.",
		strings.Join(begun, ", "))
}

// seam draws the training loss of the runs that arms begin with, and then that of the arms, around step 0, which is where one becomes the
// other. It has no series where no arm begins with a run that is still there, and where neither has a record near it.
func (r Results) seam(logs logs) viz.Curves {
	const metric = "loss"
	span := float64(r.Study.Baseline.Training.Steps) / 4 // to either side
	c := viz.OverSteps("seam", metrics.Of(metric).Label)
	c.Title, c.Band = "Where models begin with others", viz.MinMax
	c.X.Label = "training step, from where the model begins"
	c.Caption = "Training loss of what arms begin with, left of 0, and of the arms from there on, each point over the steps since the one before it. A growth that keeps the function goes on where the smaller model was; one that does not jumps."
	cut := func(rows []runs.Row, begin int, low, high float64) (line viz.Line) {
		x, y := runs.Curve(rows, metric)
		for i := range x {
			if at := x[i] - float64(begin); at > low && at <= high {
				line.X, line.Y = append(line.X, at), append(line.Y, y[i])
			}
		}
		return line
	}
	add := func(name string, lines ...viz.Line) {
		lines = slices.DeleteFunc(lines, func(l viz.Line) bool { return len(l.X) == 0 })
		if len(lines) > 0 {
			c.Series = append(c.Series, viz.Series{Name: name, Runs: lines})
		}
	}
	seen := map[string]bool{}
	var begun []Arm
	for _, arm := range r.Arms {
		from := arm.Config.Training.InitFrom
		if from == "" {
			continue
		}
		begun = append(begun, arm)
		p, err := training.LoadModel(from)
		if err != nil || !p.IsRun() || seen[from] {
			continue
		}
		seen[from] = true
		if rows, err := runs.ReadMetrics(filepath.Join(p.RunDir, runs.MetricsFile)); err == nil {
			add(filepath.Base(from), cut(rows, p.Step, -span, 0))
		}
	}
	sources := len(c.Series)
	for _, arm := range begun {
		var lines []viz.Line
		for _, rows := range logs[arm.Name] {
			lines = append(lines, cut(rows, 0, 0, span))
		}
		add(arm.Name, lines...)
	}
	if sources == 0 || sources == len(c.Series) {
		c.Series = nil // one side of it alone
	}
	return c
}
