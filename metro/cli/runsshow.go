// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/guptarohit/asciigraph"
	"github.com/spf13/cobra"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/metrics"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/training"
	"metrolab/viz/table"
)

// shownMetrics are the curves of a run that nobody has chosen, as far as it has measured them.
var shownMetrics = []string{"loss", training.FrozenUnigram, "val_loss"}

func runsShowCommand(out *string) *cobra.Command {
	var chosen []string
	var whole bool
	cmd := &cobra.Command{
		Use:   "show RUN",
		Short: "Show where a run stands: its config, its curves, and the runs that it goes on with",
		Long: `Shows a run's state, the studies that it belongs to, the runs that it forks or begins with and those that do so with it, the
settings in which it differs from the recipe of its name, and its curves, as wide as the terminal. The curve of a fork is that of its
trunk up to the step at which it leaves it.`,
		Example: "  metro runs show tiny-0123456789\n  metro runs show tiny-0123456789 --metrics frozen_auc_bigram,rtd_loss --config",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			run, err := openRun(*out, given[0])
			if err != nil {
				return err
			}
			return showRun(cmd.OutOrStdout(), run, chosen, whole)
		},
	}
	cmd.Flags().StringSliceVar(&chosen, "metrics", nil, "metrics whose curves are drawn")
	cmd.Flags().BoolVar(&whole, "config", false, "show every setting that is in use, not only those unlike the recipe's")
	return cmd
}

func showRun(w io.Writer, run *runs.Run, chosen []string, whole bool) error {
	s := run.Summary()
	fmt.Fprintf(w, "%s\n  %s, step %s, %s, %s\n", run.Dir, s.State, steps(s), size(s.Size), s.Modified.Format("2006-01-02 15:04:05"))
	if s.Problem != "" {
		fmt.Fprintf(w, "  %s\n", s.Problem)
	}
	for _, arm := range armsIn(storeOf(run))[run.ID] {
		fmt.Fprintf(w, "  study %s\n", arm)
	}
	for _, line := range lineage(run) {
		fmt.Fprintf(w, "  %s\n", line)
	}
	needed, err := descendants(storeOf(run))
	if err != nil {
		return err
	}
	for _, line := range needed[run.ID] {
		fmt.Fprintf(w, "  %s\n", line)
	}
	identity, err := training.ReadIdentity(run.Dir)
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	printTable(w, settings(identity, whole))
	rows, err := run.ReadMetrics()
	if err != nil {
		return usererr.New("%w", err)
	}
	return curves(w, rows, chosen)
}

// settings are those of a run that are in use and not the recipe's of its name; all that are in use if there is no such recipe.
func settings(identity training.RunIdentity, whole bool) table.Table {
	t := table.Table{Columns: []table.Column{{Name: "setting"}, {Name: "value"}}}
	recipe, err := recipes.Get(identity.Name)
	compare := err == nil && !whole
	if compare {
		t.Columns = append(t.Columns, table.Column{Name: "in recipe " + identity.Name})
	}
	usual := map[string]metro.FieldState{}
	for _, f := range recipe.Fields() {
		usual[f.Path] = f
	}
	for _, f := range identity.Config.Fields() {
		switch {
		case !f.InUse || !compare && f.AtNeutral:
		case !compare:
			t.Rows = append(t.Rows, []any{f.Path, fmt.Sprint(f.Value)})
		case f.Value != usual[f.Path].Value:
			there := "" // of another part's option, and of what decides nothing
			if u := usual[f.Path]; u.InUse {
				there = fmt.Sprint(u.Value)
			}
			t.Rows = append(t.Rows, []any{f.Path, fmt.Sprint(f.Value), there})
		}
	}
	if len(t.Rows) == 0 {
		t.Rows = append(t.Rows, []any{"all", "the recipe's", ""})
	}
	return t
}

// curves draws metrics of a log over the steps, at the width of the terminal.
func curves(w io.Writer, rows []runs.Row, chosen []string) error {
	keys := chosen
	if len(keys) == 0 {
		keys = shownMetrics
	}
	for _, key := range keys {
		at, values := runs.Curve(rows, key)
		if len(values) < 2 {
			if len(chosen) > 0 {
				return notMeasured(key, rows)
			}
			continue
		}
		fmt.Fprintf(w, "\n%s", curve(metrics.Of(key).Label, at, values, terminalWidth(w)))
	}
	return nil
}

func notMeasured(key string, rows []runs.Row) error {
	return usererr.New("the run has no curve of %q; it has measured %s", key, strings.Join(runs.Recorded(rows), ", "))
}

const curveHeight = 8

// curve draws finite values over steps into lines of at most width columns, the last of which is the axis of steps.
func curve(label string, steps, values []float64, width int) string {
	const margin = 14 // of the numbers and the axis at the left
	columns := max(20, min(width, 140)-margin)
	shown := resampled(steps, values, columns)
	low, high := slices.Min(shown), slices.Max(shown)
	precision := 3
	if span := high - low; span > 0 {
		precision = min(6, max(0, 2-int(math.Floor(math.Log10(span)))))
	}
	if low == high {
		high = low + 1
	}
	plot := asciigraph.Plot(shown, asciigraph.Height(curveHeight), asciigraph.LowerBound(low), asciigraph.UpperBound(high),
		asciigraph.YAxisValueFormatter(func(v float64) string { return fmt.Sprintf("%9.*f", precision, v) }))
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", label)
	left := 0
	for line := range strings.Lines(plot) {
		line = strings.TrimRight(line, " \n")
		left = max(left, strings.IndexAny(line, "┤┼"))
		fmt.Fprintln(&b, line)
	}
	first, end := fmt.Sprintf("step %.0f", steps[0]), fmt.Sprintf("%.0f", steps[len(steps)-1])
	fmt.Fprintf(&b, "%*s%s%*s\n", left+1, "", first, columns-len(first), end)
	return b.String()
}

// resampled are the values at evenly spaced steps, between records on the straight line that joins them.
func resampled(steps, values []float64, n int) []float64 {
	all := make([]float64, n)
	first, end := steps[0], steps[len(steps)-1]
	i := 0
	for k := range all {
		step := first + (end-first)*float64(k)/float64(n-1)
		for i < len(steps)-2 && steps[i+1] < step {
			i++
		}
		part := (step - steps[i]) / (steps[i+1] - steps[i])
		all[k] = values[i] + min(1, part)*(values[i+1]-values[i])
	}
	return all
}
