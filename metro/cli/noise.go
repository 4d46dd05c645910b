// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"metrolab/ablations"
	"metrolab/ablations/studies"
	"metrolab/internal/usererr"
	"metrolab/metro/runs"
)

// noiseFlags say what A/A study is trained, and what is made of it.
type noiseFlags struct {
	set      []string
	seeds    []int64
	workers  int
	recipe   string
	outcomes []string
	floors   string
}

func ablateNoiseCommand() *cobra.Command {
	var w workspaceFlags
	var f noiseFlags
	cmd := &cobra.Command{
		Use:   "noise [FOLDER...]",
		Short: "Measure how quiet each outcome is, on runs that differ in roundings alone",
		Long: `An A/A study trains a recipe against itself, with its numbers added in another order (training.accumulate=2): whatever it
finds is noise. For each outcome the table says σ, the standard deviation of the paired differences, how many pairs a study
of one change needs to decide on a true difference of 0.01, 0.02 and 0.05 with a chance of 80 %, and what a pair takes of the
processor. Outcomes of unlike scales are compared by σ in parts of what the runs have learned above guessing; "power a minute"
is 1/(that² · minutes), in parts of the best outcome's, which comes first. How an outcome fares when something is changed is not
looked at: who chose it by that would find what he looked for. With training.ema the outcomes of averaged weights, ema_…, stand
beside the others, of the same runs.

Given folders of A/A studies, it reads them and trains nothing; they must be of one recipe, and their pairs are taken together.
Without one it trains what is missing of the recipe's study: aa for tiny, aa-micro for micro, aa-RECIPE for others.`,
		Example: `  metro ablate noise --recipe micro --seeds 100,101,102,103
  metro ablate noise runs/aa
  metro ablate noise --out runs/averages --set training.ema=0.99
  metro ablate noise runs/aa --outcome last4:frozen_auc_words --outcome val_clm_loss`,
		Args: args(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, given []string) error { return noise(cmd, w, f, given) },
	}
	w.addFlags(cmd)
	cmd.Flags().StringVar(&f.recipe, "recipe", "tiny", "recipe whose A/A study is trained")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "change a field of both sides, path=value")
	cmd.Flags().Int64SliceVar(&f.seeds, "seeds", nil, "seeds in the place of the study's own, a pair each")
	cmd.Flags().IntVar(&f.workers, "workers", 0, "runs at a time; 0: as metro ablate run takes them")
	cmd.Flags().StringArrayVar(&f.outcomes, "outcome", nil, "measure this outcome; repeat for more; all of the frozen sets if not given")
	cmd.Flags().StringVar(&f.floors, "floors", "", "JSON file in which the σ of this recipe are kept, as in ablations/floors.json")
	return cmd
}

func noise(cmd *cobra.Command, w workspaceFlags, f noiseFlags, folders []string) error {
	var list []ablations.Results
	for _, flag := range []string{"recipe", "set", "seeds", "workers"} {
		if len(folders) > 0 && cmd.Flags().Changed(flag) {
			return usererr.New("--%s is for a study that is trained, and what lies in %s is only read", flag, folders[0])
		}
	}
	for _, folder := range folders {
		r, err := ablations.Open(folder)
		if err != nil {
			return err
		}
		list = append(list, r)
	}
	if len(folders) == 0 {
		study, err := studies.AAOf(f.recipe)
		if err != nil {
			return err
		}
		results, err := trainAA(cmd, w, f, study)
		if err != nil {
			return err
		}
		list = append(list, results)
	}
	noises, err := ablations.NoiseOf(list, f.outcomes...)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	printTable(out, ablations.NoiseTable(noises))
	if best := noises[0]; best.PowerPerMinute() > 0 {
		fmt.Fprintf(out, "  most power a minute: %s, of %d pairs of the recipe %s\n", best.Outcome, best.Pairs, list[0].Study.Recipe)
	}
	if f.floors == "" {
		return nil
	}
	return keepFloors(f.floors, list, noises)
}

// trainAA trains what is missing of an A/A study, and writes its report.
func trainAA(cmd *cobra.Command, w workspaceFlags, f noiseFlags, study ablations.Study) (ablations.Results, error) {
	if err := study.Adjust(nil, f.set, f.seeds); err != nil {
		return ablations.Results{}, err
	}
	runner, err := w.open(cmd.Context(), study.Baseline.Data)
	if err != nil {
		return ablations.Results{}, err
	}
	workers := f.workers
	if workers <= 0 {
		workers = study.Workers(runner)
	}
	announce(study, runner.BackendKind, workers)
	if err := tokenize(cmd.Context(), runner, study.Baseline); err != nil {
		return ablations.Results{}, err
	}
	board := newBoard(study)
	results, err := study.Run(cmd.Context(), runner, workers, board.report)
	board.finish()
	if err != nil {
		return results, err
	}
	_, err = results.Write(filepath.Join(w.out, study.Name))
	return results, err
}

// keepFloors puts the σ of the studies' recipe in the place of those that the file has of it.
func keepFloors(path string, list []ablations.Results, noises []ablations.Noise) error {
	if len(list) != 1 {
		return usererr.New("--floors keeps what one study has found, with where it comes from; %d were given", len(list))
	}
	var kept []ablations.Floor
	if err := runs.ReadJSON(path, &kept); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return usererr.New("%w", err)
	}
	words := slices.Concat([]string{"metro"}, os.Args[1:])
	added, err := list[0].FloorsOf(noises, strings.Join(words, " "))
	if err != nil {
		return err
	}
	kept = slices.DeleteFunc(kept, func(f ablations.Floor) bool { return f.Recipe == list[0].Study.Recipe })
	return runs.WriteJSON(path, append(kept, added...))
}
