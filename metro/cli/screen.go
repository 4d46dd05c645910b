// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rivo/uniseg"
	"golang.org/x/term"
)

// stderr is where a command says how it goes.
var stderr = newScreen(os.Stderr)

// screen is the standard error of a command: lines that stay and, on a terminal, a few below them that are drawn again in
// place. What is written goes above these. It may be used from several goroutines.
type screen struct {
	w    io.Writer
	size func() (columns, rows int) // of the terminal; nil on anything else, where nothing is drawn

	mu     sync.Mutex
	block  []string // as it stands on the terminal
	latest time.Time
	waits  string
}

// newScreen returns the screen of a file. A terminal that cannot move its cursor gets lines alone.
func newScreen(f *os.File) *screen {
	s := &screen{w: f}
	if isTerminal(f) && os.Getenv("TERM") != "dumb" {
		s.size = func() (int, int) {
			columns, rows, err := term.GetSize(int(f.Fd()))
			if err != nil || columns <= 0 || rows <= 0 {
				return 80, 24
			}
			return columns, rows
		}
	}
	return s
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// live reports whether the screen can be drawn on.
func (s *screen) live() bool { return s.size != nil }

// Write writes lines that stay.
func (s *screen) Write(lines []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.block) == 0 {
		return s.w.Write(lines)
	}
	// In one write, so that nobody sees the screen without its block.
	text := s.erase() + string(lines)
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if _, err := io.WriteString(s.w, text+strings.Join(s.block, "\n")); err != nil {
		return 0, err
	}
	return len(lines), nil
}

// draw puts a block in the place of the last one. compose makes its lines for a terminal of so many columns and rows; the
// lines should leave room for the ^C that a terminal shows at the cursor. Calls that come too soon after another are
// passed over, unless the block is urgent.
func (s *screen) draw(urgent bool, compose func(columns, rows int) []string) {
	const pause = 200 * time.Millisecond
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live() || !urgent && time.Since(s.latest) < pause {
		return
	}
	s.latest = time.Now()
	block := compose(s.size())
	fmt.Fprint(s.w, s.erase()+strings.Join(block, "\n"))
	s.block = block
}

// clear takes the block off the terminal.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.block) > 0 {
		fmt.Fprint(s.w, s.erase())
	}
	s.block = nil
}

// erase returns what takes the block off the terminal, the cursor being at its end. A terminal that has become narrower
// has broken its lines into several.
func (s *screen) erase() string {
	if len(s.block) == 0 {
		return ""
	}
	columns, rows := s.size()
	height := 0
	for _, line := range s.block {
		height += max(1, (uniseg.StringWidth(line)+columns-1)/columns)
	}
	if up := min(height, rows) - 1; up > 0 {
		return fmt.Sprintf("\r\x1b[%dA\x1b[J", up)
	}
	return "\r\x1b[J"
}

// waitFor notes what a command that is told to stop has to wait for; empty if for nothing that takes time.
func (s *screen) waitFor(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = what
}

func (s *screen) waitsFor() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waits
}

// cut returns the start of text that is no wider than so many cells, with an ellipsis if it is not all.
func cut(text string, cells int) string {
	if uniseg.StringWidth(text) <= cells {
		return text
	}
	var b strings.Builder
	width := 1 // the ellipsis
	for rest, state := text, -1; rest != ""; {
		var cluster string
		var w int
		cluster, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if width += w; width > cells {
			break
		}
		b.WriteString(cluster)
	}
	return b.String() + "…"
}
