// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"time"

	"metrolab/internal/progress"
	"metrolab/metro"
)

// Board is where a study under way stands, for a terminal, a cell or a page to show: fed with the events of
// [Study.Run], it has the results so far, the steps that are done, and the time left.
type Board struct {
	Results     Results // of the runs that have ended while it watched
	Done, Total int     // steps of all runs

	last     Event
	lengths  map[string]int // steps of a run, by arm
	ended    int            // steps of the runs that have ended
	under    map[int]int    // by worker: steps of the run under way
	estimate progress.Estimate
}

// NewBoard returns the board of a study that has not begun. Its arms should be valid: [Study.Run] says what is wrong.
func NewBoard(s Study) *Board {
	b := &Board{Results: Results{Study: s}, lengths: map[string]int{}, under: map[int]int{}}
	b.Results.Arms, _ = s.Arms()
	for _, arm := range b.Results.Arms {
		b.lengths[arm.Name] = s.length(arm.Name, arm.Config)
		b.Total += len(s.Seeds) * b.lengths[arm.Name]
	}
	return b
}

// Update takes an event. Events come in their order, from one goroutine at a time.
func (b *Board) Update(e Event) {
	if e.Held > 0 {
		return
	}
	b.last = e
	if e.Result != nil {
		run := Run{Arm: e.Arm, Seed: e.Seed, Result: *e.Result, Ended: true}
		_ = run.measure(b.Results) // what cannot be read is missing, and said at the end
		b.Results.Runs = append(b.Results.Runs, run)
		b.ended += b.lengths[e.Arm]
		delete(b.under, e.Worker)
	} else {
		step := max(0, e.Progress.Step-b.Results.Study.shared(e.Arm, b.Results.config(e.Arm)))
		if before, known := b.under[e.Worker]; known && step > before {
			b.estimate.Add(step - before)
		}
		b.under[e.Worker] = step
	}
	b.Done = b.ended
	for _, step := range b.under {
		b.Done += step
	}
}

// Left is the time that the study will take from now on, at most where it goes on until it is decided; 0 while that is not known.
func (b *Board) Left() time.Duration { return b.estimate.Left(b.Total - b.Done) }

// String says in a line where the study stands: "3 of 9 runs, baseline seed 1, loss 5.678, 12,345 tokens/s, 4 min left".
func (b *Board) String() string {
	words := b.Where()
	if left := b.estimate.Words(b.Total - b.Done); left != "" {
		words += ", " + b.AtMost() + left
	}
	return words
}

// AtMost is the study's.
func (b *Board) AtMost() string { return b.Results.Study.AtMost() }

// AtMost is "at most " for a study that may end before its last run, and else empty: it stands before what is left.
func (s Study) AtMost() string {
	if s.UntilDecided {
		return "at most "
	}
	return ""
}

// Outcome is what the last run that has ended is compared by, in words.
func (b *Board) Outcome() string {
	m := describe(b.Results.Study.Outcome.Metric)
	if n := len(b.Results.Runs); n > 0 {
		run := b.Results.Runs[n-1]
		if value, measured := run.Result.Metrics[m.Key]; measured && run.read.censored {
			return fmt.Sprintf("%s more than "+m.Format, m.Key, value)
		} else if measured {
			return fmt.Sprintf("%s "+m.Format, m.Key, value)
		}
	}
	return m.Key + " not measured"
}

// length is the number of steps that are trained for a run of an arm, without those that are another run's.
func (s Study) length(arm string, c metro.Config) int {
	return c.Training.Steps - s.shared(arm, c) + s.Finetune.steps()
}

// Where is String without the time left.
func (b *Board) Where() string {
	words := fmt.Sprintf("%d of %s%d runs", b.last.Done, b.AtMost(), b.last.Total)
	if b.last.Total > 0 && b.last.Result == nil {
		words += fmt.Sprintf(", %s seed %d, %s", b.last.Arm, b.last.Seed, b.last.Progress)
	}
	return words
}
