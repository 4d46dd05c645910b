// SPDX-License-Identifier: Apache-2.0

package table

import (
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"metrolab/viz/internal/typeset"
)

const (
	columnGap  = 2
	widestWord = 24 // cells, beyond which a word is broken into lines
	leastWide  = 8  // cells for characters of two cells each
)

// Text returns the table for a terminal of so many cells, 0 for any width: no boxes, aligned also where characters
// take two cells or none. Where the table is too wide, words and the names of columns are wrapped, the widest column first,
// but no word and no number is broken; where that is not enough, each row becomes a list with a line a column.
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
	var b strings.Builder
	widths, fits := t.textWidths(rows, width)
	if !fits && len(t.Columns) > 1 {
		t.writeList(&b, rows, width)
		return b.String(), nil
	}
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

// textWidths are the widths of the longest cells, narrowed to fit, and whether they do.
func (t Table) textWidths(rows [][]string, width int) (widths []int, fits bool) {
	widths, floors := make([]int, len(t.Columns)), make([]int, len(t.Columns))
	total := columnGap * (len(widths) - 1)
	for i, c := range t.Columns {
		widths[i], floors[i] = uniseg.StringWidth(rows[0][i]), longestWord(rows[0][i])
		for _, row := range rows[1:] {
			widths[i], floors[i] = max(widths[i], uniseg.StringWidth(row[i])), max(floors[i], c.floor(row[i]))
		}
		total += widths[i]
	}
	for ; width > 0 && total > width; total-- {
		widest := -1
		for i := range widths {
			if widths[i] > floors[i] && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return widths, false
		}
		widths[widest]--
	}
	return widths, true
}

// longestWord is the width of the longest part of a text that stays in one piece: a word, or what lies between the joints of
// a compound name.
func longestWord(text string) (width int) {
	for word := range strings.FieldsSeq(text) {
		for word != "" {
			end := strings.IndexAny(word, typeset.Joints) + 1
			if end == 0 {
				end = len(word)
			}
			cells := uniseg.StringWidth(word[:end])
			if cells > utf8.RuneCountInString(word[:end]) { // a script that is broken between any two characters
				cells = min(cells, leastWide)
			}
			width = max(width, cells)
			word = word[end:]
		}
	}
	return min(width, widestWord)
}

// writeList writes each row as lines of a column's name and the cell, for a terminal that is too narrow for a table.
func (t Table) writeList(b *strings.Builder, rows [][]string, width int) {
	names := rows[0]
	longest, least, floor := 0, 0, 0 // of the names, and of the cells
	for i, name := range names {
		longest, least = max(longest, uniseg.StringWidth(name)), max(least, longestWord(name))
		for _, row := range rows[1:] {
			floor = max(floor, t.Columns[i].floor(row[i]))
		}
	}
	left := max(least, min(longest, width/2, width-columnGap-floor))
	widths := []int{left, max(width-left-columnGap, floor)}
	list := Table{Columns: make([]Column, len(widths))}
	for i, row := range rows[1:] {
		if i > 0 {
			b.WriteString("\n")
		}
		for k, cell := range row {
			list.writeTextRow(b, []string{names[k], cell}, widths)
		}
	}
}

// floor is the least width for a cell of the column: words are wrapped, numbers are not.
func (c Column) floor(cell string) int {
	if c.Align == Left {
		return longestWord(cell)
	}
	return uniseg.StringWidth(cell)
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
