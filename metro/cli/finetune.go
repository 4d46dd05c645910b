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
	model, task, data, corpus, backend, out string
	recipe, predictions                     string
	skipBadRows, control, choose            bool
	seeds                                   int
	shots, adapt                            []string
	plot                                    string
	devices                                 deviceCount
	options                                 tasks.Options
}

func finetuneCommand() *cobra.Command {
	var f finetuneFlags
	cmd := &cobra.Command{
		Use:   "finetune",
		Short: "Fine-tune a pretrained main model on a task",
		Long: `Trains a run's main model, with a new head, on a task, and prints what it scores on test texts beside
what knows nothing of pretraining: always the most frequent answer, and a logistic regression on words. Without --task and --data
the task is the probe: which of eight families of Go packages does a comment come from?

--task names one of the sets that "metro tasks" lists, whose files are yours, in the folder that --data names; or a task file,
whose few lines say where examples stand and what is asked of them ("metro tasks --help"). --data alone is a file of labelled
texts. Rows that cannot be read are listed with file, line and reason, and refused unless --skip-bad-rows passes them over.

--control, --seeds and --shots say how sure a score is: the same network from scratch, several seeds, and how many labelled texts it
takes. --set training.eval_every=N measures every N steps, and the evaluation that is best on the validation texts is said beside
the last. Every number but the median is of one run.

--adapt says what learns beside the head, in the place of all weights: head (nothing), norms, bias, lora, prompt or connector, which
puts the generator's states in; an option follows behind a colon (prompt:tokens=1). Of several, a table says what each scores and
which share of the weights it trains, the head's among them, and --plot draws that.

A fine-tuning is a run of its own beside the model's, with a checkpoint that Ctrl-C saves and the same command goes on from;
asked for again, it is found. Its result is also kept in the model's folder, if that can be written: as finetune-TASK-….json,
named after the run, and the latest as finetune-TASK.json.`,
		Example: `  metro finetune --model runs/tiny-0123456789
  metro finetune --model runs/tiny-0123456789 --from-scratch     the control: the same without pretraining
  metro finetune --model runs/tiny-0123456789 --data mine.jsonl  lines of {"text": "...", "label": "..."}
  metro finetune --model runs/tiny-0123456789 --task rotten-tomatoes --data ../data/tasks
  metro finetune --model runs/tiny-0123456789 --task mine.yaml   what the file says
  metro finetune --model runs/tiny-0123456789 --task glue-cola --data ../glue --published electra --seeds 5 --control
  metro finetune --model runs/tiny-0123456789 --task mine.yaml --shots 8,64,all --seeds 3
  metro finetune --model runs/tiny-0123456789 --adapt lora:rank=8
  metro finetune --model runs/tiny-0123456789 --adapt full,head,prompt:tokens=1,norms,bias,lora --seeds 5 --plot adapt.png
  metro finetune --model runs/tiny-0123456789 --seed 1 --set optimizer.layer_decay=0.8
  metro finetune --model runs/tiny-0123456789 --devices 2        two devices share the rows of each step`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return finetune(cmd, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.model, "model", "", "folder of a run, RUN@STEP for its checkpoint of a step, or a Hugging Face folder")
	flags.StringVar(&f.task, "task", "", "a named set (see metro tasks) or a task file, in the place of the probe")
	flags.StringVar(&f.data, "data", "", "folder of the named set's files; without --task, labelled texts, JSON lines")
	flags.BoolVar(&f.skipBadRows, "skip-bad-rows", false, "pass over rows of the task that cannot be read, and count them")
	flags.StringVar(&f.corpus, "corpus", text.Default, "corpus that the probe's texts are from: godoc is this machine's Go documentation")
	flags.StringVar(&f.backend, "backend", "auto", backendUsage)
	flags.Var(&f.devices, "devices", devicesUsage)
	flags.Int64Var(&f.options.Seed, "seed", 0, "seed of the new head and of the order of the texts")
	flags.IntVar(&f.options.Steps, "steps", 0, fmt.Sprintf("training steps; 0 is %d", tasks.DefaultSteps))
	flags.Float64Var(&f.options.LearningRate, "learning-rate", 0, "peak; 0 is half of pretraining's")
	flags.StringArrayVar(&f.options.Set, "set", nil, "change a field of the fine-tuning's config, path=value; repeat for more")
	flags.StringVar(&f.out, "out", "", "folder of the fine-tuning's run; without it, the one that the model's run lies in or, of a Hugging Face folder, runs here")
	flags.Float64Var(&f.options.Epochs, "epochs", 0, "passes over the training texts, in the place of --steps")
	flags.StringVar(&f.recipe, "published", "", "fine-tune as has been published: "+strings.Join(recipeNames(), ", ")+"; other flags come before it")
	flags.IntVar(&f.seeds, "seeds", 1, "fine-tunings at seeds that follow one another, of which median and spread are printed")
	flags.StringSliceVar(&f.shots, "shots", nil, "few-label curve: numbers of training texts of each class, such as 8,64,all; --seeds draws of each")
	flags.StringSliceVar(&f.adapt, "adapt", nil, "what learns beside the head: full, head, norms, bias, lora, prompt or connector; several, with commas between, are compared")
	flags.StringVar(&f.plot, "plot", "", "PNG file to draw the scores of several --adapt in, against the share of the weights that learn")
	flags.BoolVar(&f.control, "control", false, "train the same network from scratch too, and print it beside")
	flags.BoolVar(&f.choose, "choose", false, "try a quarter, a half and the whole of pretraining's rate, and keep what is best on the validation texts")
	flags.StringVar(&f.predictions, "predictions", "", "file to write what is said of each test text to, JSON lines; it must not be there yet")
	flags.BoolVar(&f.options.FromScratch, "from-scratch", false, "leave the pretrained weights out")
	if err := cmd.MarkFlagRequired("model"); err != nil {
		panic(err)
	}
	return cmd
}

func finetune(cmd *cobra.Command, f finetuneFlags) error {
	if err := f.check(cmd.Flags().Changed("corpus")); err != nil {
		return err
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
	task, err := f.examples(cmd.Context())
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
	sayTask(about, task, model)
	s := &tuning{cmd: cmd, flags: f, runner: runner, model: model, task: task}
	if len(f.adapt) == 1 {
		s.flags.options.Set = append(s.flags.options.Set, adaptationNamed(f.adapt[0]).set...)
	}
	if f.recipe != "" {
		recipe, err := tasks.RecipeOf(f.recipe)
		if err != nil {
			return err
		}
		s.task = recipe.Apply(task, &s.flags.options)
	}
	if len(f.adapt) > 1 {
		return s.adaptations()
	}
	if len(f.shots) > 0 {
		return s.curve()
	}
	if f.seeds > 1 {
		return s.repeat()
	}
	return s.once()
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
	if name, _, _ := strings.Cut(r.Adaptation, ":"); name != "" {
		latest += "-" + name
	}
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

// check refuses flags that say nothing together.
func (f finetuneFlags) check(corpus bool) error {
	switch {
	case (f.task != "" || f.data != "") && corpus:
		return usererr.New("--corpus is where the probe's texts are from, and --task or --data takes the place of the probe; leave one of the two out")
	case f.seeds < 1:
		return usererr.New("--seeds must be 1 or more, it is %d", f.seeds)
	case f.control && f.options.FromScratch:
		return usererr.New("--control trains the network from scratch beside the pretrained one, and --from-scratch in its place; leave one of the two out")
	case f.predictions != "" && (f.seeds > 1 || len(f.shots) > 0):
		return usererr.New("--predictions are those of one fine-tuning; leave --seeds and --shots out")
	case f.predictions != "" && len(f.adapt) > 1:
		return usererr.New("--predictions are those of one fine-tuning; name one way of --adapt")
	case len(f.shots) > 1 && len(f.adapt) > 1:
		return usererr.New("--shots %s and --adapt %s are two comparisons; name one number of texts, or one way to learn", strings.Join(f.shots, ","), strings.Join(f.adapt, ","))
	case f.plot != "" && len(f.adapt) < 2:
		return usererr.New("--plot draws what several ways of --adapt score, with commas between them; there are %d", len(f.adapt))
	case f.plot != "" && !strings.HasSuffix(f.plot, ".png"):
		return usererr.New("the picture %s is written as PNG; give it a name that ends in .png", f.plot)
	case len(f.adapt) > 0 && slices.ContainsFunc(f.options.Set, func(a string) bool { return strings.HasPrefix(strings.TrimSpace(a), "task.adaptation") }):
		return usererr.New("--adapt and --set task.adaptation both say what learns; leave one of the two out")
	case f.choose && (f.options.LearningRate != 0 || f.recipe != ""):
		return usererr.New("--choose tries learning rates, and --learning-rate or --published says one; leave one of the two out")
	case f.skipBadRows && f.task == "":
		return usererr.New("--skip-bad-rows is for the files of a --task; without one it does nothing")
	case f.data != "" && strings.HasSuffix(f.task, ".yaml"):
		return usererr.New("--data is where a named set's files lie; a task file says itself where its examples stand")
	case f.predictions != "":
		return vacant("--predictions", f.predictions)
	case f.plot != "":
		return needFolder("--plot", f.plot)
	}
	return nil
}

// sayTask says what the task is, and what is to be known of its examples.
func sayTask(about tasks.About, task tasks.Task, model training.Pretrained) {
	classes := ""
	if n := len(about.Classes); n > 0 {
		classes = fmt.Sprintf(" of %d classes", n)
	}
	fmt.Fprintf(stderr, "task %s (%s): %s training and %s test texts%s from %s\n",
		about.Name, about.Kind, humanize.Comma(int64(about.TrainTexts)), humanize.Comma(int64(about.TestTexts)), classes, about.Source)
	for _, note := range about.Notes {
		fmt.Fprintln(stderr, note)
	}
	if c := model.Model.Config; task.Form(c.Data.SeqLen).Pairs && c.Embeddings.TokenTypes < 2 {
		fmt.Fprintln(stderr, "the model has no token type for a second text: the two of a row are told apart by [SEP] alone")
	}
}

// examples reads the task.
func (f finetuneFlags) examples(ctx context.Context) (tasks.Task, error) {
	if f.task != "" {
		return tasks.Read(f.task, tasks.ReadOptions{Data: f.data, SkipBadRows: f.skipBadRows})
	}
	if f.data != "" {
		return tasks.ReadTask(f.data)
	}
	corpus, err := prepareCorpus(ctx, f.corpus, textFlags{})
	if err != nil {
		return nil, err
	}
	return tasks.Families(corpus)
}

// printScores prints the metrics of the model and of what it is to be compared with, and the recalls of classes.
func printScores(w io.Writer, r tasks.Result, control *tasks.Result) {
	names := metricsOf(r)
	t := table.Table{Columns: []table.Column{{Name: "classifier"}}}
	for _, name := range names {
		t.Columns = append(t.Columns, table.Column{Name: spoken(name), Align: table.Right, Format: "%.3f"})
	}
	add := func(classifier string, s tasks.Scores) {
		row := []any{classifier}
		for _, name := range names {
			row = append(row, s.Value(name))
		}
		t.Rows = append(t.Rows, row)
	}
	add(nameOf(r), r.Model)
	if control != nil {
		add(nameOf(*control), control.Model)
	}
	words, constant := baselineNames(r)
	for _, other := range []struct {
		name   string
		scores tasks.Scores
	}{{"bag of words", r.BagOfWords}, {words, r.TFIDF}, {constant, r.Majority}} {
		if other.scores.Metrics != nil || other.scores.Confusion != nil {
			add(other.name, other.scores)
		}
	}
	printTable(w, t)
	if early, ok, err := tasks.EarlyChoice(r); err == nil && ok {
		fmt.Fprintf(w, "\nbest on the validation texts after %d steps: %s %.3f there, %.3f on the test texts\n", early.Step, spoken(r.Metric), early.Dev, early.Test)
	}
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

// baselineNames are what a result is compared with: an answer by words alone, and one without any.
func baselineNames(r tasks.Result) (words, constant string) {
	words = "TF-IDF and logistic regression"
	switch r.Kind {
	case "regression":
		return "cosine of TF-IDF", "always the mean"
	case "multiple choice":
		return words, "always the place that is right most often"
	case "tagging":
		return words, "each word's most frequent tag"
	case "spans":
		return words, "never an answer"
	case "cloze":
		return words, "the name that the text has most often"
	default:
		return words, "always the largest class"
	}
}

// spoken is a metric's name for people.
func spoken(metric string) string { return strings.ReplaceAll(metric, "_", " ") }

// nameOf is what the model of a result is called in a table.
func nameOf(r tasks.Result) string {
	if r.FromScratch {
		return "the same from scratch"
	}
	if r.PretrainedSteps == 0 { // a folder that was imported, which says nothing of its steps
		return "main model, pretrained elsewhere"
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
