// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/rivo/uniseg"
	"golang.org/x/term"

	"metrolab/internal/progress"
	"metrolab/metro/training"
	"metrolab/viz/table"
)

// bar shows how far some work is, with an estimate of the time left: on a terminal one line that is drawn again in place,
// elsewhere a line at each new phase, each quarter of the way, and each minute. Nothing is shown before the first call of
// show, put or wait, and finish must follow.
type bar struct {
	name   string
	screen *screen

	mu          sync.Mutex
	estimate    progress.Estimate
	done, total int
	words       string    // beside it, parts with commas between them, the most important first
	phase       string    // in the place of a percentage, while it lasts
	since       time.Time // the phase
	said        time.Time // the last plain line
	quarter     int       // the last one that was said
	above       *table.Table
	quit        chan struct{}
}

func newBar(name string) *bar { return &bar{name: name, screen: stderr} }

// set moves the bar to done of total.
func (b *bar) set(done, total int) { b.describe(done, total, "") }

// describe moves the bar and puts words beside it, after the time left.
func (b *bar) describe(done, total int, words string) {
	b.mu.Lock()
	b.estimate.Reach(done)
	if left := b.estimate.Words(total - done); left != "" {
		words = strings.TrimSuffix(left+", "+words, ", ")
	}
	b.mu.Unlock()
	b.show(done, total, words)
}

// show moves the bar and puts words beside it.
func (b *bar) show(done, total int, words string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ended := b.phase != ""
	b.done, b.total, b.words, b.phase = done, total, words, ""
	b.begin()
	if b.screen.live() {
		b.draw(ended)
		return
	}
	if b.said.IsZero() {
		b.said = time.Now()
	}
	quarter := 4 * done / max(total, 1)
	if quarter > b.quarter || time.Since(b.said) > time.Minute {
		b.quarter, b.said = quarter, time.Now()
		b.say(strings.TrimSuffix(fmt.Sprintf("%d%%, %s", percent(done, total), words), ", "))
	}
}

// during does what takes an unknown time, and says so on a terminal from the first second on.
func during[T any](phase string, do func() (T, error)) (T, error) {
	b := newBar("")
	b.mu.Lock()
	b.phase, b.since = phase, time.Now()
	b.begin()
	b.mu.Unlock()
	defer b.finish()
	return do()
}

// put shows a table above the bar.
func (b *bar) put(t table.Table) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.above = &t
	b.begin()
	b.draw(true)
}

// wait shows a phase whose length is not known, with the time that it takes so far.
func (b *bar) wait(phase string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	begins := b.phase != phase
	if begins {
		b.phase, b.since = phase, time.Now()
	}
	b.begin()
	if b.screen.live() {
		b.draw(begins)
	} else if begins {
		b.said = b.since
		b.say(phase)
	}
}

// train shows how a training goes.
func (b *bar) train(p training.Progress) {
	b.screen.waitFor(waitsFor(p))
	words := p.String()
	switch {
	case p.Phase == "compiling":
		b.wait(words)
	case words == p.Phase: // there is no loss to tell yet
		b.describe(p.Step, p.Steps, "")
	default:
		b.describe(p.Step, p.Steps, words)
	}
}

// waitsFor says what a training finishes before it stops.
func waitsFor(p training.Progress) string {
	switch p.Phase {
	case "compiling":
		return "the compilation, which cannot be cut short"
	case "evaluating":
		return "this evaluation"
	default:
		return "this step"
	}
}

// begin starts what draws the bar again each second, so that the time of a phase goes on and a terminal of another size is
// filled.
func (b *bar) begin() {
	if b.quit != nil || !b.screen.live() {
		return
	}
	quit := make(chan struct{})
	b.quit = quit
	go func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
			}
			b.mu.Lock()
			if b.quit == quit {
				b.draw(false)
			}
			b.mu.Unlock()
		}
	}()
}

// draw draws the bar on the terminal.
func (b *bar) draw(urgent bool) {
	b.screen.draw(urgent, func(columns, rows int) (lines []string) {
		if b.above != nil {
			if text, err := b.above.Text(columns); err == nil {
				lines = strings.Split(strings.TrimSuffix(text, "\n"), "\n")
			}
		}
		if len(lines)+2 > rows { // what does not fit cannot be drawn again in place
			lines = nil
		}
		return append(lines, b.line(columns))
	})
}

// line writes the bar for a terminal of so many columns: name, gauge, percentage, and as many of the words as there is
// room for, the first first.
func (b *bar) line(columns int) string {
	const room, widest, least = 3, 24, 8 // columns for a ^C at the end, and those of the gauge
	columns = max(columns-room, 1)
	if b.phase != "" {
		line := strings.TrimPrefix(b.name+": "+b.phase, ": ")
		if passed := time.Since(b.since); passed >= time.Second {
			line += ", " + progress.Duration(passed)
		}
		return cut(line, columns)
	}
	head, tail := b.name, fmt.Sprintf("%d %%", percent(b.done, b.total))
	if head != "" {
		head += " "
	}
	width := func(tail string) int { return uniseg.StringWidth(head) + uniseg.StringWidth(tail) }
	for word := range strings.SplitSeq(b.words, ", ") {
		if longer := tail + ", " + word; word != "" && width(longer) <= columns {
			tail = longer
		}
	}
	if gauge := min(columns-width(tail)-1, widest); gauge >= least {
		filled := gauge * min(b.done, b.total) / max(b.total, 1)
		head += strings.Repeat("█", filled) + strings.Repeat("░", gauge-filled) + " "
	}
	return cut(head+tail, columns)
}

// say writes a line on what is no terminal.
func (b *bar) say(words string) {
	fmt.Fprintln(b.screen, strings.TrimPrefix(b.name+": "+words, ": "))
}

// finish takes the bar away.
func (b *bar) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.quit != nil {
		close(b.quit)
		b.quit = nil
		b.screen.clear()
	}
	b.screen.waitFor("")
}

func percent(done, total int) int { return 100 * min(done, total) / max(total, 1) }

// size writes a number of bytes with three digits, such as "11.7 MB".
func size[N int64 | uint64](bytes N) string { return humanize.BytesN(uint64(bytes), 3) }

// terminalWidth is the width to print tables at.
func terminalWidth(w io.Writer) int {
	if f, ok := w.(interface{ Fd() uintptr }); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 120
}
