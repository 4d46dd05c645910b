// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"metrolab/ablations"
	"metrolab/metro/training"
)

// board shows a study under way on stderr: the table, which fills as runs end, and under it a bar over all steps of
// all runs with the time left. On something that is no terminal it prints a line as each run ends.
type board struct {
	results ablations.Results
	bar     *bar
	live    bool
	lines   int // of the table on the screen

	estimate estimate    // over all runs
	steps    map[int]int // by worker, of the run under way
}

func newBoard(study ablations.Study) *board {
	b := &board{
		bar: newBar(""), live: term.IsTerminal(int(os.Stderr.Fd())),
		steps: map[int]int{},
	}
	b.results.Study = study
	b.results.Arms, _ = study.Arms() // checked by Run
	return b
}

func (b *board) report(e ablations.Event) {
	total := e.Total * b.results.Study.Baseline.Training.Steps
	if e.Result != nil {
		b.results.Runs = append(b.results.Runs, ablations.Run{Arm: e.Arm, Seed: e.Seed, Result: *e.Result, Ended: true})
		delete(b.steps, e.Worker)
		b.runEnded(e)
	} else {
		if before, under := b.steps[e.Worker]; under && e.Progress.Step > before {
			b.estimate.add(e.Progress.Step - before)
		}
		b.steps[e.Worker] = e.Progress.Step
	}
	done := e.Done * b.results.Study.Baseline.Training.Steps
	for _, step := range b.steps {
		done += step
	}
	words := fmt.Sprintf("%d of %d runs", e.Done, e.Total)
	if e.Result == nil {
		words = fmt.Sprintf("%s, %s seed %d, %s", words, e.Arm, e.Seed, progressWords(e.Progress))
	}
	if b.live {
		b.bar.show(done, total, words+b.estimate.left(total-done))
	}
}

func (b *board) runEnded(e ablations.Event) {
	outcome := b.results.Study.Outcome
	if !b.live {
		fmt.Fprintf(os.Stderr, "%d of %d: %s, seed %d: %s %.4f (%s)%s\n", e.Done, e.Total, e.Arm, e.Seed, outcome.Metric,
			e.Result.Metrics[outcome.Metric], duration(time.Duration(e.Result.Seconds*float64(time.Second))), diverged(e.Result))
		return
	}
	b.bar.finish()
	b.bar = newBar("")
	b.clearTable()
	text, err := b.results.Table().Text(terminalWidth(os.Stderr))
	if err != nil {
		return
	}
	b.lines = strings.Count(text, "\n")
	fmt.Fprint(os.Stderr, text)
}

func diverged(r *training.Result) string {
	if r.Diverged == "" {
		return ""
	}
	return ", " + r.Diverged
}

// clearTable takes the last table off the screen.
func (b *board) clearTable() {
	if b.lines > 0 {
		fmt.Fprintf(os.Stderr, "\033[%dA\033[J", b.lines)
		b.lines = 0
	}
}

// finish leaves the place to what is printed at the end.
func (b *board) finish() {
	b.bar.finish()
	b.clearTable()
}
