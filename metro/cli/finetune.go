// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"metrolab/metro/backend"
	"metrolab/metro/runs"
	"metrolab/metro/tasks"
	"metrolab/metro/training"
	"metrolab/viz/table"
)

// finetuneFlags choose model, texts and schedule.
type finetuneFlags struct {
	model, data, corpus, backend string
	options                      tasks.Options
}

func finetuneCommand() *cobra.Command {
	var f finetuneFlags
	cmd := &cobra.Command{
		Use:   "finetune",
		Short: "Fine-tune a pretrained main model to tell texts apart",
		Long: `Trains all weights of a run's main model, with a new linear head, on labelled texts, and prints its balanced accuracy
on test texts beside two baselines: always the largest class, and a bag-of-words classifier. Without --data the task is
the probe: which of eight families of Go packages does a comment come from? The result is kept in the run's folder.`,
		Example: `  metro finetune --model runs/tiny-0123456789
  metro finetune --model runs/tiny-0123456789 --from-scratch     the control: the same without pretraining
  metro finetune --model runs/tiny-0123456789 --data mine.jsonl  lines of {"text": "...", "label": "..."}`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return finetune(cmd, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.model, "model", "", "folder of a run")
	flags.StringVar(&f.data, "data", "", "labelled texts, JSON lines, in the place of the probe")
	flags.StringVar(&f.corpus, "corpus", "", "corpus that the probe's texts are from; this machine's Go documentation if empty")
	flags.StringVar(&f.backend, "backend", "auto", "auto, go, xla, xla:cuda, or xla:/path/to/plugin.so")
	flags.Int64Var(&f.options.Seed, "seed", 0, "seed of the new head and of the order of the texts")
	flags.IntVar(&f.options.Steps, "steps", 0, fmt.Sprintf("training steps; 0 is %d", tasks.DefaultSteps))
	flags.Float64Var(&f.options.LearningRate, "learning-rate", 0, "peak; 0 is a quarter of pretraining's")
	flags.BoolVar(&f.options.FromScratch, "from-scratch", false, "leave the pretrained weights out")
	if err := cmd.MarkFlagRequired("model"); err != nil {
		panic(err)
	}
	return cmd
}

func finetune(cmd *cobra.Command, f finetuneFlags) error {
	model, err := training.LoadPretrained(f.model)
	if err != nil {
		return err
	}
	for _, line := range model.Notes {
		fmt.Fprintln(os.Stderr, line)
	}
	task, err := f.task(cmd.Context())
	if err != nil {
		return err
	}
	engine, err := backend.Open(f.backend)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, backend.Describe(engine))
	fmt.Fprintf(os.Stderr, "task %s: %s training and %s test texts of %d classes from %s\n",
		task.Name, humanize.Comma(int64(len(task.Train))), humanize.Comma(int64(len(task.Test))), len(task.Classes), task.Source)
	bar := newBar("fine-tuning")
	result, err := tasks.Finetune(cmd.Context(), engine, model, task, f.options, func(p training.Progress) {
		bar.describe(p.Step, p.Steps, progressWords(p))
	})
	bar.finish()
	if err != nil {
		return err
	}
	printScores(cmd.OutOrStdout(), result)
	name := "finetune-" + result.Task
	if result.FromScratch {
		name += "-from-scratch"
	}
	path := filepath.Join(f.model, name+".json")
	if err := runs.WriteJSON(path, result); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "\nresult: %s\n", path)
	return nil
}

func (f finetuneFlags) task(ctx context.Context) (tasks.Task, error) {
	if f.data != "" {
		return tasks.ReadTask(f.data)
	}
	corpus, err := prepareCorpus(ctx, f.corpus)
	if err != nil {
		return tasks.Task{}, err
	}
	return tasks.Families(corpus)
}

func printScores(w io.Writer, r tasks.Result) {
	t := table.Table{Columns: []table.Column{
		{Name: "classifier"}, {Name: "balanced accuracy", Align: table.Right, Format: "%.3f"}, {Name: "accuracy", Align: table.Right, Format: "%.3f"},
	}}
	model := fmt.Sprintf("main model, %d steps of pretraining", r.PretrainedSteps)
	if r.FromScratch {
		model = "the same from scratch"
	}
	for _, row := range []struct {
		name   string
		scores tasks.Scores
	}{{model, r.Model}, {"bag of words", r.BagOfWords}, {"always the largest class", r.Majority}} {
		t.Rows = append(t.Rows, []any{row.name, row.scores.BalancedAccuracy, row.scores.Accuracy})
	}
	printTable(w, t)
	recall := table.Table{Columns: []table.Column{{Name: "class"}, {Name: "recall", Align: table.Right, Format: "%.3f"}}}
	for i, class := range r.Classes {
		recall.Rows = append(recall.Rows, []any{class, r.Model.Recall[i]})
	}
	fmt.Fprintln(w)
	printTable(w, recall)
}
