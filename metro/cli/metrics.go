// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"

	"metrolab/metro"
	"metrolab/metro/training"
	"metrolab/viz/table"
)

// tokenize learns the tokenizer and writes the token files, with a bar, unless the cache has them.
func tokenize(ctx context.Context, runner *training.Runner, c metro.Config) error {
	bar := newBar("tokenizing")
	defer bar.finish()
	_, err := runner.Dataset(ctx, c, bar.set)
	return err
}

// printMetrics prints what a finished run measured last, with the baselines that the numbers mean something against.
func printMetrics(w io.Writer, r training.Result) {
	t := table.Table{Columns: []table.Column{{Name: "held out"}, {Name: "value", Align: table.Right, Format: "%.4f"}, {Name: "what it is"}}}
	for _, m := range []struct{ name, meaning string }{
		{"frozen_auc_bigram", "main model tells plausible fakes from originals, a set that is the same for every run; 0.5 = chance"},
		{"frozen_auc_unigram", "the same with random fakes"},
		{"val_rtd_auc", "against the run's own generator"},
		{"val_clm_accuracy_replaced", "corrections right at replaced tokens"},
		{"val_generator_accuracy", "generator's first choice right at masked positions"},
		{"val_generator_loss", "its cross-entropy, nats"},
	} {
		t.Rows = append(t.Rows, []any{m.name, r.Metrics[m.name], m.meaning})
	}
	printTable(w, t)
}

func printTable(w io.Writer, t table.Table) {
	text, err := t.Text(terminalWidth(w))
	if err != nil {
		text = err.Error() + "\n"
	}
	fmt.Fprint(w, text)
}
