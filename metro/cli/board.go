// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"metrolab/ablations"
	"metrolab/internal/progress"
	"metrolab/metro/metrics"
	"metrolab/metro/training"
)

// board shows a study under way on stderr: the table, which fills as runs end, and under it a bar over all steps of
// all runs with the time left. On something that is no terminal it prints a line as each run ends.
type board struct {
	*ablations.Board
	bar   *bar
	live  bool
	lines int // of the table on the screen
}

func newBoard(study ablations.Study) *board {
	return &board{Board: ablations.NewBoard(study), bar: newBar(""), live: term.IsTerminal(int(os.Stderr.Fd()))}
}

func (b *board) report(e ablations.Event) {
	b.Update(e)
	if e.Result != nil {
		b.runEnded(e)
	}
	if b.live {
		b.bar.show(b.Done, b.Total, b.String())
	}
}

func (b *board) runEnded(e ablations.Event) {
	if !b.live {
		m := metrics.Of(b.Results.Study.Outcome.Metric)
		fmt.Fprintf(os.Stderr, "%d of %d: %s, seed %d: %s "+m.Format+" (%s)%s\n", e.Done, e.Total, e.Arm, e.Seed, m.Key,
			e.Result.Metrics[m.Key], progress.Duration(time.Duration(e.Result.Seconds*float64(time.Second))), diverged(e.Result))
		return
	}
	b.bar.finish()
	b.bar = newBar("")
	b.clearTable()
	text, err := b.Results.Table().Text(terminalWidth(os.Stderr))
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
