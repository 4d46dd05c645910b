// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/corruptions"
	"metrolab/metro/runs"
	"metrolab/metro/training"
	"metrolab/viz/table"
)

func corruptCommand() *cobra.Command {
	var w workspaceFlags
	var f recipeFlags
	var source, out string
	var top int
	cmd := &cobra.Command{
		Use:   "corrupt",
		Short: "Draw a trained generator's replacements once, for runs that then need no generator",
		Long: `Draws for every row that a run would read, in training and on the validation split, what a trained generator says at its masked
positions, and writes it to a folder: 4 bytes a masked position, 6 over a vocabulary beyond 65,536. A run with
--set replacements.source=stored reads them, and neither holds a generator nor runs one.

The runs that read the folder have the text, the seed, the masks, the batch and no more steps than it was made for; the main model, the
objective and the optimizer are theirs to choose, so that the arms of a study share one. Temperature, its schedule and
replacements.disallow_correct are settings of the drawing: samples are those that replacements.source=frozen would draw. The
generator is that of a run or a Hugging Face folder or, of a model that was trained by masked language modelling, the main model.

--top 32 keeps the logits of the 32 likeliest tokens of each position instead, and how much is left to the others. As a --source,
that folder draws at any temperature without a generator. What is lost is measured at temperatures from 0.5 to 4, as the mean
Kullback-Leibler divergence from the whole distribution; where it is above 0.001 nats, it is refused.

Ctrl-C keeps what is whole, and the same command goes on. That Fast-ELECTRA's generator does not learn is reported; that
nothing is drawn in training is ours.`,
		Example: `  metro corrupt --recipe tiny --source runs/tiny-0123456789 --out drawn
  metro pretrain --recipe tiny --set replacements.source=stored --set replacements.checkpoint=drawn
  metro corrupt --recipe tiny --source runs/tiny-0123456789 --set replacements.temperature=2 --set replacements.temperature_schedule=linear --out falling
  metro corrupt --recipe tiny --source runs/tiny-0123456789 --top 128 --out logits
  metro corrupt --recipe tiny --source logits --set replacements.temperature=1.5 --out warmer`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := f.set
			f.set = append([]string{"sharing=none", "replacements.source=frozen", "replacements.checkpoint=" + source}, f.set...)
			config, err := f.config(runs.Store{})
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("top") {
				if err := f.checkTop(top); err != nil {
					return err
				}
			}
			runner, err := w.open(cmd.Context(), config.Data)
			if err != nil {
				return err
			}
			config = w.named(config)
			reading := config
			if _, err := corruptions.Look(source); err == nil { // of logits, whose folder has the tokenizer
				reading.Replacements.Source = metro.SourceStored
			}
			if err := tokenize(cmd.Context(), runner, reading); err != nil {
				return err
			}
			bar := newBar("drawing")
			about, err := runner.Corrupt(cmd.Context(), source, config, out, top, bar.set)
			bar.finish()
			if err != nil {
				return err
			}
			printCorruptions(cmd.OutOrStdout(), about, config, source)
			next, more := "pretrain", " --set replacements.source=stored --set replacements.checkpoint="+out
			if top > 0 {
				next, more = "corrupt", " --source "+out+" --set replacements.temperature=T --out FOLDER"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "\ndrawn: %s\nnext:  metro %s%s%s\n", out, next, f.again(cmd, given), more)
			return nil
		},
	}
	w.addEngineFlags(cmd)
	f.addFlags(cmd)
	cmd.Flags().StringVar(&source, "source", "", "run or Hugging Face folder whose generator draws, or a folder of logits")
	cmd.Flags().IntVar(&top, "top", 0, "keep the logits of so many tokens of each position, in the place of a sample")
	cmd.Flags().StringVar(&out, "out", "", "folder to write, or to go on with")
	for _, flag := range []string{"source", "out"} {
		if err := cmd.MarkFlagRequired(flag); err != nil {
			panic(err)
		}
	}
	return cmd
}

// again is how a command that reads the same rows is begun: with the recipe, text and seed of this one, and with what was set of those
// that read, which is all but how samples are drawn.
func (f *recipeFlags) again(cmd *cobra.Command, given []string) string {
	words := " --recipe " + f.recipe
	for _, flag := range []string{"corpus", "seed"} {
		if cmd.Flags().Changed(flag) {
			words += " --" + flag + " " + cmd.Flags().Lookup(flag).Value.String()
		}
	}
	for _, a := range given {
		if !strings.HasPrefix(strings.TrimSpace(a), "replacements.") && !strings.HasPrefix(strings.TrimSpace(a), "generator.") {
			words += " --set " + a
		}
	}
	return words
}

// checkTop is the user's error if logits are kept of none, or if a setting is given that only samples have.
func (f *recipeFlags) checkTop(top int) error {
	if top < 1 {
		return usererr.New("--top is %d; it keeps the logits of 1 token and more", top)
	}
	for _, path := range []string{"replacements.temperature", "replacements.temperature_schedule", "replacements.temperature_decay", "replacements.disallow_correct"} {
		if value, ok := f.assigned(path); ok {
			return usererr.New("%s=%s does nothing beside --top, which keeps what any temperature draws from; set it when the folder is a --source", path, value)
		}
	}
	return nil
}

// printCorruptions says what was written, and what training on it costs beside training with a generator.
func printCorruptions(w io.Writer, about corruptions.About, c metro.Config, source string) {
	fmt.Fprintf(w, "%s rows of %d masked positions, for %d steps and the validation split: %s\n\n", known(float64(about.Rows()), ""), about.Slots, about.Steps, size(about.Bytes))
	if about.Top > 0 {
		fmt.Fprintf(w, "logits of %d tokens a position; what is lost, in nats, by temperature:%s\n", about.Top, about.Loss)
		return
	}
	costs, err := costsOf(c, about, source)
	if err != nil {
		fmt.Fprintf(w, "what it saves is not known: %v\n", err)
		return
	}
	printTable(w, costs.table())
	fmt.Fprintln(w)
	switch runs := costs.breakEven(); {
	case math.IsInf(runs, 1):
		fmt.Fprintln(w, "a run on the corruptions takes no fewer operations than one with a generator")
	case costs.generator == 0:
		fmt.Fprintf(w, "without what the generator's own training took, which is not known, the operations are saved from run %.0f on\n", runs)
	default:
		fmt.Fprintf(w, "with the generator's own training, %s, and the drawing, the operations are saved from run %.0f on\n", known(costs.generator, "FLOP"), runs)
	}
}

// corruptionCosts are operations.
type corruptionCosts struct {
	joint, frozen, stored float64 // of a step, with a generator that learns, with one that does not, and on corruptions
	drawing               float64 // of all steps, once
	generator             float64 // of its own training; 0 where that is not known
	steps                 int
}

func costsOf(c metro.Config, about corruptions.About, source string) (costs corruptionCosts, err error) {
	costs.steps = about.Steps
	c.Replacements.Checkpoint = ""
	for name, to := range map[string]*float64{metro.SourceJoint: &costs.joint, metro.SourceFrozen: &costs.frozen, metro.SourceStored: &costs.stored} {
		c.Replacements.Source = name
		flops, err := c.FLOPs(about.Vocab)
		if err != nil {
			return costs, err
		}
		*to = flops.Total()
	}
	costs.drawing = (costs.frozen - costs.stored) * float64(about.Steps)
	if from, err := training.LoadPretrained(source); err == nil && from.RunDir != "" {
		if own, err := from.Identity.Config.RunFLOPs(about.Vocab, from.Step); err == nil {
			costs.generator = own
		}
	}
	return costs, nil
}

func (c corruptionCosts) table() table.Table {
	t := table.Table{Columns: []table.Column{{Name: "a step of training"}, {Name: "operations", Align: table.Right}, {Name: "of the first", Align: table.Right}}}
	for _, row := range []struct {
		name  string
		value float64
	}{{"the generator learns beside it (joint)", c.joint}, {"the generator draws (frozen)", c.frozen}, {"drawn before (stored)", c.stored}} {
		t.Rows = append(t.Rows, []any{row.name, known(row.value, "FLOP"), fmt.Sprintf("%.0f %%", 100*row.value/c.joint)})
	}
	return t
}

// breakEven is the run with which what came first is paid for.
func (c corruptionCosts) breakEven() float64 {
	saved := (c.joint - c.stored) * float64(c.steps)
	if saved <= 0 {
		return math.Inf(1)
	}
	return max(1, math.Ceil((c.drawing+c.generator)/saved))
}
