// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"

	"metrolab/viz/table"
)

// Tables shows a report: the metrics of each case, and, where they were counted, the operations of each part of a step.
func (r Report) Tables() []table.Table {
	list := []table.Table{r.metricsTable()}
	if parts := r.partsTable(); len(parts.Rows) > 0 {
		list = append(list, parts)
	}
	return list
}

func (r Report) metricsTable() table.Table {
	first := map[string]string{"step": "recipe", "components": "component", "scale": "size"}[r.Suite]
	t := table.Table{Columns: []table.Column{{Name: first}}}
	if r.Suite != "components" { // all of which have one size
		t.Columns = append(t.Columns, table.Column{Name: "rows × tokens", Align: table.Right})
	}
	shown := r.shown()
	for _, m := range shown {
		t.Columns = append(t.Columns, table.Column{Name: m.Label, Align: table.Right})
	}
	if r.Suite == "scale" {
		t.Columns = append(t.Columns, table.Column{Name: "grows as", Align: table.Right})
	}
	for _, c := range r.Cases {
		row := []any{c.Name}
		if r.Suite != "components" {
			row = append(row, fmt.Sprintf("%d × %d", c.Rows, c.Length))
		}
		for _, m := range shown {
			row = append(row, c.withSpread(m.Key))
		}
		if r.Suite == "scale" {
			row = append(row, r.growth(c))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// growth is the exponent of the case's size, beside the largest of it.
func (r Report) growth(c Case) any {
	points := r.series(c.Series)
	k, known := r.Exponent(c.Series)
	if c.Series == "" || !known || points[len(points)-1].Name != c.Name {
		return nil
	}
	return fmt.Sprintf("%s^%.2f", c.Series, k)
}

// shown are the metrics that a table has room for. The others are in the file.
func (r Report) shown() (list []Metric) {
	hidden := map[string]bool{
		StepSeconds: r.Suite == "step", StepProcessorSeconds: r.Suite == "step", PeakFLOPsPerSecond: true, CompileProcessorSeconds: true,
	}
	if r.Suite == "scale" {
		for _, key := range []string{CompileSeconds, LoaderShare, HostShare, TokensPerProcessorSecond} {
			hidden[key] = true
		}
	}
	for _, m := range metrics {
		for _, c := range r.Cases {
			if len(c.Samples[m.Key]) > 0 && !hidden[m.Key] {
				list = append(list, m)
				break
			}
		}
	}
	return list
}

// partsTable has the operations of a step in its parts, in numbers and in per cent.
func (r Report) partsTable() table.Table {
	t := table.Table{Columns: []table.Column{{Name: "operations a step"}}}
	for _, part := range (FLOPs{}).Parts() {
		t.Columns = append(t.Columns, table.Column{Name: part.Name, Align: table.Right})
	}
	t.Columns = append(t.Columns, table.Column{Name: "sum", Align: table.Right})
	if r.Suite != "step" {
		return t
	}
	for _, c := range r.Cases {
		if c.FLOPs == nil {
			continue
		}
		row := []any{c.Name}
		for _, part := range c.FLOPs.Parts() {
			if part.Value == 0 {
				row = append(row, 0)
				continue
			}
			row = append(row, fmt.Sprintf("%s (%.0f %%)", operations(part.Value), 100*part.Value/c.FLOPs.Total()))
		}
		t.Rows = append(t.Rows, append(row, operations(c.FLOPs.Total())))
	}
	return t
}

// operations writes a number of them with three digits.
func operations(x float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}} {
		if x >= unit.size {
			return significant(x/unit.size) + " " + unit.name
		}
	}
	return significant(x/1e3) + " k"
}
