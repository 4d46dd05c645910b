// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"metrolab/ablations"
	"metrolab/internal/progress"
	"metrolab/internal/spelling"
	"metrolab/metro/runs"
	"metrolab/metro/training"
	"metrolab/viz"
)

func ablateCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "ablate",
		Short:   "Run a study: a baseline and named changes at the same seeds, compared with honest statistics",
		Example: "  metro ablate plan quickstart\n  metro ablate run quickstart\n  metro ablate report runs/quickstart\n  metro ablate noise runs/aa",
	})
	cmd.AddCommand(ablateRunCommand(), ablatePlanCommand(), ablateSubmitCommand(), ablateReportCommand(), ablateNoiseCommand(), ablateExportCommand(), ablateWatchCommand())
	return cmd
}

func ablateRunCommand() *cobra.Command {
	var w workspaceFlags
	var f studyFlags
	var share shareFlags
	cmd := &cobra.Command{
		Use:   "run STUDY",
		Short: "Train what is missing of a study, then write its report",
		Long: `Trains every arm at every seed, seed by seed, and fills the table as runs end. Ctrl-C saves; the same command goes
on where it stopped. At the end it writes report.html, results.csv and the pictures into the study's folder under --out.

The seeds are written down before the first run, in study.json, and verdicts are for these. Plan as many as you can pay for:
a later call with more seeds trains them, but whoever looks and then adds seeds finds differences that are not there, so the
table then says "exploratory" in the place of a verdict.

An outcome is a metric of the last evaluation, such as frozen_auc_unigram; its mean over the last K evaluations,
lastK:METRIC; or what it took until an evaluation first reached a target, such as tokens_to:frozen_auc_unigram=0.75, which a
run that never reaches it leaves open ("censored"): then arms are compared by ranks. How quiet each is, metro ablate noise tells.
saved_flops:METRIC is the part of the baseline's operations that an arm did not need to be as good as the baseline's last evaluation.
With --matching tokens or flops, an arm trains for as many steps as cost what the baseline costs, and its schedule follows.

aa and aa-micro compare a recipe with itself: what a change of rounding alone gives.

` + studyHelp + shareHelp,
		Example: `  metro ablate run quickstart
  metro ablate run quickstart --out runs/five --seeds 10,11,12,13,14
  metro ablate run quickstart --out runs/mean --outcome last3:frozen_auc_unigram
  metro ablate run quickstart --out runs/equal --matching flops
  metro ablate run quickstart --out runs/bias --arm "no relative position bias" --set training.steps=600
  metro ablate run bias --baseline tiny --change "no bias: positions.relative=none" --grid optimizer.learning_rate=1e-3,3e-3
  metro ablate run bias.yaml
  metro ablate run quickstart --out runs/same --margin 0.02 --seeds 0,1,2,3,4,5
  metro ablate run quickstart --out runs/decided --until decided --max-seeds 30
  metro ablate run quickstart --out /shared/runs --claim    on each of several machines`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error { return runStudy(cmd, w, f, share, given[0]) },
	}
	w.addFlags(cmd)
	f.addFlags(cmd)
	share.addFlags(cmd)
	return cmd
}

func runStudy(cmd *cobra.Command, w workspaceFlags, f studyFlags, flags shareFlags, name string) error {
	draft, err := f.study(name, "")
	if err != nil {
		return err
	}
	runner, err := w.open(cmd.Context(), draft.Baseline.Data)
	if err != nil {
		return err
	}
	study, err := f.study(name, runner.BackendKind)
	if err != nil {
		return err
	}
	dir := filepath.Join(w.out, study.Name)
	results, share, runErr := trainStudy(cmd, runner, study, flags, dir)
	if results.Ended() == 0 {
		return runErr
	}
	// Written before the probe as well, so that whatever ends that leaves a report.
	if _, err := results.Write(dir); err != nil || runErr != nil {
		return errors.Join(runErr, err)
	}
	if results.Complete() { // who has a share of it leaves the probe to the last
		figure, err := probe(cmd.Context(), runner, results)
		if err != nil && !errors.Is(err, runs.ErrHeld) { // another that has come last has it
			return err
		}
		if figure != nil {
			results.Extra.Add(*figure)
		}
	}
	return errors.Join(writeStudy(cmd, results, dir), divergedIn(share.Shard, results))
}

// trainStudy trains what is missing of a study whose folder is dir, with a board. Where no run has ended, the error says why.
func trainStudy(cmd *cobra.Command, runner *training.Runner, study ablations.Study, flags shareFlags, dir string) (results ablations.Results, share ablations.Share, err error) {
	if err := study.Fits(dir); err != nil {
		return results, share, err
	}
	if share, err = flags.share(cmd, runner); err != nil {
		return results, share, err
	}
	announce(study, runner.BackendKind, cmp.Or(share.Jobs, study.Workers(runner)))
	if err := tokenize(cmd.Context(), runner, study.Baseline); err != nil {
		return results, share, err
	}
	board := newBoard(study)
	results, err = study.RunShare(cmd.Context(), runner, share, board.report)
	board.finish()
	if results.Ended() > 0 {
		board.said()
	}
	return results, share, err
}

// announce says what is coming and how long it may take.
func announce(s ablations.Study, kind string, workers int) {
	most := ""
	if s.UntilDecided {
		most = "until decided, at most "
	}
	fmt.Fprintf(stderr, "study %s: %s\n  %s × %s%s, %d steps each, %d at a time\n",
		s.Name, s.Question, spelling.Plural(1+len(s.Changes), "arm"), most, spelling.Plural(len(s.Seeds), "seed"), s.Baseline.Training.Steps, workers)
	for _, change := range s.Changes {
		fmt.Fprintf(stderr, "  %s: %s\n", change.Name, strings.Join(change.Set, " "))
	}
	if arms, err := s.Arms(); err == nil && s.Matching != "" {
		for _, arm := range arms[1:] {
			fmt.Fprintf(stderr, "  %s: %d steps, for as many %s as the baseline\n", arm.Name, arm.Config.Training.Steps, s.Matching)
		}
	}
	if kind == "go" {
		// 0.37 s a step: quickstart, two runs at a time on two AVX2 cores (docs/results.md).
		expected := time.Duration((1+len(s.Changes))*len(s.Seeds)*s.Baseline.Training.Steps) * 370 * time.Millisecond
		fmt.Fprintf(stderr, "  pure Go is slow: two cores of the machine of docs/results.md take %s%s, and some minutes for the probe; ./scripts/setup installs XLA, much faster\n", cmp.Or(most, "about "), progress.Duration(expected))
	}
}

func ablateReportCommand() *cobra.Command {
	return &cobra.Command{
		Use: "report FOLDER", Short: "Write a study's report again from what its runs have left, finished or not", Args: args(cobra.ExactArgs(1)),
		Example: "  metro ablate report runs/quickstart",
		RunE: func(cmd *cobra.Command, given []string) error {
			results, err := ablations.Open(given[0])
			if err != nil {
				return err
			}
			return writeStudy(cmd, results, given[0])
		},
	}
}

func writeStudy(cmd *cobra.Command, results ablations.Results, dir string) error {
	files, err := during("writing the report", func() (ablations.Files, error) { return results.Write(dir) })
	if err != nil {
		return err
	}
	if results, err = ablations.Open(dir); err != nil {
		return err
	}
	for _, what := range files.Missing {
		fmt.Fprintf(stderr, "missing in the report, because it cannot be read: %s\n", what)
	}
	out := cmd.OutOrStdout()
	printTable(out, results.Table())
	printNotes(out, results.Compare())
	fmt.Fprintf(out, "  %s\n\n", results.FloorNote())
	printTable(out, results.CostTable())
	fmt.Fprintf(out, "\nreport:   %s\nresults:  %s\n", files.Report, files.Results)
	for _, path := range files.Figures {
		fmt.Fprintf(out, "picture:  %s\n", path)
	}
	return nil
}

// probe fine-tunes the baseline's first run, with a bar for each of the two models; see [ablations.Results.Probe].
func probe(ctx context.Context, runner *training.Runner, results ablations.Results) (*viz.Figure, error) {
	const name = "probing the baseline"
	bar := newBar(name)
	defer func() { bar.finish() }()
	return results.Probe(ctx, runner, func(p training.Progress) {
		if p.Phase == "compiling" {
			bar.finish()
			bar = newBar(name)
		}
		bar.describe(p.Step, p.Steps, p.String())
	})
}
