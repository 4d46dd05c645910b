// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"metrolab/metro/compress"
	"metrolab/metro/hf"
	"metrolab/metro/outputs"
	"metrolab/viz/table"
)

// loadRows is on how many texts it is counted how often experts are chosen.
const loadRows = 256

// pruneExperts writes the model with as many experts as f.experts, and prints which are kept and what that changes.
func pruneExperts(cmd *cobra.Command, f compressFlags) error {
	m, err := openRemade(f.model, f.out)
	if err != nil {
		return err
	}
	defer m.source.Close()
	rows, be, err := m.runOn(cmd.Context(), f.corpus, f.backend, loadRows)
	if err != nil {
		return err
	}
	loads, err := during("counting choices", func() ([][]float32, error) { return outputs.Loads(be, m.source, rows) })
	if err != nil {
		return err
	}
	fewer, kept, err := compress.Prune(m.source, f.experts, loads)
	if err != nil {
		return err
	}
	differences, err := during("comparing the models", func() ([]outputs.Difference, error) {
		return compareOutputs(be, m.source, fewer, rows[:min(len(rows), receiptRows)])
	})
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	printTable(w, expertTable(loads, kept))
	fmt.Fprintln(w)
	printTable(w, differenceTable(differences))
	fmt.Fprintf(w, "\nshares of the choices of %d texts that were not trained on\n", len(rows))
	if err := m.write(w, f.out, fewer, hf.Export); err != nil {
		return err
	}
	fmt.Fprintf(w, "\ncompressed: %s\n", f.out)
	return nil
}

// expertTable has a row for each layer.
func expertTable(loads [][]float32, kept [][]int) table.Table {
	t := table.Table{Columns: []table.Column{{Name: "layer", Align: table.Right}, {Name: "kept"}, {Name: "their shares"}, {Name: "missed", Align: table.Right}}}
	for layer, experts := range kept {
		var names, shares []string
		missed := 1.0
		for _, e := range experts {
			names, shares = append(names, fmt.Sprint(e)), append(shares, fmt.Sprintf("%.3f", loads[layer][e]))
			missed -= float64(loads[layer][e])
		}
		t.Rows = append(t.Rows, []any{layer, strings.Join(names, " "), strings.Join(shares, " "), fmt.Sprintf("%.3f", max(0, missed))})
	}
	return t
}
