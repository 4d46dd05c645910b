// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"math"

	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// Run is one arm at one seed.
type Run struct {
	Arm    string          `json:"arm"`
	Seed   int64           `json:"seed"`
	ID     string          `json:"id"`                  // of its directory in the run store; empty before it was started
	Tuned  string          `json:"finetuned,omitempty"` // the ID of its fine-tuning's run, if the study has one
	Result training.Result `json:"-"`                   // with what the fine-tuning measured
	Ended  bool            `json:"-"`
}

// Results are a study's runs, ended or not.
type Results struct {
	Study Study
	Arms  []Arm // the baseline first
	Runs  []Run
	Store runs.Store // holds the directories of the runs
	Extra Extra      // what stands in the report beside the study itself
}

// Compare compares every change with the baseline on the study's outcome, with the runs that have ended.
func (r Results) Compare() []Comparison {
	var arms []Outcomes
	for _, arm := range r.Arms[1:] {
		arms = append(arms, r.outcomes(arm.Name))
	}
	return Compare(r.outcomes(BaselineName), arms, r.Study.Outcome.Better)
}

func (r Results) outcomes(arm string) Outcomes {
	o := Outcomes{Name: arm, BySeed: map[int64]float64{}}
	for _, run := range r.Runs {
		if run.Arm == arm && run.Ended {
			o.BySeed[run.Seed] = run.metric(r.Study.Outcome.Metric)
		}
	}
	return o
}

// baseline returns the mean outcome of the baseline's ended runs and their number.
func (r Results) baseline() (mean float64, n int) {
	for _, v := range r.outcomes(BaselineName).BySeed {
		if finite(v) {
			mean += v
			n++
		}
	}
	return mean / float64(n), n // NaN where there is none
}

// metric returns a number of the last evaluation, NaN for a run that diverged.
func (r Run) metric(name string) float64 {
	if v, ok := r.Result.Metrics[name]; ok && r.Result.Diverged == "" {
		return v
	}
	return math.NaN()
}

// Ended returns the number of runs that have ended.
func (r Results) Ended() int {
	n := 0
	for _, run := range r.Runs {
		if run.Ended {
			n++
		}
	}
	return n
}

// eachStarted calls visit with every run that has a directory, until one fails.
func (r Results) eachStarted(visit func(Run, *runs.Run) error) error {
	for _, run := range r.Runs {
		if run.ID == "" {
			continue
		}
		dir, err := r.Store.Open(run.ID)
		if err != nil {
			return err
		}
		if err := visit(run, dir); err != nil {
			return err
		}
	}
	return nil
}
