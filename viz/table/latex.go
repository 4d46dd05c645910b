// SPDX-License-Identifier: Apache-2.0

package table

import (
	"strings"

	"metrolab/viz/internal/typeset"
)

// LaTeX returns the table as a tabular between the rules of the package booktabs. Text is escaped; what XeTeX and LuaTeX read as
// letters, such as σ, is left.
func (t Table) LaTeX() (string, error) {
	if err := t.Check(); err != nil {
		return "", err
	}
	var b strings.Builder
	row := func(cell func(i int, c Column) string) {
		for i, c := range t.Columns {
			if i > 0 {
				b.WriteString(" & ")
			}
			b.WriteString(escapeLaTeX(cell(i, c)))
		}
		b.WriteString(" \\\\\n")
	}
	b.WriteString("\\begin{tabular}{")
	for _, c := range t.Columns {
		b.WriteString([]string{"l", "r"}[c.Align])
	}
	b.WriteString("}\n\\toprule\n")
	row(func(_ int, c Column) string { return c.Name })
	b.WriteString("\\midrule\n")
	for _, cells := range t.Rows {
		row(func(i int, c Column) string { return c.show(cells[i]) })
	}
	b.WriteString("\\bottomrule\n\\end{tabular}\n")
	return b.String(), nil
}

var latexEscapes = strings.NewReplacer(`\`, `\textbackslash{}`, "{", `\{`, "}", `\}`, "$", `\$`, "&", `\&`, "#", `\#`, "_", `\_`, "%", `\%`,
	"~", `\textasciitilde{}`, "^", `\textasciicircum{}`, "–", "--", "<", `\textless{}`, ">", `\textgreater{}`)

func escapeLaTeX(s string) string { return latexEscapes.Replace(typeset.Printable(s)) }
