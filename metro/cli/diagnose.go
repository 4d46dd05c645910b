// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"metrolab/ablations"
	"metrolab/internal/usererr"
	"metrolab/metro/data"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/training"
	"metrolab/viz/table"
)

func diagnoseCommand() *cobra.Command {
	var out, corpus string
	cmd := &cobra.Command{
		Use:   "diagnose RUN",
		Short: "Say why a run's discriminator learns nothing, and what to change",
		Long: `Holds a pretraining run, finished or not, against what a model reaches that has learned nothing: the RTD loss against the
entropy of calling every token original, the generator's accuracy against the most frequent token and against trigrams of the
training text, the part of the tokens that are replaced, when the plateau was left, gradient norms, and shared tables.

What to change follows, the likeliest first. Each change names the section of docs/results.md whose runs show it, or says that no
run there does.`,
		Example: "  metro diagnose tiny-0123456789",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			run, err := openRun(out, given[0])
			if err != nil {
				return err
			}
			return diagnose(cmd.Context(), cmd.OutOrStdout(), run, corpus)
		},
	}
	cmd.Flags().StringVar(&out, "out", "runs", "folder of the runs")
	cmd.Flags().StringVar(&corpus, "corpus", text.Default, "the text of a run whose config names none")
	return cmd
}

func diagnose(ctx context.Context, w io.Writer, run *runs.Run, corpus string) error {
	var identity training.RunIdentity
	if err := runs.ReadJSON(run.Path(runs.ConfigFile), &identity); err != nil {
		return err
	}
	if task := identity.Config.Task.Name; task != "" {
		return usererr.New("%s is a fine-tuning on %s, and has no discriminator to diagnose; give it a pretraining run", run.Dir, task)
	}
	rows, err := run.ReadMetrics()
	if len(rows) == 0 {
		return cmp.Or(err, usererr.New("%s has recorded nothing yet", run.Dir))
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
	}
	result, _, err := training.ReadResult(run)
	if err != nil {
		fmt.Fprintln(stderr, err)
	}
	anchors, err := anchorsOf(ctx, identity, corpus)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		fmt.Fprintf(stderr, "without anchors for the generator: %v\n", err)
	}
	printDiagnosis(w, ablations.Diagnose(identity.Config, rows, result, anchors))
	return nil
}

// anchorsOf counts the text that a run was trained on.
func anchorsOf(ctx context.Context, identity training.RunIdentity, spec string) (*data.Anchors, error) {
	d := identity.Config.Data
	corpus, err := prepareCorpus(ctx, cmp.Or(d.Corpus, spec), textFlags{field: d.Field, files: d.Files})
	if err != nil {
		return nil, err
	}
	cache, err := text.CacheDir()
	if err != nil {
		return nil, err
	}
	runner := training.Runner{Corpus: corpus, CacheDir: cache}
	defer runner.Close()
	bar := newBar("counting the text")
	dataset, err := runner.Dataset(ctx, identity.Config, bar.set)
	bar.finish()
	if err != nil {
		return nil, err
	}
	if dataset.Corpus.Hash != identity.Corpus {
		return nil, usererr.New("%s is not the text that the run was trained on; name that with --corpus", corpus.Source)
	}
	anchors, err := dataset.Anchors()
	return &anchors, err
}

func printDiagnosis(w io.Writer, d ablations.Diagnosis) {
	found := table.Table{Columns: []table.Column{{Name: "what"}, {Name: "here", Align: table.Right}, {Name: "against"}, {Name: "is"}, {Name: "which says"}}}
	for _, f := range d.Findings {
		found.Rows = append(found.Rows, []any{f.What, orNil(f.Here), orNil(f.Against), string(f.State), f.Says})
	}
	printTable(w, found)
	if len(d.Advice) == 0 {
		return
	}
	fmt.Fprintln(w, "\nwhat to change, the likeliest first:")
	advice := table.Table{Columns: []table.Column{{Name: "change"}, {Name: "because"}, {Name: "shown by"}}}
	for _, a := range d.Advice {
		shown := "no run in the docs"
		if a.Backed != "" {
			shown = "docs/results.md, " + a.Backed
		}
		advice.Rows = append(advice.Rows, []any{a.Set, a.Why, shown})
	}
	printTable(w, advice)
}

// orNil is a cell, a dash where there is nothing.
func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}
