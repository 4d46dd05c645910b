// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"metrolab/internal/usererr"
	"metrolab/metro/runs"
	"metrolab/viz/table"
)

func runsCommand() *cobra.Command {
	var out string
	cmd := group(&cobra.Command{
		Use:   "runs",
		Short: "Show, compare, extend, check and remove runs",
		Example: "  metro runs ls --metrics frozen_auc_unigram\n  metro runs show tiny-0123456789\n" +
			"  metro runs compare tiny-0123456789 tiny-9876543210 --plot curves.png\n  metro runs gc",
	})
	cmd.PersistentFlags().StringVar(&out, "out", "runs", "folder of the runs")
	cmd.AddCommand(runsListCommand(&out), runsShowCommand(&out), runsCompareCommand(&out), runsPlotCommand(&out),
		runsDiffCommand(&out), runsExtendCommand(&out), runsCheckpointCommand(&out), runsVerifyCommand(&out), runsCollectCommand(&out), runsExportCommand(&out),
		&cobra.Command{
			Use: "rm RUN...", Short: "Remove runs; one that a live process holds stays", Args: args(cobra.MinimumNArgs(1)),
			Example: "  metro runs rm tiny-0123456789",
			RunE: func(cmd *cobra.Command, given []string) error {
				for _, name := range given {
					run, err := openRun(out, name)
					if err != nil {
						return err
					}
					if err := removeRun(cmd, run); err != nil {
						return err
					}
				}
				return nil
			},
		})
	return cmd
}

func removeRun(cmd *cobra.Command, run *runs.Run) error {
	if err := (runs.Store{Root: filepath.Dir(run.Dir)}).Remove(run.ID); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", run.Dir)
	return nil
}

func runsDiffCommand(out *string) *cobra.Command {
	return &cobra.Command{
		Use: "diff RUN RUN", Short: "Show the config fields in which two runs differ", Args: args(cobra.ExactArgs(2)),
		Example: "  metro runs diff tiny-0123456789 tiny-9876543210",
		RunE: func(cmd *cobra.Command, given []string) error {
			return diffRuns(cmd, *out, given[0], given[1])
		},
	}
}

func runsListCommand(out *string) *cobra.Command {
	var chosen []string
	cmd := &cobra.Command{
		Use: "ls", Short: "List the runs, with the studies and arms that they belong to", Args: args(cobra.NoArgs),
		Example: "  metro runs ls\n  metro runs ls --metrics frozen_auc_unigram,val_generator_loss",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listRuns(cmd, runs.Store{Root: *out}, chosen)
		},
	}
	cmd.Flags().StringSliceVar(&chosen, "metrics", nil, "metrics to show, of each run the value that was measured last")
	return cmd
}

func listRuns(cmd *cobra.Command, store runs.Store, chosen []string) error {
	list, err := store.List()
	if err != nil {
		return err
	}
	if len(list) == 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "no runs in %s yet; metro pretrain --recipe tiny makes one\n", store.Root)
		return nil
	}
	arms := armsIn(store)
	t := table.Table{Columns: []table.Column{{Name: "run"}}}
	if len(arms) > 0 {
		t.Columns = append(t.Columns, table.Column{Name: "arm"})
	}
	t.Columns = append(t.Columns, table.Column{Name: "recipe"}, table.Column{Name: "state"}, table.Column{Name: "step", Align: table.Right},
		table.Column{Name: "size", Align: table.Right}, table.Column{Name: "changed"})
	for _, key := range chosen {
		t.Columns = append(t.Columns, table.Column{Name: key, Align: table.Right, Format: "%.4f"})
	}
	var all []runs.Row
	for _, s := range list {
		row := []any{s.ID}
		if len(arms) > 0 {
			row = append(row, strings.Join(arms[s.ID], "; "))
		}
		row = append(row, s.Name, string(s.State), steps(s), size(s.Size), s.Modified.Format(time.DateTime))
		latest := runs.Values{}
		if len(chosen) > 0 {
			run, err := store.Open(s.ID)
			if err != nil {
				return err
			}
			rows, _ := run.ReadMetrics() // what is damaged is said below
			latest, all = last(rows), append(all, rows...)
		}
		for _, key := range chosen {
			row = append(row, measured(latest, key))
		}
		t.Rows = append(t.Rows, row)
	}
	for _, key := range chosen {
		if measured(last(all), key) == nil && len(all) > 0 {
			return usererr.New("no run has a curve of %q; measured are %s", key, strings.Join(runs.Recorded(all), ", "))
		}
	}
	printTable(cmd.OutOrStdout(), t)
	for _, s := range list {
		if s.State == runs.Damaged {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", s.ID, s.Problem)
		}
	}
	return nil
}

func steps(s runs.Summary) string {
	if s.Total > 0 {
		return fmt.Sprintf("%d of %d", s.Step, s.Total)
	}
	return fmt.Sprint(s.Step)
}

// last are the values of a log by their keys, each as it was measured last.
func last(rows []runs.Row) runs.Values {
	latest := runs.Values{}
	for _, row := range rows {
		maps.Copy(latest, row.Values)
	}
	return latest
}

// measured is a table's cell: nil for what was not measured.
func measured(values runs.Values, key string) any {
	if v, ok := values[key]; ok {
		return v
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
