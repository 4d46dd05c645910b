// SPDX-License-Identifier: Apache-2.0

package local

import (
	"path/filepath"

	"metrolab/ablations"
	"metrolab/notebooks/view"
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
