// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"metrolab/internal/usererr"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// Run is one arm at one seed.
type Run struct {
	Arm    string          `json:"arm"`
	Seed   int64           `json:"seed"`
	ID     string          `json:"id"` // of its directory in the run store; empty before it was started
	Result training.Result `json:"-"`
	Ended  bool            `json:"-"`
}

// Results are a study's runs, ended or not.
type Results struct {
	Study Study
	Arms  []Arm // the baseline first
	Runs  []Run
}

// Plan is what a study's folder remembers, in study.json: enough to make its report again from the run store.
type Plan struct {
	Name     string  `json:"name"`
	Question string  `json:"question"`
	Recipe   string  `json:"recipe"`
	Outcome  Outcome `json:"outcome"`
	Seeds    []int64 `json:"seeds"`
	Arms     []Arm   `json:"arms"`
	Runs     []Run   `json:"runs"`
	Extra    Extra   `json:"extra"` // what stood in the report beside the runs
}

// Plan returns what [Load] needs.
func (r Results) Plan() Plan {
	s := r.Study
	return Plan{Name: s.Name, Question: s.Question, Recipe: s.Recipe, Outcome: s.Outcome, Seeds: s.Seeds, Arms: r.Arms, Runs: r.Runs}
}

// ReadPlan reads the plan of a study's folder. One that is no study's is the user's error.
func ReadPlan(dir string) (plan Plan, err error) {
	if err := runs.ReadJSON(filepath.Join(dir, PlanFile), &plan); err != nil {
		return plan, usererr.New("%s is not the folder of a study: %w", dir, err)
	}
	if len(plan.Arms) == 0 {
		return plan, usererr.New("%s names no arms: it is not a study's", filepath.Join(dir, PlanFile))
	}
	return plan, nil
}

// Fits returns the user's error if dir holds the report of a study with other arms, or with seeds that s has not: its
// report would be lost. An empty or missing folder fits, and so does one of the same study with fewer seeds.
func (s Study) Fits(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, PlanFile)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	plan, err := ReadPlan(dir)
	if err != nil {
		return err
	}
	arms, err := s.Arms()
	if err != nil {
		return err
	}
	missing := slices.ContainsFunc(plan.Seeds, func(seed int64) bool { return !slices.Contains(s.Seeds, seed) })
	if missing || !reflect.DeepEqual(plan.Arms, arms) {
		return usererr.New("%s holds the report of another study: %d arms at seeds %v; choose another --out, or move it away", dir, len(plan.Arms), plan.Seeds)
	}
	return nil
}

func (p Plan) study() Study {
	s := Study{Name: p.Name, Question: p.Question, Recipe: p.Recipe, Outcome: p.Outcome, Seeds: p.Seeds}
	for i, arm := range p.Arms {
		if i == 0 {
			s.Baseline = arm.Config
		} else {
			s.Changes = append(s.Changes, Change{arm.Name, arm.Set})
		}
	}
	return s
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
