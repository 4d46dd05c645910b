// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/rivo/uniseg"
)

// terminal is a model of one, as far as the command uses it: characters of one and two cells, line ends, the cursor up and
// the rest of the screen erased. Like most, it breaks a long line into rows again when its width changes.
type terminal struct {
	mu      sync.Mutex
	columns int
	lines   [][]string // a cluster a cell; the second cell of a wide one is empty
	line    int        // where the cursor is
	cell    int
	unknown []string // sequences that it does not know
	rest    string   // of an unfinished sequence
}

func newTerminal(columns int) *terminal { return &terminal{columns: columns, lines: [][]string{nil}} }

func (t *terminal) size() (columns, rows int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.columns, 24
}

func (t *terminal) resize(columns int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.columns = columns
}

var sequence = regexp.MustCompile("^\x1b\\[([0-9;?]*)([A-Za-z])")

func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := t.rest + string(p)
	t.rest = ""
	for text != "" {
		if strings.HasPrefix(text, "\x1b") {
			found := sequence.FindStringSubmatch(text)
			if found == nil {
				t.rest = text
				break
			}
			t.control(found[1], found[2])
			text = text[len(found[0]):]
			continue
		}
		if after, ok := strings.CutPrefix(text, "\r"); ok {
			t.cell -= t.column()
			text = after
			continue
		}
		var cluster string
		cluster, text, _, _ = uniseg.FirstGraphemeClusterInString(text, -1)
		if cluster == "\n" {
			t.down()
		} else {
			t.put(cluster)
		}
	}
	return len(p), nil
}

// column is that of the cursor, which stays on a full row until the next character.
func (t *terminal) column() int {
	if t.cell > 0 && t.cell%t.columns == 0 && t.cell == len(t.lines[t.line]) {
		return t.columns
	}
	return t.cell % t.columns
}

func (t *terminal) put(cluster string) {
	width := uniseg.StringWidth(cluster)
	line := t.lines[t.line]
	if width == 2 && t.cell%t.columns == t.columns-1 { // does not fit into the row
		line = set(line, t.cell, " ")
		t.cell++
	}
	for i := range width {
		line = set(line, t.cell, map[bool]string{true: cluster, false: ""}[i == 0])
		t.cell++
	}
	t.lines[t.line] = line
}

func set(line []string, cell int, cluster string) []string {
	for len(line) <= cell {
		line = append(line, " ")
	}
	line[cell] = cluster
	return line
}

// down goes to the start of the next row: the system sends a terminal "\r\n" for "\n".
func (t *terminal) down() {
	column := t.column()
	if start := t.cell - column; start+t.columns < len(t.lines[t.line]) { // the next row of the same line
		t.cell = start + t.columns
		return
	}
	if t.line++; t.line == len(t.lines) {
		t.lines = append(t.lines, nil)
	}
	t.cell = 0
}

func (t *terminal) up() {
	column := t.column()
	if start := t.cell - column; start > 0 {
		t.cell = start - t.columns + column
	} else if t.line > 0 {
		t.line--
		rows := max(1, (len(t.lines[t.line])+t.columns-1)/t.columns)
		t.cell = (rows-1)*t.columns + column
	}
}

func (t *terminal) control(number, name string) {
	switch name {
	case "A":
		n, _ := strconv.Atoi(number)
		for range max(n, 1) {
			t.up()
		}
	case "J":
		t.lines = t.lines[:t.line+1]
		t.lines[t.line] = t.lines[t.line][:min(t.cell, len(t.lines[t.line]))]
	case "m": // a colour
	default:
		t.unknown = append(t.unknown, fmt.Sprintf("ESC [ %s %s", number, name))
	}
}

// rows is what stands on the screen, without empty rows at the end.
func (t *terminal) rows() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var rows []string
	for _, line := range t.lines {
		for {
			row := line[:min(len(line), t.columns)]
			rows = append(rows, strings.TrimRight(strings.Join(row, ""), " "))
			line = line[len(row):]
			if len(line) == 0 {
				break
			}
		}
	}
	for len(rows) > 0 && rows[len(rows)-1] == "" {
		rows = rows[:len(rows)-1]
	}
	return rows
}

func (t *terminal) String() string { return strings.Join(t.rows(), "\n") }
