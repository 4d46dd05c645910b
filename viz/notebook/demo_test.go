// SPDX-License-Identifier: Apache-2.0

package notebook

import (
	"metrolab/viz"
	"metrolab/viz/table"
)

// All numbers in this file are made up.

func demoCurves(name string) viz.Curves {
	return viz.Curves{Name: "outcome", Title: "RTD AUC", X: viz.Steps, Y: viz.Axis{Label: "RTD AUC"},
		Series: []viz.Series{{Name: name, Runs: []viz.Line{{X: []float64{0, 600, 1200}, Y: []float64{0.5, 0.6, 0.7}}}}}}
}

func demoCorrection() viz.Correction {
	return viz.Correction{Name: "corrected", Title: "What the model would correct",
		Tokens: []viz.Token{{Text: "an", Replaced: 0.1}, {Text: "elephant", Replaced: 0.97, Correction: "error"}}}
}

func demoSizes() viz.GeneratorSizes {
	return viz.GeneratorSizes{Name: "sizes", Title: "How large a generator?", Outcome: "RTD AUC",
		Sizes: []viz.GeneratorSize{{Ratio: 0.5, Outcomes: []float64{0.7}}, {Ratio: 1, Outcomes: []float64{0.8}}}}
}

func demoTable() table.Table {
	return table.Table{Columns: []table.Column{{Name: "arm"}, {Name: "diff", Align: table.Right, Format: "%+.3f"}}, Rows: [][]any{{"no CLM", -0.0256}}}
}
