// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"metrolab/metro"
	"metrolab/metro/metrics"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// Run is one arm at one seed.
type Run struct {
	Arm    string          `json:"arm"`
	Seed   int64           `json:"seed"`
	ID     string          `json:"id"`                  // of its directory in the run store, which is made when it starts
	Tuned  string          `json:"finetuned,omitempty"` // the ID of its fine-tuning's run, if the study has one
	Result training.Result `json:"-"`                   // with what the fine-tuning measured
	Ended  bool            `json:"-"`

	read    read   // of the study's outcome, where it is not that of the last evaluation alone
	problem string // why its result cannot be read; empty if it can, or there is none
}

// Results are a study's runs, ended or not.
type Results struct {
	Study   Study
	Arms    []Arm // the baseline first
	Runs    []Run
	Store   runs.Store // holds the directories of the runs
	Extra   Extra      // what stands in the report beside the study itself
	Corpus  string     // content hash of the text that configs without one of their own were trained on
	Planned *Planned   // what was written down before the first run; nil where nothing was
	// Sources are what the models that arms begin with (training.init_from) have cost, by arm. One whose cost is not known is missing.
	Sources  map[string]Spent
	Problems []string // what of the runs cannot be read, and so is missing here

	dir string // the study's folder, if it is not that of its name in the store
}

// Folder is the study's.
func (r Results) Folder() string {
	return cmp.Or(r.dir, filepath.Join(r.Store.Root, r.Study.Name))
}

// Reload returns the results as they lie in the run store now, whoever has trained them.
func (r Results) Reload() Results {
	r.Runs, r.Problems = slices.Clone(r.Runs), nil
	r.nameForks()
	for i := range r.Runs {
		run := &r.Runs[i]
		var err error
		if r.Study.Finetune != nil {
			err = r.findTuned(run)
		}
		err = errors.Join(run.load(r.Store, r.Study.Finetune != nil), err)
		if err == nil && run.Ended {
			err = run.measure(r)
		}
		if err != nil {
			run.problem = oneLine(err)
			r.Problems = append(r.Problems, fmt.Sprintf("%s, seed %d: %s", run.Arm, run.Seed, run.problem))
		}
	}
	r.endForks()
	return r
}

// begun says whether the run has a directory under root.
func (r Run) begun(root string) bool {
	if r.ID == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(root, r.ID))
	return !errors.Is(err, fs.ErrNotExist)
}

// load takes the run's result from its directory, with what its fine-tuning has measured if there is to be one: without
// that the run has not ended.
func (r *Run) load(store runs.Store, tuned bool) error {
	r.Result, r.Ended, r.read, r.problem = training.Result{}, false, read{}, ""
	result, ended, err := resultIn(store, *r, r.ID)
	if err != nil {
		return err
	}
	r.Result, r.Ended = result, ended
	if !ended || !tuned || result.Diverged != "" {
		return nil
	}
	fine, ended, err := resultIn(store, *r, r.Tuned)
	if r.Ended = ended; ended {
		r.Result = withFinetuning(r.Result, fine)
	}
	return err
}

// measure puts the outcome of a study, where it is made of more than the last evaluation, among what a run of it that has ended has
// measured.
func (r *Run) measure(of Results) error {
	s, c, outcome := of.Study, of.config(r.Arm), of.Study.Outcome.Metric
	c.Seed = r.Seed
	how, err := readingOf(outcome)
	if err != nil || how.plain() || r.Result.Run == nil || r.Result.Diverged != "" {
		return err
	}
	baseline := of.at(BaselineName, r.Seed)
	if r.Arm == BaselineName {
		baseline = *r
	}
	how, known := how.from(baseline)
	if !known {
		return nil
	}
	rows, err := r.Result.Run.ReadMetrics()
	if err != nil {
		return err
	}
	found, ok, err := how.of(rows, c.Training.Steps, func(steps float64) (float64, error) { return s.spent(how.resource, r.Arm, c, steps) })
	if err != nil || !ok {
		return err
	}
	if how.saved != "" {
		whole := s.Baseline
		whole.Seed = r.Seed
		all, err := s.spent(how.saved, BaselineName, whole, float64(whole.Training.Steps))
		if err != nil {
			return err
		}
		found = read{value: 1 - found.value/all}
	}
	measured := maps.Clone(r.Result.Metrics)
	if measured == nil {
		measured = runs.Values{}
	}
	measured[outcome] = found.value
	r.Result.Metrics, r.read = measured, found
	return nil
}

// resultIn is the result of the run of that ID; a run that has no directory yet has none.
func resultIn(store runs.Store, r Run, id string) (result training.Result, ended bool, err error) {
	r.ID = id
	if !r.begun(store.Root) {
		return result, false, nil
	}
	found, err := store.Open(id)
	if err != nil {
		return result, false, err
	}
	return training.ReadResult(found)
}

// outcomes are an arm's, at those of its seeds that keep, nil for all, says yes to.
func (r Results) outcomes(arm string, keep func(seed int64) bool) Outcomes {
	o := Outcomes{Name: arm, BySeed: map[int64]float64{}}
	if how, err := readingOf(r.Study.Outcome.Metric); err == nil && how.resource != "" {
		o.Censored = map[int64]bool{}
	}
	for _, run := range r.Runs {
		if run.Arm != arm || !run.Ended || keep != nil && !keep(run.Seed) {
			continue
		}
		if v, measured := run.metric(r.Study.Outcome.Metric); measured {
			o.BySeed[run.Seed] = v
			if run.read.censored {
				o.Censored[run.Seed] = true
			}
		} else {
			o.Missing = append(o.Missing, run.Seed)
		}
	}
	return o
}

// config is that of an arm.
func (r Results) config(arm string) metro.Config {
	i := slices.IndexFunc(r.Arms, func(a Arm) bool { return a.Name == arm })
	if i < 0 {
		return metro.Config{}
	}
	return r.Arms[i].Config
}

// baseline returns the mean outcome of the baseline's ended runs and their number.
func (r Results) baseline() (mean float64, n int) {
	o := r.outcomes(BaselineName, nil)
	return meanOf(o), len(o.BySeed) - len(failedSeeds(o))
}

// metric returns a number of the last evaluation, NaN for a run that diverged, and whether there is one.
func (r Run) metric(name string) (value float64, measured bool) {
	if r.Result.Diverged != "" {
		return math.NaN(), true
	}
	value, measured = r.Result.Metrics[name]
	return value, measured
}

// sameNumbers says whether two runs measured the same, timings aside.
func sameNumbers(a, b Run) bool {
	if len(a.Result.Metrics) == 0 || a.Result.Diverged != "" || b.Result.Diverged != "" {
		return false
	}
	for name, v := range a.Result.Metrics {
		if w, ok := b.Result.Metrics[name]; !metrics.Of(name).Timing && (!ok || v != w && !(math.IsNaN(v) && math.IsNaN(w))) {
			return false
		}
	}
	return true
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

// eachStarted calls visit with every run that has a directory, and returns what went wrong, a line a run.
func (r Results) eachStarted(visit func(Run, *runs.Run) error) (problems []string) {
	for _, run := range r.Runs {
		if !run.begun(r.Store.Root) {
			continue
		}
		dir, err := r.Store.Open(run.ID)
		if err == nil {
			err = visit(run, dir)
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s, seed %d: %s", run.Arm, run.Seed, oneLine(err)))
		}
	}
	return problems
}

// oneLine is an error for a list.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
