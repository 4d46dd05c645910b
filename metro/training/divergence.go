// SPDX-License-Identifier: Apache-2.0

package training

import (
	"errors"
	"fmt"
	"strings"

	"metrolab/metro"
)

// ErrDiverged is wrapped by the errors of a training whose loss or gradient stopped being a number: a [Divergence], and
// [Result.Err].
var ErrDiverged = errors.New("diverged")

// Divergence is the error of a run whose loss or gradient stopped being a number. The last checkpoint before it is
// kept; nothing was saved after it.
type Divergence struct {
	Step         int
	Parts        []string // the losses that are not finite, in the order in which they are computed
	GradientNorm float64
	LearningRate float64
	LossBefore   float64 // mean since the last record; NaN if there is none
	NormBefore   float64
	Advice       string
}

// Error implements error.
func (d *Divergence) Error() string {
	what := "the gradient"
	if len(d.Parts) > 0 {
		what = strings.Join(d.Parts, ", ")
	}
	return fmt.Sprintf("diverged at step %d: %s not finite (learning rate %.3g, gradient norm %.3g; mean loss before %.4g, mean gradient norm %.4g); %s",
		d.Step, what, d.LearningRate, d.GradientNorm, d.LossBefore, d.NormBefore, d.Advice)
}

// Is makes a Divergence an [ErrDiverged].
func (d *Divergence) Is(target error) bool { return target == ErrDiverged }

// diverged is a divergence of which the words alone are left.
type diverged string

func (d diverged) Error() string { return string(d) }

func (d diverged) Is(target error) bool { return target == ErrDiverged }

// Err returns nil or, for a run that diverged, an error that wraps [ErrDiverged] and says how.
func (r Result) Err() error {
	if r.Diverged == "" {
		return nil
	}
	return diverged(r.Diverged)
}

func (l *loop) diverged(step int, t metro.Tally, norm float64) error {
	d := &Divergence{
		Step: step, GradientNorm: norm, LearningRate: l.config.LearningRate(step), LossBefore: nan, NormBefore: nan,
		Advice: "try a lower optimizer.learning_rate or more optimizer.warmup_steps",
	}
	if w := l.state.Window; w.Steps > 0 {
		d.LossBefore, d.NormBefore = w.Tally.Metric("loss"), w.GradientNorm/w.Steps
	}
	if l.config.Optimizer.ClipNorm == 0 {
		d.Advice += ", or set optimizer.clip_norm (2 in COCO-LM)"
	}
	for _, name := range t.Names {
		if name != "loss" && strings.HasSuffix(name, "_loss") && !finite(t.Metric(name)) {
			d.Parts = append(d.Parts, name)
		}
	}
	return d
}
