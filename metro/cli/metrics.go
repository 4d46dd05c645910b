// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/dustin/go-humanize"

	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/metrics"
	"metrolab/metro/tokens"
	"metrolab/metro/training"
	"metrolab/viz/table"
)

// tokenize learns the tokenizer and writes the token files, with a bar, unless the cache has them.
func tokenize(ctx context.Context, runner *training.Runner, c metro.Config) error {
	bar := newBar("tokenizing")
	defer bar.finish()
	dataset, err := runner.Dataset(ctx, c, bar.set)
	if err != nil {
		return err
	}
	bar.finish()
	fmt.Fprintln(stderr, dataset.Unknown)
	if pool, ok := c.BytePool(dataset.Vocab); ok {
		fmt.Fprintln(stderr, tokens.CutOf(tokens.Spell(dataset.Tokenizer), pool.Bytes))
	}
	printRows("training", dataset.Train)
	for _, m := range dataset.Mixed {
		printRows(fmt.Sprintf("mixed in, %d of 1,000 rows, %s", m.Share, m.Corpus.Name), m.Rows)
	}
	return nil
}

// printRows says how many rows of a text there are, and how much of them is padding.
func printRows(what string, rows *data.Rows) {
	fmt.Fprintf(stderr, "%s: %s rows of %d tokens, %.2g %% of them padding\n", what, humanize.Comma(int64(rows.Len())), rows.SeqLen, 100*rows.Padding())
}

// printMetrics prints what a finished run measured last, with what scorers without a model reach in brackets below.
func printMetrics(w io.Writer, r training.Result) {
	t := table.Table{Columns: []table.Column{{Name: "held out"}, {Name: "value", Align: table.Right, Format: "%.4f"}, {Name: "what it is"}}}
	explained := map[string]bool{} // once is enough: each stands below every set
	for _, key := range []string{
		training.FrozenBigram, training.FrozenTrigram, training.FrozenUnigram, training.FrozenWords, "val_rtd_auc", "val_clm_accuracy_replaced", "val_generator_accuracy", "val_generator_loss",
	} {
		if value, measured := r.Metrics[key]; measured {
			t.Rows = append(t.Rows, []any{key, value, metrics.Of(key).Meaning})
		}
		for _, reference := range metrics.References() {
			if value, known := r.HeldOut()[key].Trivial[reference.Name]; known {
				meaning := reference.Meaning
				if explained[reference.Name] {
					meaning = ""
				}
				explained[reference.Name] = true
				t.Rows = append(t.Rows, []any{"(" + reference.Label + ")", value, meaning})
			}
		}
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
