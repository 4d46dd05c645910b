// SPDX-License-Identifier: Apache-2.0

package table

import (
	"strings"

	"github.com/rivo/uniseg"

	"metrolab/viz/internal/typeset"
)

const (
	columnGap   = 2
	leastColumn = 8 // cells, to which a column of words may be narrowed
)

// Text returns the table for a terminal of so many cells, 0 for any width: no boxes, aligned also where characters
// take two cells or none. Columns of words are wrapped, the widest first, until the table fits or none can give more.
func (t Table) Text(width int) (string, error) {
	if err := t.Check(); err != nil {
		return "", err
	}
	rows := [][]string{t.headNames()}
	for _, row := range t.Rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = typeset.Printable(t.Columns[i].show(cell))
		}
		rows = append(rows, cells)
	}
	widths := t.textWidths(rows, width)
	var b strings.Builder
	for i, row := range rows {
		t.writeTextRow(&b, row, widths)
		if i == 0 {
			rule := make([]string, len(widths))
			for k, w := range widths {
				rule[k] = strings.Repeat("\u2500", w)
			}
			t.writeTextRow(&b, rule, widths)
		}
	}
	return b.String(), nil
}

func (t Table) headNames() []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = typeset.Printable(c.Name)
	}
	return names
}

// textWidths are the widths of the longest cells, narrowed to fit.
func (t Table) textWidths(rows [][]string, width int) []int {
	widths := make([]int, len(t.Columns))
	total := columnGap * (len(widths) - 1)
	for i := range widths {
		for _, row := range rows {
			widths[i] = max(widths[i], uniseg.StringWidth(row[i]))
		}
		total += widths[i]
	}
	for ; width > 0 && total > width; total-- {
		widest := -1
		for i, c := range t.Columns {
			if c.Align == Left && widths[i] > leastColumn && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}

// writeTextRow writes one row on as many lines as its longest cell takes.
func (t Table) writeTextRow(b *strings.Builder, row []string, widths []int) {
	cells, height := make([][]string, len(row)), 1
	for i, text := range row {
		cells[i] = typeset.Wrap(func(s string) bool { return uniseg.StringWidth(s) <= widths[i] }, text)
		height = max(height, len(cells[i]))
	}
	for k := range height {
		var line strings.Builder
		for i, c := range t.Columns {
			text := ""
			if k < len(cells[i]) {
				text = cells[i][k]
			}
			pad := strings.Repeat(" ", max(0, widths[i]-uniseg.StringWidth(text)))
			if c.Align == Right {
				text, pad = pad, text
			}
			line.WriteString(text + pad + strings.Repeat(" ", columnGap))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}
