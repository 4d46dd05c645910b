// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"slices"

	"github.com/dustin/go-humanize"

	"metrolab/metro"
	"metrolab/viz/table"
)

// columns are the metrics that tables show, a table each, none wider than a terminal of 80 columns. The others are in the file.
// A metric of GPUs alone has no column where nothing ran on one.
var columns = map[string][][]string{
	"step": {
		{TokensPerSecond, TokensPerProcessorSecond, FLOPsPerSecond, PeakShare},
		{DeviceMemory, PeakMemory, CompileSeconds, LoaderShare, HostShare},
	},
	"components": {{CallSeconds, CallProcessorSeconds}},
	"scale":      {{StepSeconds, StepProcessorSeconds, FLOPsPerSecond}},
}

// Tables shows a report: the metrics of each case, and, of the suite "step", the operations of each part of a step and the weights.
func (r Report) Tables() (list []table.Table) {
	for i, keys := range columns[r.Suite] {
		list = append(list, r.metricsTable(keys, i == 0 && r.Suite != "components"))
	}
	if parts := r.partsTable(); r.Suite == "step" && len(parts.Rows) > 0 {
		list = append(list, parts)
	}
	if weights := r.weightsTable(); r.Suite == "step" && len(weights.Rows) > 0 {
		list = append(list, weights)
	}
	return list
}

// weightsTable has the weights of each case, and of these those that one token meets. A report from before they were written down has
// none.
func (r Report) weightsTable() table.Table {
	t := table.Table{Columns: []table.Column{{Name: "recipe"}, {Name: "weights", Align: table.Right}, {Name: "that a token meets", Align: table.Right}}}
	for _, c := range r.Cases {
		if c.Weights > 0 {
			t.Rows = append(t.Rows, []any{c.Name, humanize.Comma(int64(c.Weights)), humanize.Comma(int64(c.Active))})
		}
	}
	return t
}

// metricsTable has a row a case, with its size where the cases have several.
func (r Report) metricsTable(keys []string, sizes bool) table.Table {
	if !slices.ContainsFunc(r.Cases, func(c Case) bool { return len(c.Samples[DeviceMemory]) > 0 }) {
		keys = slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return key == DeviceMemory })
	}
	first := map[string]string{"step": "recipe", "components": "component", "scale": "size"}[r.Suite]
	t := table.Table{Columns: []table.Column{{Name: first}}}
	if sizes {
		t.Columns = append(t.Columns, table.Column{Name: "rows × tokens", Align: table.Right})
	}
	for _, key := range keys {
		t.Columns = append(t.Columns, table.Column{Name: metric(key).Label, Align: table.Right})
	}
	if r.Suite == "scale" {
		t.Columns = append(t.Columns, table.Column{Name: "grows as", Align: table.Right})
	}
	for _, c := range r.Cases {
		row := []any{c.Name}
		if sizes {
			row = append(row, fmt.Sprintf("%d × %d", c.Rows, c.Length))
		}
		for _, key := range keys {
			row = append(row, c.withSpread(key))
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
	return fmt.Sprintf("^%.2f", k)
}

// partsTable has the operations of a step in its parts, but for those that no case has.
func (r Report) partsTable() table.Table {
	t := table.Table{Columns: []table.Column{{Name: "operations a step"}}}
	had := map[string]bool{}
	for _, c := range r.Cases {
		if c.FLOPs == nil {
			continue
		}
		for _, part := range c.FLOPs.Parts() {
			had[part.Name] = had[part.Name] || part.Value > 0
		}
	}
	for _, part := range (metro.FLOPs{}).Parts() {
		if had[part.Name] {
			t.Columns = append(t.Columns, table.Column{Name: part.Name, Align: table.Right})
		}
	}
	t.Columns = append(t.Columns, table.Column{Name: "sum", Align: table.Right})
	for _, c := range r.Cases {
		if c.FLOPs == nil {
			continue
		}
		row := []any{c.Name}
		for _, part := range c.FLOPs.Parts() {
			switch {
			case part.Value > 0:
				row = append(row, operations(part.Value))
			case had[part.Name]:
				row = append(row, 0)
			}
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
