// SPDX-License-Identifier: Apache-2.0

package table

import (
	"encoding/csv"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"unicode"

	"metrolab/viz/internal/typeset"
)

// Align is the side of a column that its cells keep to.
type Align int

// Alignments: words to the left, numbers to the right. Only left columns are wrapped when a table is too wide.
const (
	Left Align = iota
	Right
)

// Column is the head of a table's column.
type Column struct {
	Name   string
	Align  Align
	Format string // fmt verb for floating-point cells, such as "%.3f"; if empty, the shortest decimal
}

// Table is a table, defined once and printed in many ways. A cell is a string, a number or anything that fmt prints;
// nil and NaN stand for what is not known and print as a dash.
type Table struct {
	Columns []Column
	Rows    [][]any
}

// Markdown returns the table in the form that GitHub and notebooks show. Text is escaped.
func (t Table) Markdown() (string, error) {
	if err := t.Check(); err != nil {
		return "", err
	}
	var b strings.Builder
	row := func(cell func(i int, c Column) string) {
		for i, c := range t.Columns {
			fmt.Fprintf(&b, "| %s ", cell(i, c))
		}
		b.WriteString("|\n")
	}
	row(func(_ int, c Column) string { return escapeMarkdown(c.Name) })
	row(func(_ int, c Column) string { return []string{"---", "---:"}[c.Align] })
	for _, cells := range t.Rows {
		row(func(i int, c Column) string { return escapeMarkdown(c.show(cells[i])) })
	}
	return b.String(), nil
}

var markdownEscapes = strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`, "]", `\]`, "~", `\~`, "$", `\$`,
	"&", "&amp;", "<", "&lt;", ">", "&gt;")

func escapeMarkdown(s string) string { return markdownEscapes.Replace(typeset.Printable(s)) }

// HTML returns the table as one escaped <table>; cells to the right carry the class "num".
func (t Table) HTML() (template.HTML, error) {
	if err := t.Check(); err != nil {
		return "", err
	}
	var b strings.Builder
	cell := func(tag, attributes string, c Column, text string) {
		if c.Align == Right {
			attributes += ` class="num"`
		}
		fmt.Fprintf(&b, "<%s%s>%s</%s>", tag, attributes, template.HTMLEscapeString(text), tag)
	}
	b.WriteString("<table>\n<thead><tr>")
	for _, c := range t.Columns {
		cell("th", ` scope="col"`, c, c.Name)
	}
	b.WriteString("</tr></thead>\n<tbody>\n")
	for _, row := range t.Rows {
		b.WriteString("<tr>")
		for i, c := range t.Columns {
			cell("td", "", c, c.Typeset(row[i]))
		}
		b.WriteString("</tr>\n")
	}
	b.WriteString("</tbody>\n</table>\n")
	return template.HTML(b.String()), nil
}

// CSV returns the table with a line of column names, numbers in full precision whatever the column's format, and
// nothing where a cell is nil. Text that a spreadsheet would run as a formula begins with an apostrophe.
func (t Table) CSV() (string, error) {
	if err := t.Check(); err != nil {
		return "", err
	}
	var b strings.Builder
	w := csv.NewWriter(&b)
	record := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		record[i] = inert(c.Name)
	}
	w.Write(record)
	for _, row := range t.Rows {
		for i, cell := range row {
			record[i] = exact(cell)
			if !isNumber(cell) {
				record[i] = inert(record[i])
			}
		}
		w.Write(record)
	}
	w.Flush()
	return b.String(), w.Error()
}

// inert keeps text from being a formula, which begins with one of these signs, in half or full width, after any spaces; a
// tab or the end of a line may lead into the next cell. Text that is a number stays one.
func inert(text string) string {
	const formula = "=+-@\uff1d\uff0b\uff0d\uff20"
	if _, err := strconv.ParseFloat(text, 64); err == nil || text == "" {
		return text
	}
	first := strings.TrimLeftFunc(text, unicode.IsSpace)
	if strings.ContainsAny(text[:1], "\t\r\n") || first != "" && strings.ContainsRune(formula, []rune(first)[0]) {
		return "'" + text
	}
	return text
}

// Check fails on a table that has no columns, or a row with more or fewer cells than those.
func (t Table) Check() error {
	if len(t.Columns) == 0 {
		return fmt.Errorf("viz: table has no columns")
	}
	for i, row := range t.Rows {
		if len(row) != len(t.Columns) {
			return fmt.Errorf("viz: table row %d of %d has %d cells for %d columns", i+1, len(t.Rows), len(row), len(t.Columns))
		}
	}
	return nil
}

// show formats a cell for people.
func (c Column) show(cell any) string {
	v, isFloat := float(cell)
	switch {
	case cell == nil, isFloat && math.IsNaN(v):
		return typeset.Missing
	case c.Format != "" && isFloat:
		return typeset.UnsignedZero(fmt.Sprintf(c.Format, cell))
	default:
		return exact(cell)
	}
}

// Typeset formats a cell of the column for print: as in [Table.Text], with real minus signs on numbers.
func (c Column) Typeset(cell any) string {
	s := c.show(cell)
	if isNumber(cell) {
		s = strings.Replace(s, "-", typeset.Minus, 1)
	}
	return s
}

func exact(cell any) string {
	switch v := cell.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32)
	default:
		return fmt.Sprint(v)
	}
}

func float(cell any) (float64, bool) {
	switch v := cell.(type) {
	case float64:
		return v, true
	case float32:
		return float64(v), true
	default:
		return 0, false
	}
}

func isNumber(cell any) bool {
	switch cell.(type) {
	case float32, float64, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		return true
	default:
		return false
	}
}
