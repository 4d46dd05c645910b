// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"metrolab/metro/runs"
	"metrolab/viz/table"
)

func runsCommand() *cobra.Command {
	var out string
	cmd := group(&cobra.Command{
		Use:     "runs",
		Short:   "List, compare and remove runs",
		Example: "  metro runs ls\n  metro runs diff tiny-0123456789 elsewhere/tiny-9876543210\n  metro runs rm tiny-0123456789",
	})
	cmd.PersistentFlags().StringVar(&out, "out", "runs", "folder of the runs")
	cmd.AddCommand(
		&cobra.Command{
			Use: "ls", Short: "List the runs", Args: args(cobra.NoArgs), Example: "  metro runs ls",
			RunE: func(cmd *cobra.Command, _ []string) error { return listRuns(cmd, runs.Store{Root: out}) },
		},
		&cobra.Command{
			Use: "diff RUN RUN", Short: "Show the config fields in which two runs differ", Args: args(cobra.ExactArgs(2)),
			Example: "  metro runs diff tiny-0123456789 tiny-9876543210",
			RunE: func(cmd *cobra.Command, given []string) error {
				return diffRuns(cmd, out, given[0], given[1])
			},
		},
		&cobra.Command{
			Use: "rm RUN...", Short: "Remove runs; one that a live process holds stays", Args: args(cobra.MinimumNArgs(1)),
			Example: "  metro runs rm tiny-0123456789",
			RunE: func(cmd *cobra.Command, given []string) error {
				for _, name := range given {
					run, err := openRun(out, name)
					if err != nil {
						return err
					}
					if err := (runs.Store{Root: filepath.Dir(run.Dir)}).Remove(run.ID); err != nil {
						return err
					}
					fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", run.Dir)
				}
				return nil
			},
		})
	return cmd
}

func listRuns(cmd *cobra.Command, store runs.Store) error {
	list, err := store.List()
	if err != nil {
		return err
	}
	if len(list) == 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "no runs in %s yet; metro pretrain --recipe tiny makes one\n", store.Root)
		return nil
	}
	t := table.Table{Columns: []table.Column{
		{Name: "run"}, {Name: "state"}, {Name: "step", Align: table.Right}, {Name: "size", Align: table.Right}, {Name: "changed"},
	}}
	for _, s := range list {
		step := fmt.Sprintf("%d", s.Step)
		if s.Total > 0 {
			step += fmt.Sprintf(" of %d", s.Total)
		}
		t.Rows = append(t.Rows, []any{s.ID, string(s.State), step, size(s.Size), s.Modified.Format(time.DateTime)})
	}
	printTable(cmd.OutOrStdout(), t)
	for _, s := range list {
		if s.State == runs.Damaged {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", s.ID, s.Problem)
		}
	}
	return nil
}

// openRun opens the run that an argument names: one in the folder out, or, where the argument is a path, that one.
func openRun(out, name string) (*runs.Run, error) {
	if name = filepath.Clean(name); filepath.Base(name) == name {
		return runs.Store{Root: out}.Open(name)
	}
	return runs.Store{}.OpenDir(name)
}

func diffRuns(cmd *cobra.Command, out, a, b string) error {
	var pair [2]*runs.Run
	for i, name := range []string{a, b} {
		run, err := openRun(out, name)
		if err != nil {
			return err
		}
		pair[i] = run
	}
	differences, err := pair[0].Diff(pair[1])
	if err != nil {
		return err
	}
	if len(differences) == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "the configs are equal")
		return nil
	}
	t := table.Table{Columns: []table.Column{{Name: "field"}, {Name: a}, {Name: b}}}
	for _, d := range differences {
		t.Rows = append(t.Rows, []any{d.Path, d.A, d.B})
	}
	printTable(cmd.OutOrStdout(), t)
	return nil
}
