// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"math"
	"strings"

	"metrolab/viz/internal/typeset"
)

// Heatmap is one or more matrices as colors, with one scale for all. [BiasMap] and [AttentionMap] are heat maps with the
// words that belong to them.
type Heatmap struct {
	Name                  string // of the figure's file
	Title                 string
	Caption               string // what to see in it; may be empty
	Label                 string // what a color is, and its unit
	RowLabel, ColumnLabel string
	Rows, Columns         []string // names, the first row on top; nil for numbers from 0
	Panels                []Panel
	Signed                bool // the colors are around zero, as wide to both sides; else from zero or the least value up
}

// Panel is one matrix of a [Heatmap]: Values[row][column], NaN where there is none. All panels have one shape.
type Panel struct {
	Name   string
	Values [][]float64
}

// Figure draws the matrices. It fails where shapes and names do not fit together or nothing is finite.
func (h Heatmap) Figure() (Figure, error) {
	if err := h.check(); err != nil {
		return Figure{}, err
	}
	d := newHeatmapDrawing(h)
	p := newPage(d.height)
	d.draw(p)
	return p.figure(h.Name, h.Title, h.Caption, d.data())
}

func (h Heatmap) check() error {
	if err := checkName(h.Name); err != nil {
		return err
	}
	rows, columns := h.shape()
	if rows == 0 || columns == 0 {
		return fmt.Errorf("viz: heat map %q: nothing to draw: %d panels, the first of %d rows and %d columns", h.Name, len(h.Panels), rows, columns)
	}
	const most = 1024
	if rows > most || columns > most {
		return fmt.Errorf("viz: heat map %q: %d × %d cells are more than can be seen; show at most %d × %d, such as a shorter text", h.Name, rows, columns, most, most)
	}
	if h.Rows != nil && len(h.Rows) != rows || h.Columns != nil && len(h.Columns) != columns {
		return fmt.Errorf("viz: heat map %q: %d row names and %d column names for %d × %d values", h.Name, len(h.Rows), len(h.Columns), rows, columns)
	}
	values := newExtent()
	for i, p := range h.Panels {
		if err := p.check(rows, columns); err != nil {
			return fmt.Errorf("viz: heat map %q: panel %d of %d (%q) %w", h.Name, i+1, len(h.Panels), p.Name, err)
		}
		values.addFinite(p.Values)
	}
	if values.low > values.high {
		return fmt.Errorf("viz: heat map %q: nothing to draw: no finite value", h.Name)
	}
	return nil
}

func (p Panel) check(rows, columns int) error {
	if len(p.Values) != rows {
		return fmt.Errorf("has %d rows where the first panel has %d", len(p.Values), rows)
	}
	for r, row := range p.Values {
		if len(row) != columns {
			return fmt.Errorf("has %d values in row %d and %d in the first", len(row), r+1, columns)
		}
		for c, v := range row {
			if math.IsInf(v, 0) {
				return fmt.Errorf("is infinite in row %d, column %d; mark a missing value by NaN", r+1, c+1)
			}
		}
	}
	return nil
}

// shape is that of the first panel.
func (h Heatmap) shape() (rows, columns int) {
	if len(h.Panels) == 0 || len(h.Panels[0].Values) == 0 {
		return 0, 0
	}
	return len(h.Panels[0].Values), len(h.Panels[0].Values[0])
}

func (e *extent) addFinite(matrix [][]float64) {
	for _, row := range matrix {
		for _, v := range row {
			if typeset.Finite(v) {
				e.add(v)
			}
		}
	}
}

// colors are the ramp and the values at its ends.
func (h Heatmap) colors() (r ramp, low, high float64) {
	e := newExtent()
	for _, p := range h.Panels {
		e.addFinite(p.Values)
	}
	if h.Signed {
		most := max(math.Abs(e.low), math.Abs(e.high), 1e-9)
		return signs, -most, most
	}
	low = min(e.low, 0)
	if e.low > 0 && e.low > e.high/2 {
		low = e.low // zero is far away
	}
	return amounts, low, max(e.high, low+1e-9)
}

// rowName is the name of row i, or its number.
func (h Heatmap) rowName(i int) string    { return nameOr(h.Rows, i) }
func (h Heatmap) columnName(i int) string { return nameOr(h.Columns, i) }

func nameOr(names []string, i int) string {
	if names == nil {
		return fmt.Sprint(i)
	}
	return typeset.Printable(names[i])
}

// data says where each panel is lowest and highest.
func (h Heatmap) data() string {
	_, low, high := h.colors()
	n := typeset.Decimals(low, high)
	var parts []string
	for _, p := range h.Panels {
		e := newExtent()
		e.addFinite(p.Values)
		if e.low > e.high {
			parts = append(parts, strings.TrimSpace(typeset.Printable(p.Name)+" no values"))
			continue
		}
		parts = append(parts, strings.TrimSpace(typeset.Printable(p.Name)+" "+h.place("lowest", p, e.low, n)+", "+h.place("highest", p, e.high, n)))
	}
	rows, columns := h.shape()
	return fmt.Sprintf("%s, %d rows by %d columns: %s.", h.Label, rows, columns, strings.Join(parts, "; "))
}

// place says in which cell of the panel the value v is first found.
func (h Heatmap) place(what string, p Panel, v float64, decimals int) string {
	for r, row := range p.Values {
		for c := range row {
			if row[c] == v {
				return fmt.Sprintf("%s %s (row %s, column %s)", what, typeset.Fixed(v, decimals), h.rowName(r), h.columnName(c))
			}
		}
	}
	return ""
}
