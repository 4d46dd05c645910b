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

	"metrolab/internal/progress"
)

// bar is a progress bar on stderr with an estimate of the time left. On something that is no terminal it prints a line
// every quarter of the way instead.
type bar struct {
	name     string
	shown    *progressbar.ProgressBar
	quarter  int
	plain    bool
	estimate progress.Estimate
}

func newBar(name string) *bar {
	return &bar{name: name, plain: !term.IsTerminal(int(os.Stderr.Fd()))}
}

// set moves the bar to done of total.
func (b *bar) set(done, total int) { b.describe(done, total, "") }

// describe moves the bar and puts words beside it, with the time left.
func (b *bar) describe(done, total int, words string) {
	b.estimate.Reach(done)
	if left := b.estimate.Words(total - done); left != "" {
		words += ", " + left
	}
	b.show(done, total, words)
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

// terminalWidth is the width to print tables at.
func terminalWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 120
}
