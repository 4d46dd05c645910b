// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"metrolab/ablations"
	"metrolab/internal/usererr"
	"metrolab/metro/metrics"
)

func verdictCommand() *cobra.Command {
	form := ablations.LongForm{}
	var better string
	var margin float64
	cmd := &cobra.Command{
		Use:   "verdict TABLE",
		Short: "Paired verdicts for anybody's results: better, worse, equivalent or undecided",
		Long: `Reads a table of results, CSV with one row a run, and compares every arm with the baseline, paired by seed: the
statistics and the table of metro ablate run for runs of any program. Rows at one seed should share what a seed decides,
such as first weights and order of the text; else pairing gains nothing. TABLE may be - for the standard input.

The table has a line of column names, and columns for arm, seed (a whole number) and value; others are left alone. A value is a
number; NaN or Inf is a run that failed, and nothing is a run without an outcome. The results.csv of a study is such a table.

The tests are paired t tests with Holm's correction over all arms of the table, and with --margin two one-sided tests for
equivalence. They are for numbers of seeds, an outcome and a margin that were fixed before anybody looked: who adds seeds until there is
a verdict finds one too often.`,
		Example: `  metro verdict results.csv --baseline METRO --better higher
  metro verdict results.csv --arm model --value accuracy --baseline base --better higher --margin 0.01
  metro verdict runs/quickstart/results.csv --value frozen_auc_unigram`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			outcome := ablations.OutcomeOf(form.Value)
			outcome.Better = cmp.Or(metrics.Direction(better), outcome.Better)
			if outcome.Better != metrics.HigherIsBetter && outcome.Better != metrics.LowerIsBetter {
				return usererr.New("which way is %s better? say --better higher or --better lower, not %q", form.Value, better)
			}
			if cmd.Flags().Changed("margin") && !(margin > 0) {
				return usererr.New("--margin is a size, such as 0.02, and not %g; leave it out to ask for differences alone", margin)
			}
			path, in := given[0], io.Reader(nil)
			if path == "-" {
				path, in = "standard input", interruptible(cmd.Context(), cmd.InOrStdin())
			} else {
				file, err := os.Open(path)
				if err != nil {
					return usererr.New("read the table: %w", err)
				}
				defer file.Close()
				in = file
			}
			baseline, arms, err := form.Read(path, in)
			if err != nil {
				return err
			}
			comparisons := ablations.Design{Better: outcome.Better, Margin: margin}.Compare(baseline, arms)
			out := cmd.OutOrStdout()
			printTable(out, ablations.ComparisonTable(outcome.Label, baseline, comparisons))
			printNotes(out, comparisons)
			return nil
		},
	}
	cmd.Flags().StringVar(&form.Arm, "arm", "arm", "column of the arm's name")
	cmd.Flags().StringVar(&form.Seed, "seed", "seed", "column of the seed")
	cmd.Flags().StringVar(&form.Value, "value", "value", "column of the outcome")
	cmd.Flags().StringVar(&form.Baseline, "baseline", ablations.BaselineName, "arm that the others are compared with")
	cmd.Flags().StringVar(&better, "better", "", "higher or lower: which way the outcome is good (known where the column is a metric of metro's)")
	cmd.Flags().Float64Var(&margin, "margin", 0, "size of a difference that is too small to matter: then a verdict may be \"equivalent\"")
	return cmd
}

// printNotes prints what the table of comparisons cannot say.
func printNotes(w io.Writer, comparisons []ablations.Comparison) {
	for _, c := range comparisons {
		if c.Note != "" {
			fmt.Fprintf(w, "  %s: %s\n", c.Name, c.Note)
		}
	}
}
