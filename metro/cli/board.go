// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"time"

	"metrolab/ablations"
	"metrolab/internal/progress"
	"metrolab/metro/metrics"
	"metrolab/metro/training"
)

// board shows a study under way on stderr: the table, which fills as runs end, and under it a bar over all steps of
// all runs with the time left. On something that is no terminal it prints a line as each run begins and ends.
type board struct {
	*ablations.Board
	bar *bar
}

func newBoard(study ablations.Study) *board {
	return &board{Board: ablations.NewBoard(study), bar: newBar("")}
}

func (b *board) report(e ablations.Event) {
	b.Update(e)
	b.bar.screen.waitFor(waitsFor(e.Progress))
	switch {
	case b.bar.screen.live():
		if e.Result != nil {
			b.bar.put(b.Results.Table())
		}
		words := b.Where()
		if left := b.Left(); left > 0 {
			words = progress.Duration(left) + " left, " + words
		}
		b.bar.show(b.Done, b.Total, words)
	case e.Result != nil:
		m := metrics.Of(b.Results.Study.Outcome.Metric)
		outcome := "not measured"
		if value, measured := e.Result.Metrics[m.Key]; measured {
			outcome = fmt.Sprintf(m.Format, value)
		}
		fmt.Fprintf(stderr, "%d of %d: %s, seed %d: %s %s (%s)%s\n", e.Done, e.Total, e.Arm, e.Seed, m.Key, outcome,
			progress.Duration(time.Duration(e.Result.Seconds*float64(time.Second))), diverged(e.Result))
	case e.Progress.Phase == "compiling":
		fmt.Fprintf(stderr, "%s, seed %d: compiling\n", e.Arm, e.Seed)
	}
}

func diverged(r *training.Result) string {
	if r.Diverged == "" {
		return ""
	}
	return ", " + r.Diverged
}

// finish leaves the place to what is printed at the end.
func (b *board) finish() { b.bar.finish() }
