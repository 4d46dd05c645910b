// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"metrolab/ablations"
	"metrolab/ablations/claims"
	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
	"metrolab/metro/training"
	"metrolab/viz/table"
)

func claimsCommand() *cobra.Command {
	var out string
	cmd := group(&cobra.Command{
		Use:   "claims",
		Short: "List the published claims that a small model can be asked, and how each stands",
		Long: `Each claim is a study: what was published, where, how sure that is, and the contrast of arms that would show it. The
list says of each whether it is

  confirmed      the contrast is as published
  contradicted   it is the other way round, or there is one where none was claimed
  equivalent     a difference was claimed, and there is none as large as the margin
  undecided      the runs do not tell
  not run

on the seeds that were planned. The plan's hash stands in the claim's file; a study of another plan has no verdict. p is after
Holm's correction over all claims, and "elsewhere" are half and twice the learning rate and the larger recipe.

Without studies in the folder of runs, the list is the ledger that comes with the program.`,
		Example: "  metro claims\n  metro claims show C4\n  metro claims run C4\n  metro claims run --all",
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ledger, all, err := ledgerOf(out, nil)
		if err != nil {
			return err
		}
		printTable(cmd.OutOrStdout(), ledger.Table(all))
		return nil
	}
	cmd.Flags().StringVar(&out, "out", "runs", "folder of the runs")
	cmd.AddCommand(claimsShowCommand(), claimsRunCommand(), claimsRecordCommand())
	return cmd
}

// ledgerOf is a ledger, nil for the one that comes with the program, with what has been run in a folder.
func ledgerOf(out string, ledger claims.Ledger) (claims.Ledger, []claims.Claim, error) {
	all, err := claims.All()
	if err != nil {
		return nil, nil, err
	}
	if ledger == nil {
		if ledger, err = claims.Committed(); err != nil {
			return nil, nil, err
		}
	}
	for _, claim := range all {
		for _, v := range claim.Variants() {
			entry, found, err := claimEntry(out, claim, v)
			if err != nil {
				return nil, nil, err
			}
			if found {
				ledger = ledger.With(entry)
			}
		}
	}
	return ledger, all, nil
}

// claimEntry is what the study of a claim has left in the folder of runs, if it is there.
func claimEntry(out string, claim claims.Claim, v claims.Variant) (entry claims.Entry, found bool, err error) {
	study, err := claim.Study(v)
	if err != nil {
		return entry, false, err
	}
	dir := filepath.Join(out, study.Name)
	if _, err := os.Stat(filepath.Join(dir, ablations.PlanFile)); errors.Is(err, fs.ErrNotExist) {
		return entry, false, nil
	}
	results, err := ablations.Open(dir)
	if err != nil {
		return entry, false, err
	}
	entry, err = claim.Entry(v, results)
	return entry, true, err
}

func claimsShowCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "show CLAIM", Short: "Show a claim: source, arms, what it takes, and where it stands", Args: args(cobra.ExactArgs(1)),
		Example: "  metro claims show C4",
		RunE: func(cmd *cobra.Command, given []string) error {
			claim, err := claims.Find(given[0])
			if err != nil {
				return err
			}
			ledger, _, err := ledgerOf(out, nil)
			if err != nil {
				return err
			}
			return showClaim(cmd.OutOrStdout(), claim, ledger)
		},
	}
	cmd.Flags().StringVar(&out, "out", "runs", "folder of the runs")
	return cmd
}

func showClaim(w io.Writer, claim claims.Claim, ledger claims.Ledger) error {
	study, err := claim.Study(claim.Variants()[0])
	if err != nil {
		return err
	}
	facts := table.Table{Columns: []table.Column{{Name: claim.ID}, {Name: claim.Says}}}
	for _, row := range [][2]string{
		{"source", claim.Source}, {"sure by", claim.Certainty}, {"published", claim.Published}, {"note", claim.Note},
		{"contrast", claim.Arms()}, {"holds if", claim.Holds()},
		{"outcome", study.Outcome.Metric}, {"at one rate", claim.OneRate},
	} {
		if row[1] != "" {
			facts.Rows = append(facts.Rows, []any{row[0], row[1]})
		}
	}
	for _, change := range study.Changes {
		facts.Rows = append(facts.Rows, []any{"arm", change.Name + ": " + strings.Join(change.Set, " ")})
	}
	for _, arm := range claim.LowRank() {
		facts.Rows = append(facts.Rows, []any{"arm", arm})
	}
	printTable(w, facts)
	fmt.Fprintln(w)
	asked := table.Table{Columns: []table.Column{
		{Name: "at"}, {Name: "seeds", Align: table.Right}, {Name: "runs", Align: table.Right}, {Name: "tokens", Align: table.Right},
		{Name: "operations", Align: table.Right}, {Name: "stands"}, {Name: "processor hours", Align: table.Right}, {Name: "plan"},
	}}
	for _, v := range claim.Variants() {
		study, err := claim.Study(v)
		if err != nil {
			return err
		}
		reckoned, err := study.Reckon()
		if err != nil {
			return err
		}
		standing := ledger.Standing(claim, v)
		row := []any{v.String(), len(study.Seeds), reckoned.Runs, known(reckoned.Tokens, ""), known(reckoned.FLOPs, "FLOP"), standing.Says(), nil, claim.Preregistered[v.String()][:12]}
		if standing.Status != claims.NotRun {
			row[6] = fmt.Sprintf("%.1f", standing.Entry.Hours)
		}
		asked.Rows = append(asked.Rows, row)
	}
	printTable(w, asked)
	return nil
}

func claimsRunCommand() *cobra.Command {
	var w workspaceFlags
	var share shareFlags
	var v claims.Variant
	var all bool
	cmd := &cobra.Command{
		Use:   "run [CLAIM...]",
		Short: "Train what is missing of claims' studies, and say how each stands",
		Long: `Trains the study of each claim, and prints how it stands as soon as it does. Runs that claims have in common are trained
once. Ctrl-C saves; the same command goes on where it stopped.

--all takes every claim, cheapest first: at the recipe's own learning rate, then at half and twice of it. That is many hours.
tiny is the recipe unless --recipe mini asks for the larger one, cut to 600 steps of Muon, minutes a run on two cores.`,
		Example: `  metro claims run C4
  metro claims run C4 --rate half
  metro claims run C1 C4 --recipe mini
  metro claims run --all`,
		Args: args(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, given []string) error {
			questions, err := asked(given, all, v, cmd.Flags().Changed("recipe") || cmd.Flags().Changed("rate"))
			if err != nil {
				return err
			}
			return runClaims(cmd, w, share, questions)
		},
	}
	w.addFlags(cmd)
	share.addFlags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "every claim, cheapest first")
	cmd.Flags().StringVar(&v.Recipe, "recipe", "tiny", "tiny or mini")
	cmd.Flags().StringVar(&v.Rate, "rate", "", "half or twice the learning rate")
	return cmd
}

// claimQuestion is a claim at a variant, and the operations that its study takes.
type claimQuestion struct {
	claim   claims.Claim
	variant claims.Variant
	flops   float64
}

// asked are the questions of a command line, cheapest first where it names none; chosen says that the variant is the only one.
func asked(given []string, every bool, v claims.Variant, chosen bool) (list []claimQuestion, err error) {
	if every == (len(given) > 0) {
		return nil, usererr.New("name the claims to run, or give --all; metro claims lists them")
	}
	var all []claims.Claim
	if every {
		all, err = claims.All()
	}
	for _, id := range given {
		claim, err := claims.Find(id)
		if err != nil {
			return nil, err
		}
		all = append(all, claim)
	}
	if err != nil {
		return nil, err
	}
	variants := []claims.Variant{v}
	if every && !chosen {
		variants = []claims.Variant{{Recipe: "tiny"}, {Recipe: "tiny", Rate: "half"}, {Recipe: "tiny", Rate: "twice"}}
	}
	for _, variant := range variants {
		from := len(list)
		for _, claim := range all {
			if every && !slices.Contains(claim.Variants(), variant) {
				continue
			}
			study, err := claim.Study(variant)
			if err != nil {
				return nil, err
			}
			reckoned, err := study.Reckon()
			if err != nil {
				return nil, err
			}
			list = append(list, claimQuestion{claim, variant, reckoned.FLOPs})
		}
		if every {
			slices.SortStableFunc(list[from:], func(a, b claimQuestion) int {
				if a.flops < b.flops {
					return -1
				}
				return 1
			})
		}
	}
	return list, nil
}

// runClaims asks one after the other. One that fails does not stop those after it.
func runClaims(cmd *cobra.Command, w workspaceFlags, share shareFlags, questions []claimQuestion) error {
	study, err := questions[0].claim.Study(questions[0].variant)
	if err != nil {
		return err
	}
	runner, err := w.open(cmd.Context(), study.Baseline.Data)
	if err != nil {
		return err
	}
	var problems []error
	for i, q := range questions {
		fmt.Fprintf(stderr, "claim %d of %d: %s at %s: %s\n", i+1, len(questions), q.claim.ID, q.variant, q.claim.Says)
		err := runClaim(cmd, runner, w.out, share, q)
		if cmd.Context().Err() != nil {
			return err
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s at %s: %w", q.claim.ID, q.variant, err))
		}
	}
	return errors.Join(problems...)
}

func runClaim(cmd *cobra.Command, runner *training.Runner, out string, share shareFlags, q claimQuestion) error {
	study, err := q.claim.Study(q.variant)
	if err != nil {
		return err
	}
	config, reads, err := q.claim.Auxiliary(study)
	if err != nil {
		return err
	}
	if reads {
		if err := tokenize(cmd.Context(), runner, config); err != nil {
			return err
		}
		bar := newBar("training the model that arms read")
		result, err := runner.Run(cmd.Context(), study.Recipe, config, func(p training.Progress) { bar.describe(p.Step, p.Steps, p.String()) })
		bar.finish()
		if err != nil {
			return err
		}
		if result.Diverged != "" {
			return fmt.Errorf("the run of the model that arms read %w: %s", training.ErrDiverged, result.Diverged)
		}
		study = claims.WithAuxiliary(study, result.Run.Dir)
	}
	dir := filepath.Join(out, study.Name)
	results, _, err := trainStudy(cmd, runner, study, share, dir)
	if results.Ended() == 0 {
		return err
	}
	if _, writing := results.Write(dir); writing != nil || err != nil {
		return errors.Join(err, writing)
	}
	bar := newBar("compressing models")
	err = q.claim.MeasureLowRank(cmd.Context(), runner, results, bar.set)
	bar.finish()
	if err != nil {
		return err
	}
	entry, err := q.claim.Entry(q.variant, results)
	if err != nil {
		return err
	}
	standing := claims.Ledger{entry}.Standing(q.claim, q.variant)
	fmt.Fprintf(cmd.OutOrStdout(), "%s at %s: %s (%+.3f over %d pairs, %.1f processor hours)\n",
		q.claim.ID, q.variant, standing.Says(), standing.Comparison.Diff, standing.Comparison.Pairs, entry.Hours)
	return nil
}

func claimsRecordCommand() *cobra.Command {
	var out, ledgerFile, page string
	cmd := &cobra.Command{
		Use: "record", Short: "Write what the claims' studies have left into a ledger, and its page and picture", Args: args(cobra.NoArgs),
		Long: `Takes the claims' studies that lie in the folder of runs into a ledger, beside the entries that are there, and writes the
page that shows it, with its picture in a folder images beside it. A study that has not ended is left out, and said; what the ledger has of its claim stays.`,
		Example: "  metro claims record --ledger ablations/claims/ledger.json --page docs/claims.md",
		RunE: func(cmd *cobra.Command, _ []string) error {
			before, err := claims.ReadLedger(ledgerFile)
			if err != nil {
				return err
			}
			if before == nil {
				before = claims.Ledger{}
			}
			ledger, all, err := ledgerOf(out, before)
			if err != nil {
				return err
			}
			ledger, underWay := ledger.Ended(before)
			if err := ledger.Write(ledgerFile); err != nil {
				return err
			}
			for _, e := range underWay {
				fmt.Fprintf(cmd.OutOrStdout(), "left out: %s at %s, %s\n", e.Claim, claims.Variant{Recipe: e.Recipe, Rate: e.Rate}, e.Withheld)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "ledger:   %s, %d entries\n", ledgerFile, len(ledger))
			return writeClaimsPage(cmd.OutOrStdout(), page, ledger, all)
		},
	}
	cmd.Flags().StringVar(&out, "out", "runs", "folder of the runs")
	cmd.Flags().StringVar(&ledgerFile, "ledger", "claims.json", "the ledger's file")
	cmd.Flags().StringVar(&page, "page", "claims.md", "the page")
	return cmd
}

func writeClaimsPage(w io.Writer, page string, ledger claims.Ledger, all []claims.Claim) error {
	text, err := ledger.Page(all)
	if err != nil {
		return err
	}
	if err := errors.Join(atomicfile.MkdirAll(filepath.Dir(page)), atomicfile.WriteFile(page, []byte(text))); err != nil {
		return err
	}
	fmt.Fprintf(w, "page:     %s\n", page)
	if !ledger.Asked() {
		return nil
	}
	figure, err := ledger.Forest(all)
	if err != nil {
		return err
	}
	picture := filepath.Join(filepath.Dir(page), claims.Picture)
	if err := atomicfile.MkdirAll(filepath.Dir(picture)); err != nil {
		return err
	}
	fmt.Fprintf(w, "picture:  %s\n", picture)
	return atomicfile.WriteFile(picture, figure.PNG)
}

// claimIDs completes with the claims that are not named yet.
func claimIDs(_ *cobra.Command, given []string, _ string) (ids []string) {
	all, _ := claims.All() // a test reads them all
	for _, claim := range all {
		if !slices.Contains(given, claim.ID) {
			ids = append(ids, claim.ID)
		}
	}
	return ids
}
