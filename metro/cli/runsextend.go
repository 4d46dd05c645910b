// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

func runsExtendCommand(out *string) *cobra.Command {
	var w workspaceFlags
	var more int
	cmd := &cobra.Command{
		Use:   "extend RUN --steps N",
		Short: "Train a run for more steps, as a fork that is the longer run to the bit",
		Long: `Goes on with a run up to more steps than it has, as a fork of it, where that is the run that so many steps would have been from the
first one on: where learning rate and temperature do not depend on the length up to a step that has a checkpoint. That is so
during the warm-up, and with optimizer.final_fraction=1, whose rate stays. A rate that falls to 0 over the run has other steps behind it than
a longer run's, and then the command says so and trains nothing.`,
		Example: "  metro runs extend tiny-0123456789 --steps 2400",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			run, err := openRun(*out, given[0])
			if err != nil {
				return err
			}
			identity, config, err := extended(run, more)
			if err != nil {
				return err
			}
			w.out = filepath.Dir(run.Dir)
			if cmd.Flags().Changed("corpus") {
				config.Data.Corpus = ""
			}
			runner, err := openFor(cmd, w, config)
			if err != nil {
				return err
			}
			fmt.Fprintf(stderr, "goes on from %s\n", config.Training.Fork)
			return pretrain(cmd, runner, identity.Name, config)
		},
	}
	w.addTextFlags(cmd)
	cmd.Flags().IntVar(&more, "steps", 0, "steps of the longer run, those that are trained already included")
	return cmd
}

// openFor opens the workspace of a run's config, on the text that it was trained on unless --corpus names another place of it.
func openFor(cmd *cobra.Command, w workspaceFlags, c metro.Config) (*training.Runner, error) {
	data := c.Data
	if data.Corpus != "" && cmd.Flags().Changed("corpus") {
		data.Corpus = ""
	}
	data.Corpus = cmp.Or(data.Corpus, w.corpus)
	return w.open(cmd.Context(), data)
}

// extended is the config of the longer run: that of the run with more steps, forked where both are the same yet.
func extended(run *runs.Run, more int) (training.RunIdentity, metro.Config, error) {
	identity, err := training.ReadIdentity(run.Dir)
	if err != nil {
		return identity, metro.Config{}, err
	}
	short := identity.Config
	if short.Task.Name != "" {
		return identity, short, usererr.New("%s is a run of the task %q, and only pretraining can be extended", run.Dir, short.Task.Name)
	}
	if more <= short.Training.Steps {
		return identity, short, usererr.New("%s has %d steps; say with --steps how many more than these it is to have in all, not %d", run.Dir, short.Training.Steps, more)
	}
	long := short
	long.Training.Steps, long.Training.KeepAt = more, 0
	same := long.SameUpTo(short)
	have, err := runs.Checkpoints{Dir: run.Path(runs.CheckpointsDir)}.Steps()
	if err != nil {
		return identity, short, err
	}
	at := slices.IndexFunc(have, func(step int) bool { return step > same }) // the first that is too far
	if at < 0 {
		at = len(have)
	}
	if at == 0 {
		return identity, short, cannotExtend(run, short, long, same)
	}
	long.Training.Fork = fmt.Sprintf("%s@%d", run.ID, have[at-1])
	return identity, long, nil
}

func cannotExtend(run *runs.Run, short, long metro.Config, same int) error {
	n := short.Training.Steps
	return usererr.New("%s cannot be extended to %d steps: its schedule (optimizer.schedule=%s, optimizer.final_fraction=%g) is that of %d steps, and with %d the rate of step %d would have been %.3g and not %.3g, so that both part after step %d, of which or before which there is no checkpoint; train %d steps anew with --set training.steps=%d, or fork it with --set training.fork=%s@STEP, and the rate jumps there",
		run.Dir, long.Training.Steps, short.Optimizer.Schedule, short.Optimizer.FinalFraction, n, long.Training.Steps,
		same+1, long.LearningRate(same+1), short.LearningRate(same+1), same, long.Training.Steps, long.Training.Steps, run.ID)
}

func runsCheckpointCommand(out *string) *cobra.Command {
	var w workspaceFlags
	cmd := &cobra.Command{
		Use:   "checkpoint RUN@STEP",
		Short: "Make the checkpoint of a step that a run has none of any more, to fork it there",
		Long: `Trains a run once more from its last checkpoint before the step, or from its beginning, up to the step, and puts the checkpoint into the
run's folder. What is measured on the way must be what the run's log says, to the bit, else nothing is written.`,
		Example: "  metro runs checkpoint tiny-0123456789@400",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			name, step, err := metro.ParseFork(given[0])
			if err != nil {
				return usererr.New("%q names no step of a run; write RUN@STEP, such as tiny-0123456789@400", given[0])
			}
			run, err := openRun(*out, name)
			if err != nil {
				return err
			}
			runner, err := openRunner(cmd, w, run)
			if err != nil {
				return err
			}
			bar := newBar("training again")
			err = runner.MakeCheckpoint(cmd.Context(), run.Dir, step, bar.train)
			bar.finish()
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%s has a checkpoint of step %d\n", run.Dir, step)
			}
			return err
		},
	}
	w.addTextFlags(cmd)
	return cmd
}

// openRunner opens the workspace of a run that there is.
func openRunner(cmd *cobra.Command, w workspaceFlags, run *runs.Run) (*training.Runner, error) {
	identity, err := training.ReadIdentity(run.Dir)
	if err != nil {
		return nil, err
	}
	w.out = filepath.Dir(run.Dir)
	return openFor(cmd, w, identity.Config)
}
