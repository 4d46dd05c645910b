// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"

	"metrolab/metro/runs"
)

// Standing is where a study stands, as its folder says: whoever trains it, in whatever process, on whatever machine.
type Standing struct {
	Results     Results
	UnderWay    []UnderWay // in the order of the runs
	Done, Total int        // steps of all runs
}

// UnderWay is a run that a live process holds.
type UnderWay struct {
	Run
	Step, Steps int // of the training, as last told
}

// Stand reads where the study stands whose report is, or will be, in dir. See [Open].
func Stand(dir string) (Standing, error) {
	r, err := Open(dir)
	if err != nil {
		return Standing{}, err
	}
	s := Standing{Results: r}
	for _, run := range r.Runs {
		c := r.config(run.Arm)
		length := r.Study.length(run.Arm, c)
		own := length - r.Study.Finetune.steps()
		s.Total += length
		if run.Ended {
			s.Done += length
			continue
		}
		for i, id := range []string{run.ID, run.Tuned} {
			at, known := r.summary(id)
			switch {
			case !known:
			case i == 0:
				s.Done += min(own, max(0, at.Step-r.Study.shared(run.Arm, c)))
			default:
				s.Done += min(length-own, at.Step)
			}
			if known && at.State == runs.Running {
				s.UnderWay = append(s.UnderWay, UnderWay{run, at.Step, at.Total})
			}
		}
	}
	return s, nil
}

// summary is that of the run of an ID, if it has begun.
func (r Results) summary(id string) (runs.Summary, bool) {
	if !(Run{ID: id}).begun(r.Store.Root) {
		return runs.Summary{}, false
	}
	run, err := r.Store.Open(id)
	if err != nil {
		return runs.Summary{}, false
	}
	return run.Summary(), true
}

// Ended says whether there is nothing more to come: every run has ended, or a study until decided has its verdicts.
func (s Standing) Ended() bool {
	return s.Results.Complete() && len(s.UnderWay) == 0
}

// String says in a line where the study stands: "3 of 9 runs, baseline seed 1 step 400 of 2400".
func (s Standing) String() string {
	words := fmt.Sprintf("%d of %s%d runs", s.Results.Ended(), s.Results.Study.AtMost(), len(s.Results.Runs))
	for _, u := range s.UnderWay {
		words += fmt.Sprintf(", %s seed %d step %d of %d", u.Arm, u.Seed, u.Step, u.Steps)
	}
	return words
}
