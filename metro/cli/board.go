// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"time"

	"metrolab/ablations"
	"metrolab/internal/progress"
	"metrolab/metro/training"
)

// board shows a study under way on stderr: the table, which fills as runs end, and under it a bar over all steps of
// all runs with the time left. On something that is no terminal it prints a line as each run begins and ends.
type board struct {
	*ablations.Board
	bar   *bar
	found int // runs that had ended before
	held  int // runs that others have, as said last
}

func newBoard(study ablations.Study) *board {
	return &board{Board: ablations.NewBoard(study), bar: newBar("")}
}

func (b *board) report(e ablations.Event) {
	if e.Held > 0 {
		if e.Held != b.held {
			fmt.Fprintf(stderr, "waiting for %d runs that other processes hold\n", e.Held)
		}
		b.held = e.Held
		return
	}
	b.Update(e)
	if e.Found {
		b.found++
	}
	b.bar.screen.waitFor(waitsFor(e.Progress))
	switch {
	case b.bar.screen.live():
		if e.Result != nil {
			b.bar.put(b.Results.Table())
		}
		words := b.Where()
		if left := b.Left(); left > 0 {
			words = b.AtMost() + progress.Duration(left) + " left, " + words
		}
		b.bar.show(b.Done, b.Total, words)
	case e.Result != nil:
		fmt.Fprintf(stderr, "%d of %d: %s, seed %d: %s (%s)%s\n", e.Done, e.Total, e.Arm, e.Seed,
			b.Outcome(), origin(e), diverged(e.Result))
	case e.Progress.Phase == "compiling":
		fmt.Fprintf(stderr, "%s, seed %d: compiling\n", e.Arm, e.Seed)
	}
}

// said sums up what was trained and what was there.
func (b *board) said() {
	if n := len(b.Results.Runs); b.found > 0 {
		fmt.Fprintf(stderr, "%d of %d runs had ended before, or elsewhere, and were not trained again\n", b.found, n)
	}
}

// origin says where a result comes from: how long the run took, a fork from its own first step on, or that it was there.
func origin(e ablations.Event) string {
	took := progress.Duration(time.Duration((e.Result.Seconds - e.Result.Before) * float64(time.Second)))
	if e.Found {
		return "trained before, in " + took
	}
	return took
}

func diverged(r *training.Result) string {
	if r.Diverged == "" {
		return ""
	}
	return ", " + r.Diverged
}

// finish leaves the place to what is printed at the end.
func (b *board) finish() { b.bar.finish() }
