// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"metrolab/metro/runs"
	"metrolab/metro/training"
	"metrolab/viz/table"
)

func runsCollectCommand(out *string) *cobra.Command {
	var yes, finished bool
	var older time.Duration
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "List the runs that may go and why; with --yes, remove them",
		Long: `Lists runs that nobody seems to need: those that were stopped before their end and not touched for a week, those that diverged and, with
--finished, all others that have ended. Runs of studies, runs that others fork, begin with or sample from, and runs under way stay, whatever their
state. It sees the folder of runs alone: what a run elsewhere needs is not known. Nothing is removed without --yes.`,
		Example: "  metro runs gc\n  metro runs gc --older 24h --yes",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return collectRuns(cmd, runs.Store{Root: *out}, older, finished, yes)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "remove what is listed")
	cmd.Flags().BoolVar(&finished, "finished", false, "list runs that have ended, too")
	cmd.Flags().DurationVar(&older, "older", 7*24*time.Hour, "how long a stopped run must not have been touched")
	return cmd
}

// collectable is a run that may go.
type collectable struct {
	runs.Summary
	why string
}

func collectRuns(cmd *cobra.Command, store runs.Store, older time.Duration, finished, yes bool) error {
	list, err := store.List()
	if err != nil {
		return err
	}
	needed, err := descendants(store)
	if err != nil {
		return err
	}
	arms := armsIn(store)
	kept := map[string]int{}
	var free []collectable
	for _, s := range list {
		why, stays := fate(store, s, older, finished)
		switch {
		case len(arms[s.ID]) > 0:
			kept["of studies"]++
		case len(needed[s.ID]) > 0:
			kept["that others go on with or begin with"]++
		case stays != "":
			kept[stays]++
		default:
			free = append(free, collectable{s, why})
		}
	}
	w := cmd.OutOrStdout()
	total := int64(0)
	t := table.Table{Columns: []table.Column{{Name: "run"}, {Name: "size", Align: table.Right}, {Name: "changed"}, {Name: "why it may go"}}}
	for _, c := range free {
		total += c.Size
		t.Rows = append(t.Rows, []any{c.ID, size(c.Size), c.Modified.Format(time.DateTime), c.why})
	}
	if len(free) > 0 {
		printTable(w, t)
	}
	for _, why := range []string{"of studies", "that others go on with or begin with", "under way", "that have ended", "stopped a short while ago", "damaged"} {
		if n := kept[why]; n > 0 {
			fmt.Fprintf(w, "stay: %d %s\n", n, why)
		}
	}
	if !yes {
		fmt.Fprintf(w, "%d runs, %s, may go", len(free), size(total))
		if len(free) > 0 {
			fmt.Fprint(w, "; --yes removes them")
		}
		fmt.Fprintln(w)
		return nil
	}
	for _, c := range free {
		run, err := store.Open(c.ID)
		if err != nil {
			return err
		}
		if err := removeRun(cmd, run); err != nil {
			return err
		}
	}
	return nil
}

// fate says why a run that nobody needs may go, or why it stays.
func fate(store runs.Store, s runs.Summary, older time.Duration, finished bool) (why, stays string) {
	switch s.State {
	case runs.Running:
		return "", "under way"
	case runs.Damaged:
		return "", "damaged"
	case runs.Interrupted:
		if time.Since(s.Modified) < older {
			return "", "stopped a short while ago"
		}
		return fmt.Sprintf("stopped at step %s, in no study", steps(s)), ""
	}
	run, err := store.Open(s.ID)
	if err != nil {
		return "", "damaged"
	}
	result, _, err := training.ReadResult(run)
	switch {
	case err != nil:
		return "", "damaged"
	case result.Diverged != "":
		return fmt.Sprintf("diverged at step %d, in no study", result.Steps), ""
	case finished:
		return "has ended, in no study", ""
	}
	return "", "that have ended"
}
