// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
	"metrolab/metro/backend"
	"metrolab/metro/bench"
	"metrolab/metro/recipes"
	"metrolab/metro/text"
	"metrolab/metro/training"
	"metrolab/metro/workspace"
)

func benchCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "bench",
		Short: "Measure how fast this machine trains, and compare two measurements",
		Long: `Measures and leaves a report, a JSON file, with a picture beside it. Each number is measured several times; what is
printed is the median with its spread: an interval of 95 %, or the range of fewer than six repetitions.`,
		Example: `  metro bench step                             a training step of five recipes, in a few minutes
  metro bench components                       attention, sampling, loader, checkpoints, … each alone
  metro bench scale                            what length, width, depth, vocabulary and batch cost
  metro bench compare old.json new.json        is the difference more than noise?`,
	})
	cmd.AddCommand(benchStepCommand(), benchComponentsCommand(), benchScaleCommand(), benchCompareCommand())
	return cmd
}

// benchFlags say how to measure and where to.
type benchFlags struct {
	backend, output string
	set             []string
	repeat          int
	each            time.Duration
}

func (f *benchFlags) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.backend, "backend", "auto", backendUsage)
	flags.StringArrayVar(&f.set, "set", nil, "change a field first, path=value; repeat for more; metro recipe show lists the paths")
	flags.IntVar(&f.repeat, "repeat", bench.DefaultRepeat, "repetitions of each measurement")
	flags.DurationVar(&f.each, "each", time.Second, "time for a repetition, which takes one step or call at least")
	flags.StringVar(&f.output, "output", "", "report to write, NAME.json, which must not be there yet; the picture is NAME.png (default bench/SUITE-TIME.json)")
}

// watchMemory has watch hear what each program takes at its peak.
func watchMemory(watch func(bytes int64)) {
	if watch == nil {
		backend.WatchMemory(nil)
		return
	}
	backend.WatchMemory(func(m backend.DeviceMemory, err error) {
		if err == nil {
			watch(m.Peak)
		}
	})
}

// run measures a suite, and writes and prints what came out, also where it was interrupted.
func (f *benchFlags) run(cmd *cobra.Command, suite string, measure func(ctx context.Context, o bench.Options) (bench.Report, error)) error {
	if f.each <= 0 || f.repeat < 1 {
		return usererr.New("--repeat is %d and --each is %v; one repetition, and a time above 0, is the least", f.repeat, f.each)
	}
	if !cmd.Flags().Changed("output") {
		f.output = filepath.Join("bench", suite+time.Now().Format("-20060102-150405")+".json")
	}
	picture, isJSON := strings.CutSuffix(f.output, ".json")
	picture += ".png"
	if !isJSON {
		return usererr.New("--output is %q; a report's name ends in .json", f.output)
	}
	for _, path := range []string{f.output, picture} {
		if err := bench.CheckNew(path); err != nil {
			return err
		}
	}
	runner, err := workspace.OpenEngine(workspace.Options{Backend: f.backend, Said: func(line string) { fmt.Fprintln(stderr, line) }})
	if err != nil {
		return err
	}
	defer runner.Close()
	if err := onOneDevice(runner.Devices); err != nil {
		return err
	}
	backend.CacheExecutables("") // so that compilation is measured as well
	bar := newBar("measuring")
	defer bar.finish()
	report, err := measure(cmd.Context(), bench.Options{Runner: runner, Repeat: f.repeat, Each: f.each, WatchMemory: watchMemory, Progress: func(done, total int, doing string) {
		bar.screen.waitFor(benchWaitsFor(doing))
		bar.describe(done, total, doing)
	}})
	bar.finish()
	if len(report.Cases) == 0 {
		return err
	}
	return errors.Join(err, f.leave(cmd.OutOrStdout(), report, picture))
}

// benchWaitsFor says what a suite finishes before it stops.
func benchWaitsFor(doing string) string {
	if strings.HasSuffix(doing, "compiling") {
		return "the compilation, which cannot be cut short"
	}
	return "this step"
}

// leave prints a report and writes its files.
func (f *benchFlags) leave(out io.Writer, report bench.Report, picture string) error {
	fmt.Fprintln(out, report.Where())
	for _, t := range report.Tables() {
		fmt.Fprintln(out)
		printTable(out, t)
	}
	if err := atomicfile.MkdirAll(filepath.Dir(f.output)); err != nil {
		return err
	}
	if err := report.Write(f.output); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nreport:  %s\n", f.output)
	figure, err := report.Figure()
	if err == nil {
		err = bench.CheckNew(picture)
	}
	if err == nil {
		err = atomicfile.WriteFile(picture, figure.PNG)
	}
	if err == nil {
		fmt.Fprintf(out, "picture: %s\n", picture)
	} else if report.Interrupted { // too little may be there to draw
		err = nil
	}
	return err
}

func benchStepCommand() *cobra.Command {
	var f benchFlags
	var cases []string
	var corpus string
	cmd := &cobra.Command{
		Use:   "step",
		Short: "Measure training steps of recipes",
		Long: `Trains each recipe by the trainer's own loop, on as many rows as make 2,048 tokens a step (512 for models above 50
million weights), and prints

  tokens/s and tokens/processor s   by wall time, and by the time of all cores, which others on the machine change less
  GFLOP/s, of matmul                operations of the step's matrix products, and their part of what a 1024×1024 product
                                    reaches, measured in turns with the steps
  peak memory, compile              of the process, and of the compiler until the first step ended
  loader wait, host time            parts of the time in which no batch was ready, and in which nothing was computed

and the operations of a step in its parts. The rows hold invented tokens over a vocabulary of the recipe's size, unless
--corpus names a text; a step costs the same. Nothing that was trained is kept. Recipes that do not fit into the memory
that is free are left out, unless they were asked for. Peak memory is most exact when a recipe is measured alone.`,
		Example: `  metro bench step
  metro bench step --recipe tiny --output before.json
  metro bench step --recipe electra-small@128,metro-base@512 --repeat 10
  metro bench step --recipe mini --set training.activation_checkpointing=true`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("corpus") && corpus == "" {
				return errNoCorpus
			}
			list, err := benchCases(cases, cmd.Flags().Changed("recipe"), f.set)
			if err != nil {
				return err
			}
			return f.run(cmd, "step", func(ctx context.Context, o bench.Options) (bench.Report, error) {
				if o.OnCorpus = corpus != ""; o.OnCorpus {
					if err := openBenchCorpus(ctx, o.Runner, corpus, list); err != nil {
						return bench.Report{}, err
					}
				}
				return bench.Step(ctx, o, list)
			})
		},
	}
	f.addFlags(cmd)
	cmd.Flags().StringSliceVar(&cases, "recipe", bench.StepCases(), "recipes to measure, RECIPE or RECIPE@LENGTH for rows of so many tokens")
	cmd.Flags().StringVar(&corpus, "corpus", "", "text to train on, as metro pretrain takes it, in the place of invented tokens")
	return cmd
}

// benchCases reads cases. Of those that nobody has asked for, some may not fit.
func benchCases(specs []string, asked bool, set []string) (list []bench.Training, err error) {
	for _, spec := range specs {
		t, err := bench.ParseCase(spec, set...)
		if err != nil {
			return nil, err
		}
		if !asked && !bench.Fits(t.Config) {
			fmt.Fprintf(stderr, "%s is left out: the memory that is free is too little; --recipe %s measures it all the same\n", spec, spec)
			continue
		}
		list = append(list, t)
	}
	if len(list) == 0 {
		return nil, usererr.New("there is nothing to measure; name a recipe by --recipe")
	}
	return list, nil
}

// openBenchCorpus prepares a text and all its tokens, so that no measurement does.
func openBenchCorpus(ctx context.Context, runner *training.Runner, corpus string, list []bench.Training) error {
	bar := newBar("preparing text")
	defer bar.finish()
	reads := list[0].Config.Data
	ends, err := text.Ends(reads.Files)
	if err != nil {
		return err
	}
	if err := runner.OpenCorpus(ctx, corpus, text.Options{Field: reads.Field, Files: ends, Progress: bar.set}); err != nil {
		return err
	}
	bar.finish()
	for _, t := range list {
		if err := tokenize(ctx, runner, t.Config); err != nil {
			return err
		}
	}
	return nil
}

func benchComponentsCommand() *cobra.Command {
	var f benchFlags
	var recipe string
	cmd := &cobra.Command{
		Use:   "components",
		Short: "Time the parts of a training step, each alone",
		Long: `Times, by github.com/janpfeifer/go-benchmarks, at the sizes of a recipe: the relative position bias, one layer's
attention and the CLM head, each with its gradient; sampling; masking a batch and making one; the tokenizer, on some 15 kB
of prose; writing a checkpoint down to the disk, and reading it. A repetition takes a tenth of --each for each of them,
and five calls at least.`,
		Example: "  metro bench components\n  metro bench components --recipe electra-small@128",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := bench.ParseCase(recipe, f.set...)
			if err != nil {
				return err
			}
			return f.run(cmd, "components", func(ctx context.Context, o bench.Options) (bench.Report, error) {
				return bench.Components(ctx, o, t)
			})
		},
	}
	f.addFlags(cmd)
	cmd.Flags().StringVar(&recipe, "recipe", "mini", "recipe of whose sizes the parts are, RECIPE or RECIPE@LENGTH")
	return cmd
}

func benchScaleCommand() *cobra.Command {
	var f benchFlags
	var recipe string
	var axes []string
	cmd := &cobra.Command{
		Use:   "scale",
		Short: "Measure what length, width, depth, vocabulary and batch cost",
		Long: `Measures training steps of a small model, and of what it becomes when one of its sizes is 2, 4 and 8 times as large:
the length of rows, the width (with heads of equal size) and the depth of both models, the vocabulary, and the rows of a
step. ^1.10 beside the largest length says that the time of all cores for a step grows as the 1.10th power of the length,
between the last two points.`,
		Example: "  metro bench scale\n  metro bench scale --axis length,width --repeat 10\n  metro bench scale --recipe mini --set training.batch_size=2",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := bench.ParseBase(recipe, f.set...)
			if err != nil {
				return err
			}
			return f.run(cmd, "scale", func(ctx context.Context, o bench.Options) (bench.Report, error) {
				return bench.Scale(ctx, o, t, axes...)
			})
		},
	}
	f.addFlags(cmd)
	cmd.Flags().StringVar(&recipe, "recipe", "tiny", "recipe to begin with, RECIPE or RECIPE@LENGTH")
	cmd.Flags().StringSliceVar(&axes, "axis", bench.Axes(), "sizes that grow")
	return cmd
}

func benchCompareCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "compare OLD NEW",
		Short: "Set two reports of a suite side by side",
		Long: `Prints, for each metric, both medians with their spreads, the ratio of new to old, and p: how often two sets of
repetitions of one and the same thing would lie as far apart (Mann–Whitney U test). Where that is not below 5 %, there is
no difference to tell: ~ stands in the place of the ratio. OLD and NEW may be several reports, with commas between them,
whose repetitions are put together: on a machine that others use, measure the two programs in turns, old, new, old, new.`,
		Example: "  metro bench compare old.json new.json\n  metro bench compare old1.json,old2.json new1.json,new2.json",
		Args:    args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			older, err := readReports(given[0])
			if err != nil {
				return err
			}
			newer, err := readReports(given[1])
			if err != nil {
				return err
			}
			list, err := bench.Compare(older, newer)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "old: %s\nnew: %s\n", older.Where(), newer.Where())
			for _, c := range list {
				fmt.Fprintln(out)
				printTable(out, c.Table)
			}
			return nil
		},
	}
}

// readReports reads reports with commas between their paths, and puts them together.
func readReports(paths string) (bench.Report, error) {
	var all []bench.Report
	for path := range strings.SplitSeq(paths, ",") {
		r, err := bench.ReadReport(path)
		if err != nil {
			return r, err
		}
		all = append(all, r)
	}
	return bench.Pool(all...)
}

// benchRecipes completes the cases of metro bench: recipes and, behind an @, lengths.
func benchRecipes(begun string) (all []string) {
	done, last := "", begun
	if i := strings.LastIndex(begun, ","); i >= 0 {
		done, last = begun[:i+1], begun[i+1:]
	}
	name, _, at := strings.Cut(last, "@")
	for _, recipe := range recipes.Names() {
		if !at {
			all = append(all, done+recipe)
		} else if recipe == name {
			for _, length := range []int{128, 256, 512} {
				all = append(all, fmt.Sprintf("%s%s@%d", done, recipe, length))
			}
		}
	}
	return all
}
