// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro/metrics"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// reading is how an outcome is read off the evaluations of a run.
type reading struct {
	metric   string
	last     int     // evaluations whose mean it is, from the end; 1 for the last alone
	resource string  // what it takes to reach target, MatchSteps, MatchTokens or MatchFLOPs; empty where there is no target
	target   float64 // of metric
	saved    string  // the resource of which it is the part that the baseline's last value took less; empty where it is none
}

var (
	lastEvaluations = regexp.MustCompile(`^last([1-9][0-9]?):(.+)$`)
	toTarget        = regexp.MustCompile(`^(steps|tokens|flops)_to:([^=]+)=(.+)$`)
	saving          = regexp.MustCompile(`^saved_(steps|tokens|flops):(.+)$`)
)

// readingOf takes the name of an outcome apart; see [OutcomeOf].
func readingOf(name string) (reading, error) {
	how, _, named := strings.Cut(name, ":")
	if !named {
		return reading{metric: name, last: 1}, nil
	}
	if m := lastEvaluations.FindStringSubmatch(name); m != nil {
		k, err := strconv.Atoi(m[1])
		return reading{metric: m[2], last: k}, err
	}
	if m := toTarget.FindStringSubmatch(name); m != nil {
		target, err := strconv.ParseFloat(m[3], 64)
		if err != nil || math.IsNaN(target) || math.IsInf(target, 0) {
			return reading{}, usererr.New("outcome %q: %q is not a number to reach", name, m[3])
		}
		if metrics.Of(m[2]).Better == "" {
			return reading{}, usererr.New("outcome %q: which way %s is better is not known, so neither is when it has reached %s", name, m[2], m[3])
		}
		return reading{metric: m[2], last: 1, resource: m[1], target: target}, nil
	}
	if m := saving.FindStringSubmatch(name); m != nil {
		if metrics.Of(m[2]).Better == "" {
			return reading{}, usererr.New("outcome %q: which way %s is better is not known, so neither is when it is as good as the baseline's", name, m[2])
		}
		return reading{metric: m[2], last: 1, saved: m[1]}, nil
	}
	return reading{}, usererr.New("outcome %q: %q is no way to read a metric; there are METRIC, lastK:METRIC with K from 1 to 99, steps_to:, tokens_to: and flops_to:METRIC=TARGET, and saved_steps:, saved_tokens: and saved_flops:METRIC", name, how)
}

// baseMetric is the metric that an outcome is made of.
func baseMetric(outcome string) string {
	if r, err := readingOf(outcome); err == nil {
		return r.metric
	}
	return outcome
}

// OutcomeOf is the outcome of that name, with its label and direction. The names are
//
//	METRIC                     of the last evaluation, such as frozen_auc_unigram
//	lastK:METRIC               its mean over the last K evaluations, such as last3:frozen_auc_unigram
//	tokens_to:METRIC=TARGET    the tokens that were trained on when an evaluation first reached TARGET; so do
//	                           flops_to: and steps_to:. A run that never reaches it is censored at what it had in all
//	saved_tokens:METRIC        1 − what was trained on when an evaluation first was as good as the last one of the
//	                           baseline's run at the same seed, in parts of all that this run was trained on; so do
//	                           saved_flops: and saved_steps:. A run that never is so good has saved nothing, 0 of as much
//
// A metric to which [metrics.Of] gives no direction needs an Outcome that says which way is better.
func OutcomeOf(name string) Outcome {
	m := describe(name)
	return Outcome{Metric: name, Label: m.Label, Better: m.Better}
}

// describe says what an outcome is, as [metrics.Of] does of a metric.
func describe(name string) metrics.Metric {
	r, err := readingOf(name)
	m := metrics.Of(r.metric)
	switch {
	case err != nil:
		return metrics.Of(name)
	case r.resource != "":
		to := fmt.Sprintf("%s to %s %g", r.resource, m.Label, r.target)
		return metrics.Metric{Key: name, Label: to, Format: "%.4g", Better: LowerIsBetter,
			Meaning: "what was spent when an evaluation first reached the target, or all that was, where none has"}
	case r.saved != "":
		return metrics.Metric{Key: name, Label: fmt.Sprintf("part of the %s saved to the baseline's %s", r.saved, m.Label), Format: "%.3f", Better: HigherIsBetter,
			Meaning: "1 less what was spent when an evaluation was first as good as the last of the baseline's run at the same seed, in parts of what that run spent; the baseline may have been so good before its end, and a run that never is counts with all that it spent"}
	case r.last > 1:
		m.Label = fmt.Sprintf("%s, mean of the last %d evaluations", m.Label, r.last)
		if m.Meaning != "" {
			m.Meaning += fmt.Sprintf("; the mean of the last %d evaluations", r.last)
		}
	}
	m.Key = name
	return m
}

// checkReading returns the user's error for an arm that is not evaluated as often as its outcome asks.
func (s Study) checkReading(arm Arm) error {
	how, err := readingOf(s.Outcome.Metric)
	if err != nil || how.plain() {
		return nil // said elsewhere
	}
	if s.Finetune != nil && strings.HasPrefix(how.metric, "test_") {
		return usererr.New("outcome %q: %s is measured once, at the end of a fine-tuning, so that there is no course of it to read", s.Outcome.Metric, how.metric)
	}
	t := arm.Config.Training
	if t.EvalEvery <= 0 {
		return nil
	}
	if n := (t.Steps + t.EvalEvery - 1) / t.EvalEvery; n < how.last {
		return usererr.New("arm %q: %d steps with training.eval_every=%d give %d evaluations, and %s is the mean of %d", arm.Name, t.Steps, t.EvalEvery, n, s.Outcome.Metric, how.last)
	}
	return nil
}

// plain says whether the last evaluation, which a run's result holds, is all that is read.
func (r reading) plain() bool { return r.last == 1 && r.resource == "" && r.saved == "" }

// read is what a reading gives.
type read struct {
	value    float64
	censored bool      // the target was never reached: value is all that was spent
	at       []float64 // parts of the run at which the evaluations lie that the value is the mean of
}

// of reads the log of a run of so many steps in all; false where it lacks the evaluations. spent is what the run has spent of the
// resource after a number of steps.
func (r reading) of(rows []runs.Row, all int, spent func(steps float64) (float64, error)) (read, bool, error) {
	steps, values := runs.Curve(rows, r.metric)
	if r.resource != "" {
		return r.reaching(steps, values, all, spent)
	}
	first := len(values) - r.last
	if first < 0 {
		return read{}, false, nil
	}
	var mean read
	for i, v := range values[first:] {
		mean.value += v / float64(r.last)
		mean.at = append(mean.at, steps[first+i]/float64(all))
	}
	return mean, true, nil
}

// reaching is what was spent at the first evaluation that has reached the target.
func (r reading) reaching(steps, values []float64, all int, spent func(steps float64) (float64, error)) (read, bool, error) {
	higher := metrics.Of(r.metric).Better == HigherIsBetter
	reached := slices.IndexFunc(values, func(v float64) bool { return higher && v >= r.target || !higher && v <= r.target })
	at := float64(all)
	if reached >= 0 {
		at = steps[reached]
	}
	value, err := spent(at)
	return read{value: value, censored: reached < 0}, len(values) > 0, err
}

// from is r as it is asked of the runs at a seed, whose baseline's run has ended: a part saved is what it takes to reach a target.
func (r reading) from(baseline Run) (reading, bool) {
	if r.saved == "" {
		return r, true
	}
	target, measured := baseline.metric(r.metric)
	r.resource, r.target = r.saved, target
	return r, baseline.Ended && measured && finite(target)
}

// NamedOutcomes are the names of the outcomes that every pretraining run can be asked for, and that [Noise] measures by itself:
// each frozen set, as it is at the last evaluation and as the mean of the last few.
func NamedOutcomes() (names []string) {
	names = append(names, frozenSets...)
	for _, k := range []int{2, 3} {
		for _, set := range frozenSets {
			names = append(names, fmt.Sprintf("last%d:%s", k, set))
		}
	}
	return names
}

// frozenSets are the metrics of the sets whose fakes no run has made.
var frozenSets = []string{training.FrozenUnigram, training.FrozenBigram, training.FrozenTrigram, training.FrozenWords}
