// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/metrics"
	"metrolab/metro/runs"
	"metrolab/metro/training"
	"metrolab/viz"
	"metrolab/viz/table"
)

// comparedMetrics are what runs are compared by if nobody has chosen.
var comparedMetrics = []string{training.FrozenUnigram, training.FrozenBigram, training.FrozenWords, "val_loss", "val_rtd_auc", "val_generator_loss", "loss", "seconds"}

func runsCompareCommand(out *string) *cobra.Command {
	var chosen []string
	var picture string
	cmd := &cobra.Command{
		Use:   "compare RUN RUN...",
		Short: "Show the settings in which runs differ, and what each measured last, side by side",
		Long: `Shows the settings in use in which runs differ, and the last value of metrics, a column a run. With --plot it draws the curves of the
first metric over each other into a PNG file. Runs are not compared with any statistics here: that takes seeds, and metro ablate.`,
		Example: "  metro runs compare tiny-0123456789 tiny-9876543210\n" +
			"  metro runs compare tiny-0123456789 tiny-9876543210 --metrics val_generator_loss --plot generator.png",
		Args: args(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			compared, err := openRuns(*out, given)
			if err != nil {
				return err
			}
			return compareRuns(cmd, compared, chosen, picture)
		},
	}
	cmd.Flags().StringSliceVar(&chosen, "metrics", nil, "metrics to compare; the first of them is drawn")
	cmd.Flags().StringVar(&picture, "plot", "", "PNG file to draw the curves into")
	return cmd
}

func runsPlotCommand(out *string) *cobra.Command {
	var metric, picture string
	cmd := &cobra.Command{
		Use: "plot RUN...", Short: "Draw a metric of one or more runs into a PNG file", Args: args(cobra.MinimumNArgs(1)),
		Example: "  metro runs plot tiny-0123456789 --metric val_generator_loss --to generator.png",
		RunE: func(cmd *cobra.Command, given []string) error {
			drawn, err := openRuns(*out, given)
			if err != nil {
				return err
			}
			return plotRuns(cmd, drawn, metric, picture)
		},
	}
	cmd.Flags().StringVar(&metric, "metric", training.FrozenUnigram, "metric to draw")
	cmd.Flags().StringVar(&picture, "to", "curves.png", "PNG file to write")
	return cmd
}

// loggedRun is a run with its config and its log.
type loggedRun struct {
	*runs.Run
	config metro.Config
	rows   []runs.Row
}

func openRuns(out string, names []string) (list []loggedRun, err error) {
	for _, name := range names {
		run, err := openRun(out, name)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(list, func(r loggedRun) bool { return r.Dir == run.Dir }) {
			return nil, usererr.New("%s is named twice; name it once", name)
		}
		identity, err := training.ReadIdentity(run.Dir)
		if err != nil {
			return nil, err
		}
		rows, err := run.ReadMetrics()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, usererr.New("%w", err)
		}
		list = append(list, loggedRun{run, identity.Config, rows})
	}
	return list, nil
}

func compareRuns(cmd *cobra.Command, compared []loggedRun, chosen []string, picture string) error {
	w := cmd.OutOrStdout()
	header := []table.Column{{Name: "setting"}}
	for _, run := range compared {
		header = append(header, table.Column{Name: run.ID})
	}
	settings := table.Table{Columns: header, Rows: differing(compared)}
	if len(settings.Rows) == 0 {
		fmt.Fprintln(w, "the settings in use are equal")
	} else {
		printTable(w, settings)
	}
	keys := chosen
	if len(keys) == 0 {
		keys = comparedMetrics
	}
	values := table.Table{Columns: []table.Column{{Name: "measured last"}}}
	for _, run := range compared {
		values.Columns = append(values.Columns, table.Column{Name: run.ID, Align: table.Right, Format: "%.4f"})
	}
	for _, key := range keys {
		row, any := []any{key}, false
		for _, run := range compared {
			cell := measured(last(run.rows), key)
			row, any = append(row, cell), any || cell != nil
		}
		if any {
			values.Rows = append(values.Rows, row)
		} else if len(chosen) > 0 {
			return notMeasured(key, compared[0].rows)
		}
	}
	fmt.Fprintln(w)
	printTable(w, values)
	if picture == "" {
		return nil
	}
	return plotRuns(cmd, compared, keys[0], picture)
}

// differing are the settings in use that are not the same in all runs, a row each; "" where a run does not use one.
func differing(compared []loggedRun) (rows [][]any) {
	values := map[string][]string{}
	for i, run := range compared {
		for _, f := range run.config.Fields() {
			if !f.InUse || f.Class == metro.ClassOperation {
				continue
			}
			if values[f.Path] == nil {
				values[f.Path] = make([]string, len(compared))
			}
			values[f.Path][i] = fmt.Sprint(f.Value)
		}
	}
	var paths []string
	for path, all := range values {
		if slices.ContainsFunc(all, func(v string) bool { return v != all[0] }) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	for _, path := range paths {
		row := []any{path}
		for _, v := range values[path] {
			row = append(row, v)
		}
		rows = append(rows, row)
	}
	return rows
}

func plotRuns(cmd *cobra.Command, drawn []loggedRun, metric, path string) error {
	if !strings.HasSuffix(path, ".png") {
		return usererr.New("the picture %s is written as PNG; give it a name that ends in .png", path)
	}
	c := viz.OverSteps(metric, metrics.Of(metric).Label)
	for _, run := range drawn {
		x, y := runs.Curve(run.rows, metric)
		if len(x) == 0 {
			return fmt.Errorf("%s: %w", run.ID, notMeasured(metric, run.rows))
		}
		c.Series = append(c.Series, viz.Series{Name: run.ID, Runs: []viz.Line{{X: x, Y: y}}})
	}
	figure, err := c.Figure()
	if err != nil {
		return err
	}
	if err := atomicfile.WriteFile(path, figure.PNG); err != nil {
		return usererr.New("write the picture: %w", err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "picture: %s\n", path)
	return nil
}
