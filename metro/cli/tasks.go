// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"

	"github.com/spf13/cobra"

	"metrolab/metro/tasks"
	"metrolab/viz/table"
)

func tasksCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "tasks",
		Short: "List the tasks that finetune knows by name",
		Long: `Lists the sets that "metro finetune --task NAME --data FOLDER" reads in the form in which they are published. Their files are
yours to get; FOLDER holds them, or a folder of the set's name that does. The test labels of GLUE and SuperGLUE are not public, so
that their development files are the test here.

Anything else is said in a task file, mine.yaml:

  kind: classification     classification, regression, choice, tagging, spans or cloze
  train: train.tsv         .jsonl, .tsv (quotes are characters) or .csv, packed (.gz, .zst) or not; tagging: CoNLL columns;
  test: test.tsv           spans: SQuAD's JSON; cloze: ReCoRD's JSON lines. Without test, one in ten (hold_out) is held out, and one for validation
  text: sentence1          names of columns; header: false makes them numbers, from 1
  pair: sentence2          of two texts
  label: gold              the class, the number, the right choice (from 0, or its column), or the column of tags

and, if need be, name, dev (a file for validation), choices (columns), labels (in their order: f1 is of the second), and metrics:
accuracy, balanced_accuracy, f1, macro_f1 and matthews; pearson, spearman and mse; entity_f1, entity_precision and entity_recall.
The first is what models are compared by.`,
		Example: `  metro tasks
  metro finetune --model runs/tiny-0123456789 --task glue-cola --data ../glue`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			t := table.Table{Columns: []table.Column{{Name: "task"}, {Name: "kind"}, {Name: "what is asked"}, {Name: "licence"}}}
			for _, s := range tasks.Sets() {
				t.Rows = append(t.Rows, []any{s.Name, s.Kind, s.About, cmp.Or(s.Licence, "its own")})
			}
			printTable(cmd.OutOrStdout(), t)
			return nil
		},
	}
}
