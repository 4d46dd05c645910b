// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"path/filepath"

	"metrolab/ablations"
	"metrolab/internal/progress"
	"metrolab/internal/usererr"
	"metrolab/metro/training"
	"metrolab/notebooks/view"
	"metrolab/viz"
	"metrolab/viz/display"
	"metrolab/viz/notebook"
	"metrolab/viz/table"
)

// Study trains what is missing of a study, with a table that fills, leaves its report in the folder of that name among the
// runs, where [ablations.Open] finds it, and returns its results.
func (l *Lab) Study(s ablations.Study) ablations.Results {
	ctx, stop := interruptible()
	defer stop()
	live, board := notebook.NewLive(), ablations.NewBoard(s)
	results, err := s.Run(ctx, l.Runner, ablations.Workers(l.Runner.BackendKind), func(e ablations.Event) {
		board.Update(e)
		live.Update(func() []display.Output { return boardFrame(board) })
	})
	_ = live.Close() // it has said below the cell what it could not draw
	finish(err)
	l.write(results)
	return results
}

// Probe fine-tunes the main model of a study's baseline, as [ablations.Results.Probe] does, adds the picture to the study's
// report, and returns it.
func (l *Lab) Probe(results ablations.Results) viz.Figure {
	ctx, stop := interruptible()
	defer stop()
	live, estimate := notebook.NewLive(), &progress.Estimate{}
	figure, err := results.Probe(ctx, l.Runner, func(p training.Progress) {
		if p.Phase == "compiling" {
			estimate = &progress.Estimate{} // the pretrained model's, then that of the one from scratch
		}
		estimate.Reach(p.Step)
		live.Update(func() []display.Output { return probeFrame(p, estimate.Words(p.Steps-p.Step)) })
	})
	_ = live.Close() // it has said below the cell what it could not draw
	finish(err)
	if figure == nil {
		view.Check(usererr.New("study %s has nothing to probe: it needs Go documentation as its text, and a run of the baseline that has ended well", results.Study.Name))
	}
	results.Extra.Figures = append(results.Extra.Figures, *figure)
	l.write(results)
	return *figure
}

// write leaves the study's report.
func (l *Lab) write(results ablations.Results) {
	view.Must(results.Write(filepath.Join(l.Runner.Store.Root, results.Study.Name)))
}

func boardFrame(b *ablations.Board) []display.Output {
	where := table.Table{Columns: []table.Column{{Name: "study " + b.Results.Study.Name}}, Rows: [][]any{{b.String()}}}
	if len(b.Results.Runs) == 0 {
		return []display.Output{where}
	}
	return []display.Output{b.Results.Table(), where}
}

func probeFrame(p training.Progress, left string) []display.Output {
	return []display.Output{table.Table{
		Columns: []table.Column{{Name: "probing the baseline: step", Align: table.Right}, {Name: "of", Align: table.Right}, {Name: "loss", Align: table.Right, Format: "%.3f"}, {Name: "time"}},
		Rows:    [][]any{{p.Step, p.Steps, p.Loss, left}},
	}}
}
