// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"metrolab/ablations"
	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/minimalpairs"
	"metrolab/metro/runs"
	"metrolab/metro/training"
	"metrolab/viz/table"
)

// armReport is what the runs of an arm say of pairs.
type armReport struct {
	Arm string `json:"arm"`
	minimalpairs.Report
}

// ofStudy asks the runs of a study, arm after arm.
func (f blimpFlags) ofStudy(cmd *cobra.Command, set *minimalpairs.Set) error {
	results, err := ablations.Open(f.study)
	if err != nil {
		return err
	}
	var reports []armReport
	for _, arm := range results.Arms {
		f.models = nil
		for _, run := range results.Runs {
			if run.Arm == arm.Name && run.Ended && run.Result.Diverged == "" {
				f.models = append(f.models, filepath.Join(results.Store.Root, run.ID))
			}
		}
		if len(f.models) == 0 {
			say(fmt.Sprintf("%s: no run has ended well yet; its rows are left out", arm.Name))
			continue
		}
		say(fmt.Sprintf("%s, %d runs", arm.Name, len(f.models)))
		report, err := f.report(cmd.Context(), set)
		if err != nil {
			return fmt.Errorf("%s: %w", arm.Name, err)
		}
		reports = append(reports, armReport{arm.Name, report})
	}
	if len(reports) == 0 {
		return usererr.New("no run of %s has ended well yet; train them with metro ablate run", f.study)
	}
	return f.leaveStudy(cmd, reports)
}

// leaveStudy prints what the arms' runs say, and writes the file.
func (f blimpFlags) leaveStudy(cmd *cobra.Command, reports []armReport) error {
	out := cmd.OutOrStdout()
	if f.format == "text" {
		printTable(out, byArm(reports, func(r minimalpairs.Report) table.Table { return blimpTables(r, false)[0] }))
	} else {
		written, err := tableFormats[f.format](byArm(reports, func(r minimalpairs.Report) table.Table { return blimpTable(r, f.paradigms) }))
		if err == nil {
			err = writeOutput(out, "", written, false)
		}
		if err != nil {
			return err
		}
	}
	if f.output == "" {
		return nil
	}
	if err := runs.WriteJSON(f.output, reports); err != nil {
		return usererr.New("--output: %w", err)
	}
	say("report: " + f.output)
	return nil
}

// byArm puts the tables of reports below one another, with a column of arms before them. Anchors, which no training changes, stand
// with the first.
func byArm(reports []armReport, of func(minimalpairs.Report) table.Table) (all table.Table) {
	for i, r := range reports {
		scorers := r.Scorers
		if i > 0 {
			scorers = nil
			for _, s := range r.Scorers {
				if !s.Anchor {
					scorers = append(scorers, s)
				}
			}
		}
		r.Scorers = scorers
		t := of(r.Report)
		all.Columns = append([]table.Column{{Name: "arm"}}, t.Columns...)
		for _, row := range t.Rows {
			all.Rows = append(all.Rows, append([]any{r.Arm}, row...))
		}
	}
	return all
}

// predict writes which sentences a scorer of a model takes, where BabyLM's pipeline looks for them.
func (f blimpFlags) predict(p training.Pretrained, scorer string, predictions map[string]minimalpairs.Predictions) error {
	name, revision := filepath.Base(filepath.Clean(p.Dir)), "main"
	if run, step, err := metro.ParseFork(name); err == nil {
		name, revision = run, fmt.Sprintf("step_%d", step)
	}
	dir := filepath.Join(f.predictions, name, revision, "zero_shot", scorer, "blimp", filepath.Base(filepath.Clean(f.data)))
	err := atomicfile.MkdirAll(dir)
	if err == nil {
		err = runs.WriteJSON(filepath.Join(dir, "predictions.json"), predictions)
	}
	if err != nil {
		return usererr.New("--predictions: %w", err)
	}
	return nil
}
