// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"metrolab/internal/usererr"
	"metrolab/metro/runs"
	"metrolab/metro/tasks"
	"metrolab/metro/text"
	"metrolab/metro/training"
	"metrolab/metro/workspace"
	"metrolab/viz/table"
)

// finetuneFlags choose model, texts and schedule.
type finetuneFlags struct {
	model, data, corpus, backend, out string
	devices                           deviceCount
	options                           tasks.Options
}

func finetuneCommand() *cobra.Command {
	var f finetuneFlags
	cmd := &cobra.Command{
		Use:   "finetune",
		Short: "Fine-tune a pretrained main model to tell texts apart",
		Long: `Trains all weights of a run's main model, with a new linear head, on labelled texts, and prints its balanced accuracy
on test texts beside two baselines: always the largest class, and a bag-of-words classifier. Without --data the task is
the probe: which of eight families of Go packages does a comment come from?

A fine-tuning is a run of its own beside the model's, with a checkpoint that Ctrl-C saves and the same command goes on from;
asked for again, it is found. Its result is also kept in the model's folder, if that can be written: as finetune-TASK-….json,
named after the run, and the latest as finetune-TASK.json.`,
		Example: `  metro finetune --model runs/tiny-0123456789
  metro finetune --model runs/tiny-0123456789 --from-scratch     the control: the same without pretraining
  metro finetune --model runs/tiny-0123456789 --data mine.jsonl  lines of {"text": "...", "label": "..."}
  metro finetune --model runs/tiny-0123456789 --seed 1 --set optimizer.layer_decay=0.8
  metro finetune --model runs/tiny-0123456789 --devices 2        two devices share the rows of each step`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return finetune(cmd, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.model, "model", "", "folder of a run, or a Hugging Face folder")
	flags.StringVar(&f.data, "data", "", "labelled texts, JSON lines, in the place of the probe")
	flags.StringVar(&f.corpus, "corpus", text.Default, "corpus that the probe's texts are from: godoc is this machine's Go documentation")
	flags.StringVar(&f.backend, "backend", "auto", backendUsage)
	flags.Var(&f.devices, "devices", devicesUsage)
	flags.Int64Var(&f.options.Seed, "seed", 0, "seed of the new head and of the order of the texts")
	flags.IntVar(&f.options.Steps, "steps", 0, fmt.Sprintf("training steps; 0 is %d", tasks.DefaultSteps))
	flags.Float64Var(&f.options.LearningRate, "learning-rate", 0, "peak; 0 is half of pretraining's")
	flags.StringArrayVar(&f.options.Set, "set", nil, "change a field of the fine-tuning's config, path=value; repeat for more")
	flags.StringVar(&f.out, "out", "", "folder of the fine-tuning's run; if empty, the one that the model's run lies in or, of a Hugging Face folder, runs here")
	flags.BoolVar(&f.options.FromScratch, "from-scratch", false, "leave the pretrained weights out")
	if err := cmd.MarkFlagRequired("model"); err != nil {
		panic(err)
	}
	return cmd
}

func finetune(cmd *cobra.Command, f finetuneFlags) error {
	if f.data != "" && cmd.Flags().Changed("corpus") {
		return usererr.New("--corpus is where the probe's texts are from, and --data takes the place of the probe; leave one of the two out")
	}
	engine, err := f.devices.of(f.backend)
	if err != nil {
		return err
	}
	model, err := during("reading the model", func() (training.Pretrained, error) { return training.LoadPretrained(f.model) })
	if err != nil {
		return err
	}
	for _, line := range model.Notes {
		fmt.Fprintln(stderr, line)
	}
	task, err := f.task(cmd.Context())
	if err != nil {
		return err
	}
	if f.out == "" && !model.IsRun() {
		fmt.Fprintf(stderr, "%s is a Hugging Face folder: the fine-tuning's run goes to the folder %s here; --out names another\n", f.model, f.root(model))
	}
	runner, err := workspace.OpenEngine(workspace.Options{
		Backend: engine, Runs: f.root(model), Said: func(line string) { fmt.Fprintln(stderr, line) },
	})
	if err != nil {
		return err
	}
	about := task.About()
	fmt.Fprintf(stderr, "task %s: %s training and %s test texts of %d classes from %s\n",
		about.Name, humanize.Comma(int64(about.TrainTexts)), humanize.Comma(int64(about.TestTexts)), len(about.Classes), about.Source)
	bar := newBar("fine-tuning")
	result, err := tasks.Finetune(cmd.Context(), runner, model, task, f.options, bar.train)
	bar.finish()
	if err != nil {
		return err
	}
	if result.CutTexts > 0 {
		fmt.Fprintf(stderr, "%s texts are longer than what is read of one, the first 16 rows of the model\n", humanize.Comma(int64(result.CutTexts)))
	}
	printScores(cmd.OutOrStdout(), result)
	fmt.Fprintf(cmd.OutOrStdout(), "\nrun:    %s\n", result.Run.Dir)
	for _, path := range keepBeside(f.model, result) {
		fmt.Fprintf(cmd.OutOrStdout(), "result: %s\n", path)
	}
	return nil
}

// root is the folder of the fine-tuning's run: that of the model's if it is a run.
func (f finetuneFlags) root(model training.Pretrained) string {
	switch {
	case f.out != "":
		return f.out
	case model.IsRun():
		return filepath.Dir(filepath.Clean(f.model))
	default:
		return "runs"
	}
}

// keepBeside writes a result into the model's folder too: under the run's own name and, as the latest, under the task's. A
// folder that cannot be written is left alone; the run has the result.
func keepBeside(model string, r tasks.Result) (paths []string) {
	latest := "finetune-" + r.Task
	if r.FromScratch {
		latest += "-from-scratch"
	}
	for _, name := range []string{r.Run.ID, latest} {
		path := filepath.Join(model, name+".json")
		if err := runs.WriteJSON(path, r); err != nil {
			fmt.Fprintf(stderr, "the result is in the run alone: %v\n", err)
			return nil
		}
		paths = append(paths, path)
	}
	return paths
}

func (f finetuneFlags) task(ctx context.Context) (tasks.Task, error) {
	if f.data != "" {
		return tasks.ReadTask(f.data)
	}
	corpus, err := prepareCorpus(ctx, f.corpus, "")
	if err != nil {
		return nil, err
	}
	return tasks.Families(corpus)
}

// printScores prints the metrics of the model and of what it is to be compared with, and the recalls of classes.
func printScores(w io.Writer, r tasks.Result) {
	names := metricsOf(r)
	t := table.Table{Columns: []table.Column{{Name: "classifier"}}}
	for _, name := range names {
		t.Columns = append(t.Columns, table.Column{Name: strings.ReplaceAll(name, "_", " "), Align: table.Right, Format: "%.3f"})
	}
	add := func(classifier string, s tasks.Scores) {
		row := []any{classifier}
		for _, name := range names {
			row = append(row, s.Value(name))
		}
		t.Rows = append(t.Rows, row)
	}
	add(nameOf(r), r.Model)
	constant := "always the most frequent answer"
	if len(r.Model.Confusion) > 0 {
		constant = "always the largest class"
	}
	for _, other := range []struct {
		name   string
		scores tasks.Scores
	}{{"bag of words", r.BagOfWords}, {"TF-IDF", r.TFIDF}, {constant, r.Majority}} {
		if other.scores.Metrics != nil || other.scores.Confusion != nil {
			add(other.name, other.scores)
		}
	}
	printTable(w, t)
	if len(r.Model.Recall) == 0 {
		return
	}
	recall := table.Table{Columns: []table.Column{{Name: "class"}, {Name: "recall", Align: table.Right, Format: "%.3f"}}}
	for i, class := range r.Classes {
		recall.Rows = append(recall.Rows, []any{class, r.Model.Recall[i]})
	}
	fmt.Fprintln(w)
	printTable(w, recall)
}

// nameOf is what the model of a result is called in a table.
func nameOf(r tasks.Result) string {
	if r.FromScratch {
		return "the same from scratch"
	}
	return fmt.Sprintf("main model, %d steps of pretraining", r.PretrainedSteps)
}

// metricsOf are the metrics of a result, the one that models are compared by first.
func metricsOf(r tasks.Result) []string {
	if r.Model.Metrics == nil {
		return []string{"balanced_accuracy", "accuracy"}
	}
	rest := slices.DeleteFunc(slices.Sorted(maps.Keys(r.Model.Metrics)), func(name string) bool { return name == r.Metric })
	return append([]string{r.Metric}, rest...)
}
