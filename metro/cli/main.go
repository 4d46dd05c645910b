// SPDX-License-Identifier: Apache-2.0

// Package cli is the command metro, to be linked into other programs: what they register, an objective or a source of
// replacements of their own, has all of the command.
//
//	func main() { cli.Main() }
package cli

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"metrolab/internal/usererr"
)

// Main runs the command on os.Args and ends the program. Exit codes: 0 done, 1 our fault, 2 the user's, 130 interrupted
// (the state is saved).
func Main() {
	log.SetFlags(0) // warnings are sentences, not log lines
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the program at once
	}()
	err := root().ExecuteContext(ctx)
	if err == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "metro: %v\n", err)
	os.Exit(exitCode(err))
}

func exitCode(err error) int {
	switch {
	case interrupted(err):
		return 130
	case usererr.Is(err):
		return 2
	default:
		return 1
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "metro",
		Short: "Pretrain encoders with model-generated signals, and find out which parts matter",
		Long: `metro trains METRO-style encoders: a small generator writes plausible wrong tokens into a text, the main model
finds and corrects them. It prepares the text, pretrains, fine-tunes, and runs ablation studies with honest statistics.
Everything that is trained lies under one folder (runs/ unless --out says otherwise) and is never trained twice.`,
		Example: `  metro doctor                                   what is here, and how to get what is missing
  metro pretrain --recipe tiny                   a small model in about a minute
  metro finetune --model runs/tiny-0123456789    what it has learned
  metro correct --model runs/tiny-0123456789 "…"  what it thinks of your sentence
  metro ablate run quickstart                    a study, to a report with verdicts`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usererr.New("%w; see %s --help", err, c.CommandPath())
	})
	group(cmd)
	cmd.AddCommand(doctorCommand(), dataCommand(), pretrainCommand(), finetuneCommand(), predictCommand(), correctCommand(),
		exportCommand(), ablateCommand(), runsCommand(), recipeCommand())
	return cmd
}

// group makes a command that only holds others print its help when called alone, and refuse a name that it does not
// hold with the nearest one that it does.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = func(c *cobra.Command, given []string) error {
		if len(given) == 0 {
			return nil
		}
		way := "see " + c.CommandPath() + " --help"
		if near := c.SuggestionsFor(given[0]); len(near) > 0 {
			way = fmt.Sprintf("did you mean %q?", near[0])
		}
		return usererr.New("%s has no command %q; %s", c.CommandPath(), given[0], way)
	}
	return cmd
}

// args wraps cobra's argument checks so that a wrong count is the user's error.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		if err := check(c, given); err != nil {
			return usererr.New("%w; see %s --help", err, c.CommandPath())
		}
		return nil
	}
}

func interrupted(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, errInterrupted)
}
