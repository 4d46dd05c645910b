// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"time"

	"metrolab/ablations"
	"metrolab/viz/notebook"
	"metrolab/viz/table"
)

// board is the live table of a study.
type board struct {
	results ablations.Results
	line    string
	begun   time.Time
	trained int         // steps in this call
	steps   map[int]int // by worker, of the run under way
}

func newBoard(s ablations.Study) *board {
	b := &board{begun: time.Now(), steps: map[int]int{}, results: ablations.Results{Study: s}}
	b.results.Arms, _ = s.Arms() // the study checks them
	return b
}

func (b *board) hear(e ablations.Event) {
	if e.Result != nil {
		b.results.Runs = append(b.results.Runs, ablations.Run{Arm: e.Arm, Seed: e.Seed, Result: *e.Result, Ended: true})
		delete(b.steps, e.Worker)
		b.line = fmt.Sprintf("%d of %d runs", e.Done, e.Total)
		return
	}
	if before, under := b.steps[e.Worker]; under {
		b.trained += max(0, e.Progress.Step-before)
	}
	b.steps[e.Worker] = e.Progress.Step
	b.line = fmt.Sprintf("%d of %d runs; %s, seed %d: step %d of %d", e.Done, e.Total, e.Arm, e.Seed, e.Progress.Step, e.Progress.Steps)
	missing := (e.Total-e.Done)*e.Progress.Steps - e.Progress.Step
	if b.trained > 0 {
		b.line += fmt.Sprintf("; about %s left", (time.Since(b.begun) / time.Duration(b.trained) * time.Duration(missing)).Round(time.Second))
	}
}

func (b *board) frame() []notebook.Output {
	where := table.Table{Columns: []table.Column{{Name: "study " + b.results.Study.Name}}, Rows: [][]any{{b.line}}}
	if len(b.results.Runs) == 0 {
		return []notebook.Output{where}
	}
	return []notebook.Output{b.results.Table(), where}
}
