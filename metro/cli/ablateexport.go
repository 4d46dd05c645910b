// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"metrolab/ablations"
	"metrolab/internal/usererr"
	"metrolab/viz/table"
)

// tableFormats write a table.
var tableFormats = map[string]func(table.Table) ([]byte, error){
	"csv":      textOf(table.Table.CSV),
	"latex":    textOf(table.Table.LaTeX),
	"markdown": textOf(table.Table.Markdown),
	"parquet":  parquetOf,
}

func textOf(write func(table.Table) (string, error)) func(table.Table) ([]byte, error) {
	return func(t table.Table) ([]byte, error) {
		text, err := write(t)
		return []byte(text), err
	}
}

// studyTables are the tables of a study that can be had as data.
var studyTables = map[string]func(ablations.Results) table.Table{
	"runs":     ablations.Results.RunTable,
	"verdicts": ablations.Results.VerdictTable,
	"costs":    ablations.Results.CostTable,
}

func ablateExportCommand() *cobra.Command {
	var format, output, which string
	cmd := &cobra.Command{
		Use:   "export FOLDER",
		Short: "Write a study's runs, verdicts or costs as CSV, Parquet, LaTeX or Markdown",
		Long: `Writes one table of a study: runs, a row a run with all that it measured and cost; verdicts, a row a change with the
paired difference, its interval, p and verdict; or costs, a row an arm. CSV and Parquet hold the exact numbers; LaTeX, for the
package booktabs, and Markdown hold them as people read them. Runs that have not ended are rows without numbers.`,
		Example: `  metro ablate export runs/quickstart --format csv
  metro ablate export runs/quickstart --format parquet --output quickstart.parquet
  metro ablate export runs/quickstart --format latex --table verdicts`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			write, ok := tableFormats[format]
			if !ok {
				return usererr.New("there is no format %q; there are %s", format, strings.Join(slices.Sorted(maps.Keys(tableFormats)), ", "))
			}
			tableOf, ok := studyTables[which]
			if !ok {
				return usererr.New("a study has no table %q; it has %s", which, strings.Join(slices.Sorted(maps.Keys(studyTables)), ", "))
			}
			results, err := ablations.Open(given[0])
			if err != nil {
				return err
			}
			for _, problem := range results.Problems {
				fmt.Fprintf(stderr, "missing, because it cannot be read: %s\n", problem)
			}
			text, err := write(tableOf(results))
			if err != nil {
				return err
			}
			return writeOutput(cmd.OutOrStdout(), output, text, format == "parquet")
		},
	}
	cmd.Flags().StringVar(&format, "format", "csv", strings.Join(slices.Sorted(maps.Keys(tableFormats)), ", "))
	cmd.Flags().StringVar(&which, "table", "runs", strings.Join(slices.Sorted(maps.Keys(studyTables)), ", "))
	cmd.Flags().StringVar(&output, "output", "", "file to write; the standard output if not given")
	return cmd
}
