// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// estimate tells the time left from what was done while it watched: work that was found done does not count, pauses
// for compiling and evaluating do.
type estimate struct {
	started time.Time
	done    int
}

// add notes n more units done.
func (e *estimate) add(n int) {
	if e.started.IsZero() {
		e.started = time.Now() // how long these took is not known
		return
	}
	e.done += n
}

// left is the time that the remaining units will take, in words; empty while it is not known.
func (e *estimate) left(remaining int) string {
	if e.done == 0 || remaining == 0 {
		return ""
	}
	return ", " + duration(time.Since(e.started)*time.Duration(remaining)/time.Duration(e.done)) + " left"
}

// bar is a progress bar on stderr with an estimate of the time left. On something that is no terminal it prints a line
// every quarter of the way instead.
type bar struct {
	name     string
	shown    *progressbar.ProgressBar
	quarter  int
	plain    bool
	last     int
	estimate estimate
}

func newBar(name string) *bar {
	return &bar{name: name, plain: !term.IsTerminal(int(os.Stderr.Fd()))}
}

// set moves the bar to done of total.
func (b *bar) set(done, total int) { b.describe(done, total, "") }

// describe moves the bar and puts words beside it, with the time left.
func (b *bar) describe(done, total int, words string) {
	if done > b.last {
		b.estimate.add(done - b.last)
		b.last = done
	}
	b.show(done, total, words+b.estimate.left(total-done))
}

// show moves the bar and puts words beside it.
func (b *bar) show(done, total int, words string) {
	if b.plain {
		if q := 4 * done / max(total, 1); q > b.quarter {
			b.quarter = q
			fmt.Fprintf(os.Stderr, "%s: %d%%, %s\n", b.name, 100*done/max(total, 1), strings.TrimPrefix(words, ", "))
		}
		return
	}
	if b.shown == nil {
		b.shown = progressbar.NewOptions(total,
			progressbar.OptionSetDescription(b.name), progressbar.OptionSetWriter(os.Stderr),
			progressbar.OptionSetWidth(24), progressbar.OptionThrottle(200*time.Millisecond),
			progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish(), progressbar.OptionSetRenderBlankState(true))
	}
	b.shown.Describe(strings.TrimSpace(b.name + " " + strings.TrimPrefix(words, ", ")))
	_ = b.shown.Set(min(done, total))
}

func (b *bar) finish() {
	if b.shown != nil {
		_ = b.shown.Clear()
	}
}

// size writes a number of bytes with three digits, such as "11.7 MB".
func size[N int64 | uint64](bytes N) string { return humanize.BytesN(uint64(bytes), 3) }

// duration writes a time as people say it.
func duration(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 90*time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	default:
		return fmt.Sprintf("%.1f h", d.Hours())
	}
}

// terminalWidth is the width to print tables at.
func terminalWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 120
}
