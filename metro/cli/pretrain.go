// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// recipeFlags choose a config.
type recipeFlags struct {
	recipe   string
	set      []string
	seed     int64
	initFrom string
	resume   string
	changed  func(flag string) bool // whether a flag was given
}

func (f *recipeFlags) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.recipe, "recipe", "tiny", "recipe to start from; see metro recipe list")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "change a field, path=value; repeat for more; metro recipe show lists the paths")
	cmd.Flags().Int64Var(&f.seed, "seed", 0, "seed of weights, order, masks and samples")
	f.changed = cmd.Flags().Changed
}

// config is that of the recipe with what was set; that of a fork, unless a recipe is named, is that of its trunk, which is
// looked for in the store.
func (f *recipeFlags) config(store runs.Store) (metro.Config, error) {
	c, err := recipes.Get(f.recipe)
	if err != nil {
		return c, err
	}
	c.Seed = f.seed
	if fork, ok := f.assigned("training.fork"); ok && !f.changed("recipe") {
		trunk, err := training.FindTrunk(store, fork)
		if err != nil {
			return c, err
		}
		f.recipe, c = trunk.Identity.Name, trunk.Identity.Config
		c.Training.KeepAt = 0
		if f.changed("seed") {
			c.Seed = f.seed
		}
		if f.changed("corpus") {
			c.Data.Corpus = ""
		}
	}
	if f.initFrom != "" {
		p, err := training.LoadPretrained(f.initFrom)
		if err != nil {
			return c, fmt.Errorf("--init-from: %w", err)
		}
		c = p.Shape(c)
		c.Training.InitFrom = f.initFrom
	}
	for path, flag := range map[string]string{"seed": "seed", "training.init_from": "init-from", "data.corpus": "corpus"} {
		if value, ok := f.assigned(path); ok && f.changed(flag) {
			return c, usererr.New("--set %s=%s and --%s both say it; leave one out", path, value, flag)
		}
	}
	return c, errors.Join(c.SetAll(f.set...), c.Validate())
}

// assigned is what --set gives a path.
func (f *recipeFlags) assigned(path string) (value string, ok bool) {
	for _, a := range f.set {
		if name, value, _ := strings.Cut(a, "="); strings.TrimSpace(name) == path {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

func pretrainCommand() *cobra.Command {
	var w workspaceFlags
	var f recipeFlags
	cmd := &cobra.Command{
		Use:   "pretrain",
		Short: "Train a generator and a main model on text",
		Long: `Trains one config and leaves a folder that ` + "`metro finetune`" + ` takes: config.json, metrics.jsonl, checkpoints,
tokenizer.json, result.json and provenance.json. Ctrl-C finishes the step and saves; the same command goes on.
A run that is finished is not trained again: its folder is named after the hash of all that decides its numbers. How often
things are written down and how many checkpoints stay decide none: with other such settings it is the same run.

--set training.fork=RUN@STEP goes on from a step of another run: with its weights and moments, and with its config unless
--recipe names one, but for what --set changes. Both share every step before, in their logs too. What the steps before were made
with (seed, text, batch size) and the shape of the model stay. RUN must have a checkpoint of that step: --set
training.keep_at=STEP keeps one while RUN is trained, and metro runs checkpoint RUN@STEP makes it later.

--set training.word_milestones=1000000 keeps the checkpoints at 1, 2, … 10, 20, … 100, 200, … million words of text seen, as BabyLM
asks; metro blimp, finetune, predict and export take one as --model RUN@STEP.

--devices N computes each step on N devices of this machine, GPUs or parts of the processor: each has an equal share of the rows.
Losses and gradients are those of one device but for the order of sums, so that it is a run of its own. A fork goes on from
one number of devices on another.`,
		Example: `  metro pretrain --recipe tiny
  metro pretrain --recipe tiny --seed 7 --set objective.rtd_weight=10 --set training.steps=600
  metro pretrain --recipe mini --corpus ~/books
  metro pretrain --recipe metro-base --devices 4    four GPUs share the rows of each step
  metro pretrain --resume runs/tiny-0123456789    go on with a run whose command is not at hand
  metro pretrain --recipe tiny --init-from runs/tiny-0123456789 --set optimizer.learning_rate=5e-4
  metro pretrain --set training.fork=tiny-0123456789@400 --set objective.rtd_weight=10`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.resume != "" {
				return resume(cmd, w, f.resume)
			}
			config, err := f.config(runs.Store{Root: w.out})
			if err != nil {
				return err
			}
			runner, err := w.open(cmd.Context(), config.Data)
			if err != nil {
				return err
			}
			return pretrain(cmd, runner, f.recipe, w.named(config))
		},
	}
	w.addFlags(cmd)
	f.addFlags(cmd)
	cmd.Flags().StringVar(&f.initFrom, "init-from", "", "begin with the weights, the shape and the tokenizer of a run or a Hugging Face pair")
	cmd.Flags().StringVar(&f.resume, "resume", "", "go on with the run in this folder, from its own config.json")
	return cmd
}

// resume goes on with the run in a folder, on the text that it was begun on unless --corpus names another place of it.
func resume(cmd *cobra.Command, w workspaceFlags, dir string) error {
	for _, flag := range []string{"recipe", "set", "seed", "init-from", "out"} {
		if cmd.Flags().Changed(flag) {
			return usererr.New("--resume goes on with the run where it lies, from its own config, so --%s has nothing to change; leave one of the two out", flag)
		}
	}
	stored, err := training.ReadIdentity(dir)
	if err != nil {
		return err
	}
	if corpus := stored.Config.Data.Corpus; corpus != "" && !cmd.Flags().Changed("corpus") {
		w.corpus = corpus
	}
	data := stored.Config.Data
	data.Corpus = w.corpus
	runner, err := w.open(cmd.Context(), data)
	if err != nil {
		return err
	}
	job, err := runner.Resume(cmd.Context(), dir)
	if err != nil {
		return err
	}
	return train(cmd, job)
}

func pretrain(cmd *cobra.Command, runner *training.Runner, name string, config metro.Config) error {
	if err := tokenize(cmd.Context(), runner, config); err != nil {
		return err
	}
	job, err := runner.Open(cmd.Context(), name, config)
	if err != nil {
		return err
	}
	return train(cmd, job)
}

// train trains a run with a bar, and prints what it measured last.
func train(cmd *cobra.Command, run *training.Job) error {
	fmt.Fprintf(stderr, "run: %s\n", run.Dir)
	bar := newBar("training")
	result, err := run.Train(cmd.Context(), bar.train)
	bar.finish()
	if err != nil {
		return err
	}
	if err := result.Err(); err != nil {
		return fmt.Errorf("%s: %w", run.Dir, err)
	}
	printMetrics(cmd.OutOrStdout(), result)
	fmt.Fprintf(cmd.OutOrStdout(), "\nmodel: %s\nnext:  metro finetune --model %s\n", run.Dir, run.Dir)
	return nil
}
