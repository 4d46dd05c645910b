// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"metrolab/ablations"
	"metrolab/internal/progress"
	"metrolab/viz/table"
)

func ablatePlanCommand() *cobra.Command {
	var w workspaceFlags
	var f studyFlags
	cmd := &cobra.Command{
		Use:   "plan STUDY",
		Short: "Say what a study takes before anything starts: runs, tokens, operations, time and disk",
		Long: `Lists the arms of a study with how many of their runs lie in the folder of runs already, and what a run takes. Tokens and
operations follow from the config. Time is measured: it is that of earlier runs of the same recipe on this machine, in this
folder of runs, and where there are none it is not known and said to be so. Nothing is trained.

It takes the arguments of metro ablate run. ` + studyHelp,
		Example: `  metro ablate plan quickstart
  metro ablate plan bias --baseline tiny --grid optimizer.learning_rate=1e-3,3e-3
  metro ablate plan bias.yaml`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			draft, err := f.study(given[0], "")
			if err != nil {
				return err
			}
			runner, err := w.open(cmd.Context(), draft.Baseline.Data)
			if err != nil {
				return err
			}
			study, err := f.study(given[0], runner.BackendKind)
			if err != nil {
				return err
			}
			estimate, err := study.Estimate(cmd.Context(), runner)
			if err != nil {
				return err
			}
			printEstimate(cmd.OutOrStdout(), study, estimate, study.Workers(runner))
			return nil
		},
	}
	w.addFlags(cmd)
	f.addFlags(cmd)
	return cmd
}

// printEstimate prints what a study takes, a row an arm and the sum of what is left.
func printEstimate(w io.Writer, s ablations.Study, estimate ablations.Estimate, workers int) {
	fmt.Fprintf(w, "study %s: %s\n", s.Name, s.Question)
	t := table.Table{Columns: []table.Column{
		{Name: "arm"}, {Name: "runs", Align: table.Right}, {Name: "finished", Align: table.Right}, {Name: "tokens a run", Align: table.Right},
		{Name: "operations a run", Align: table.Right}, {Name: "time a run", Align: table.Right}, {Name: "disk a run", Align: table.Right},
	}}
	for _, arm := range estimate.Arms {
		t.Rows = append(t.Rows, estimateRow(arm.Name, arm))
	}
	printTable(w, t)
	left := estimate.Left()
	missing := left.Runs - left.Finished
	fmt.Fprintf(w, "\n%s%d of %d runs are to be trained", s.AtMost(), missing, left.Runs)
	if missing > 0 {
		fmt.Fprintf(w, ": %s tokens, %s, %s of disk", known(left.Tokens, ""), known(left.FLOPs, "FLOP"), bytesOf(left.Bytes))
		if left, ok := estimate.Time(workers); ok {
			fmt.Fprintf(w, ", about %s with %d at a time", progress.Duration(left), workers)
		}
	}
	fmt.Fprintf(w, "\n%s\n", estimate.Basis(s.Recipe))
	if s.UntilDecided {
		fmt.Fprintln(w, "seeds are added until each arm has a verdict, so that this is the most that is trained")
	}
	if estimate.Finetune > 0 {
		fmt.Fprintf(w, "each run is followed by a fine-tuning of %d steps, which is not counted here\n", estimate.Finetune)
	}
}

func estimateRow(name string, arm ablations.ArmEstimate) []any {
	row := []any{name, arm.Runs, arm.Finished, known(arm.Tokens, ""), known(arm.FLOPs, "FLOP"), nil, bytesOf(arm.Bytes)}
	if !math.IsNaN(arm.Seconds) {
		row[5] = progress.Duration(time.Duration(arm.Seconds * float64(time.Second)))
	}
	return row
}

// known writes a large number with its unit, and one that is not known as a dash.
func known(x float64, unit string) string {
	if math.IsNaN(x) {
		return "–"
	}
	return humanize.SIWithDigits(x, 1, unit)
}

func bytesOf(x float64) string {
	if math.IsNaN(x) {
		return "–"
	}
	return size(int64(x))
}
