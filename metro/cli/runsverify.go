// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"metrolab/internal/usererr"
	"metrolab/metro/runs"
	"metrolab/metro/training"
	"metrolab/viz/table"
)

func runsVerifyCommand(out *string) *cobra.Command {
	var w workspaceFlags
	var last int
	cmd := &cobra.Command{
		Use:   "verify RUN...",
		Short: "Check runs: every file against its checksum and, on request, the last steps by training them again",
		Long: `Compares what lies in a run's folder with the hashes that were written with it: the config, the tokenizer, the log, every checkpoint and the
result. --replay K trains the last K steps once more, from the newest checkpoint before them, in a folder of its own, and compares the
log's records, timings aside, and the weights and moments to the bit: that this machine, this program and these files give that run.
Nothing is changed. Ends with exit code 2 if anything is not as it was written.`,
		Example: "  metro runs verify tiny-0123456789\n  metro runs verify tiny-0123456789 --replay 100",
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			wrong := 0
			for _, name := range given {
				run, err := openRun(*out, name)
				if err != nil {
					return err
				}
				wrong += verifyRun(cmd, run)
				if last > 0 && wrong == 0 {
					if err := replayRun(cmd, w, run, last); err != nil {
						return err
					}
				}
			}
			if wrong > 0 {
				return usererr.New("%d parts are not as they were written; put them back from a copy, or remove the damaged checkpoint and train on with metro pretrain --resume", wrong)
			}
			return nil
		},
	}
	w.addTextFlags(cmd)
	cmd.Flags().IntVar(&last, "replay", 0, "train the last so many steps once more and compare; 0 trains nothing")
	return cmd
}

func verifyRun(cmd *cobra.Command, run *runs.Run) (wrong int) {
	t := table.Table{Columns: []table.Column{{Name: run.ID}, {Name: "state"}}}
	for _, part := range training.Verify(run) {
		state := "as it was written"
		if part.Err != nil {
			state = part.Err.Error()
			wrong++
		}
		t.Rows = append(t.Rows, []any{part.Name, state})
	}
	printTable(cmd.OutOrStdout(), t)
	return wrong
}

func replayRun(cmd *cobra.Command, w workspaceFlags, run *runs.Run, last int) error {
	runner, err := openRunner(cmd, w, run)
	if err != nil {
		return err
	}
	to := run.Summary().Step
	if steps, err := (runs.Checkpoints{Dir: run.Path(runs.CheckpointsDir)}).Steps(); err == nil && len(steps) > 0 {
		to = steps[len(steps)-1]
	}
	bar := newBar("training again")
	done, err := runner.Replay(cmd.Context(), run.Dir, max(0, to-last), to, bar.train)
	bar.finish()
	if err != nil {
		return err
	}
	weights := "weights and moments"
	if !done.Weights {
		weights = "there is no checkpoint to compare weights with, and all records"
	}
	fmt.Fprintf(cmd.OutOrStdout(), "steps %d to %d, trained again: %d records, %s are the same to the bit\n", done.From+1, done.To, done.Records, weights)
	return nil
}
