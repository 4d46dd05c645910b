// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"metrolab/internal/usererr"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// PlanFile is the file of a study's folder that remembers its [Plan].
const PlanFile = "study.json"

// Plan is what a study's folder remembers: enough to make its report again from the run store.
type Plan struct {
	Name     string  `json:"name"`
	Question string  `json:"question"`
	Recipe   string  `json:"recipe"`
	Outcome  Outcome `json:"outcome"`
	Seeds    []int64 `json:"seeds"`
	Arms     []Arm   `json:"arms"`
	Runs     []Run   `json:"runs"`
	Extra    Extra   `json:"extra"`

	Finetune *Finetuning `json:"finetune,omitempty"`
}

// Plan returns what [Load] needs.
func (r Results) Plan() Plan {
	s := r.Study
	return Plan{
		Name: s.Name, Question: s.Question, Recipe: s.Recipe, Outcome: s.Outcome, Seeds: s.Seeds,
		Arms: r.Arms, Runs: r.Runs, Extra: r.Extra, Finetune: s.Finetune,
	}
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
	if missing || !reflect.DeepEqual(plan.Arms, arms) || !reflect.DeepEqual(plan.Finetune, s.Finetune) {
		return usererr.New("%s holds the report of another study: %d arms at seeds %v; choose another --out, or move it away", dir, len(plan.Arms), plan.Seeds)
	}
	return nil
}

func (p Plan) study() Study {
	s := Study{Name: p.Name, Question: p.Question, Recipe: p.Recipe, Outcome: p.Outcome, Seeds: p.Seeds, Finetune: p.Finetune}
	for i, arm := range p.Arms {
		if i == 0 {
			s.Baseline = arm.Config
		} else {
			s.Changes = append(s.Changes, Change{arm.Name, arm.Set})
		}
	}
	return s
}

// Open reads the results of the study whose report is in dir, from the runs in the folder around it: what is finished
// stands in them, the rest is missing. A folder that is no study's is the user's error.
func Open(dir string) (Results, error) {
	plan, err := ReadPlan(dir)
	if err != nil {
		return Results{}, err
	}
	return Load(runs.Store{Root: filepath.Dir(filepath.Clean(dir))}, plan)
}

// Load reads a study's results from the run store without training anything: what is finished stands in them, the
// rest is missing.
func Load(store runs.Store, plan Plan) (Results, error) {
	results := Results{Study: plan.study(), Arms: plan.Arms, Store: store, Extra: plan.Extra}
	for _, run := range plan.Runs {
		if run.ID != "" {
			found, err := store.Open(run.ID)
			if err != nil {
				return Results{}, err
			}
			result, ended, err := training.ReadResult(found)
			if err != nil {
				return Results{}, err
			}
			run.Result, run.Ended = result, ended
			if ended && plan.Finetune != nil {
				if err := run.loadFinetuning(store); err != nil {
					return Results{}, err
				}
			}
		}
		results.Runs = append(results.Runs, run)
	}
	return results, nil
}

// loadFinetuning adds what the run's fine-tuning has measured; without it the run has not ended.
func (r *Run) loadFinetuning(store runs.Store) error {
	r.Ended = false
	if r.Tuned == "" || r.Result.Diverged != "" {
		r.Ended = r.Result.Diverged != ""
		return nil
	}
	found, err := store.Open(r.Tuned)
	if err != nil {
		return err
	}
	tuned, ended, err := training.ReadResult(found)
	if ended && err == nil {
		r.Result, r.Ended = withFinetuning(r.Result, tuned), true
	}
	return err
}
