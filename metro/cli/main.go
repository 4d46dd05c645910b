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
	"io"
	"log"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"metrolab/internal/usererr"
)

// Main runs the command on os.Args and ends the program. Exit codes: 0 done, 1 our fault, 2 something in the command, the
// files or the folders, 3 the training diverged, 75 told to end by a scheduler or a closed terminal, 130 Ctrl-C.
func Main() {
	log.SetFlags(0) // warnings are sentences, not log lines
	log.SetOutput(stderr)
	os.Exit(run(listen(stderr), root(), os.Args[1:], os.Stdout))
}

// run runs a command line of cmd, says what went wrong, and returns the exit code.
func run(ctx context.Context, cmd *cobra.Command, args []string, stdout *os.File) (code int) {
	defer func() {
		if fault := recover(); fault != nil {
			stderr.clear()
			fmt.Fprintf(stderr, "metro: this is a fault of the program: %v\n\n%s", fault, debug.Stack())
			code = exitFault
		}
	}()
	out := &output{File: stdout}
	err := execute(ctx, cmd, args, out)
	stderr.clear()
	if err == nil {
		err = out.err
	}
	if code = exitCode(ctx, err); code != exitDone {
		fmt.Fprintf(stderr, "metro: %v\n", said(err))
	}
	return code
}

// execute runs a command line. What is wrong before a command begins, a flag say, is the user's error.
func execute(ctx context.Context, cmd *cobra.Command, args []string, out io.Writer) error {
	if len(args) == 0 || !strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) { // completion reads the flags twice itself
		everyCommand(cmd, once)
	}
	begun := false
	everyCommand(cmd, func(c *cobra.Command) {
		if run := c.RunE; run != nil {
			c.RunE = func(c *cobra.Command, given []string) error {
				begun = true
				if err := checkFilled(c); err != nil {
					return err
				}
				if err := checkLists(c); err != nil {
					return err
				}
				return run(c, given)
			}
		}
	})
	cmd.SetOut(out)
	cmd.SetErr(stderr)
	cmd.SetArgs(args)
	last, err := cmd.ExecuteContextC(ctx)
	if err != nil && !begun && !usererr.Is(err) {
		return usererr.New("%w; see %s --help", err, last.CommandPath())
	}
	return err
}

func everyCommand(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, sub := range c.Commands() {
		everyCommand(sub, do)
	}
}

// said is err as it is said to the user.
func said(err error) string {
	if err == context.Canceled {
		return "interrupted; run the same command again"
	}
	return strings.ReplaceAll(err.Error(), context.Canceled.Error(), "interrupted")
}

// output is the standard output. It keeps the first error, so that a table on a full disk is no success.
type output struct {
	*os.File
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.File.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "metro",
		Short: "Pretrain encoders with model-generated signals, and find out which parts matter",
		Long: `metro trains METRO-style encoders: a small generator writes plausible wrong tokens into a text, the main model
finds and corrects them. It prepares the text, pretrains, fine-tunes, and runs ablation studies with honest statistics.
Everything that is trained lies under one folder (runs/ unless --out says otherwise) and is never trained twice.

` + exitHelp(),
		Example: `  metro doctor                                   what is here, and how to get what is missing
  metro pretrain --recipe tiny                   a small model in about a minute
  metro finetune --model runs/tiny-0123456789    what it has learned
  metro correct --model runs/tiny-0123456789 "…"  what it thinks of your sentence
  metro ablate run quickstart                    a study, to a report with verdicts`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok && usererr.Is(invalid.Unwrap()) {
			return invalid.Unwrap() // says it all
		}
		return usererr.New("%w; see %s --help", err, c.CommandPath())
	})
	group(cmd)
	cmd.AddCommand(doctorCommand(), dataCommand(), pretrainCommand(), corruptCommand(), finetuneCommand(), tasksCommand(), predictCommand(), correctCommand(), blimpCommand(),
		exportCommand(), growCommand(), compressCommand(), cardCommand(), ablateCommand(), verdictCommand(), claimsCommand(), diagnoseCommand(), runsCommand(), serveCommand(), recipeCommand(), benchCommand(), compileCommand(), planCommand(), versionCommand())
	cmd.InitDefaultCompletionCmd()
	if completion, _, err := cmd.Find([]string{"completion"}); err == nil {
		group(completion)
	}
	cmd.InitDefaultHelpCmd()
	if help, _, err := cmd.Find([]string{"help"}); err == nil {
		help.Args = func(_ *cobra.Command, given []string) error { // cobra's own prints the root's help for any word
			_, rest, err := cmd.Find(given)
			if err == nil && len(rest) > 0 {
				err = usererr.New("there is no help on %q", strings.Join(given, " "))
			}
			return err
		}
	}
	everyCommand(cmd, complete)
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
