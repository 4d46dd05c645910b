// SPDX-License-Identifier: Apache-2.0

// Package cell is what a notebook's cell does while something is trained for it, in its own program or in the worker: it
// shows how far that is, passes an interrupt on, and ends with one line that says what went wrong.
package cell

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/janpfeifer/gonb/gonbui"

	"metrolab/ablations"
	"metrolab/internal/progress"
	"metrolab/metro/runs"
	"metrolab/metro/training"
	"metrolab/notebooks/view"
	"metrolab/viz/display"
	"metrolab/viz/notebook"
	"metrolab/viz/table"
)

// Short reports whether the notebook is run to be checked rather than read.
func Short() bool { return os.Getenv("METROLAB_NOTEBOOKS") == "short" }

// Interruptible is a context that an interrupt of the cell ends. GoNB waits five seconds before it kills: enough for a step
// and a checkpoint of a small model.
func Interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

// Training trains a run and returns what [training.Job.Train] does. It calls begun before anything else, and report after
// every step or less often.
type Training func(ctx context.Context, begun func(*runs.Run), report func(training.Progress)) (training.Result, error)

// Train shows a training of so many steps, in a picture that grows, and returns the run.
func Train(steps int, train Training) *view.Run {
	ctx, stop := Interruptible()
	defer stop()
	live := notebook.NewLive()
	var run *runs.Run
	var estimate progress.Estimate
	result, err := train(ctx, func(r *runs.Run) { run = r }, func(p training.Progress) {
		estimate.Reach(p.Step)
		live.Update(func() []display.Output { return view.Frame(view.Load(run), p.Steps, estimate.Words(p.Steps-p.Step)) })
	})
	if run == nil {
		finish(err)
	}
	// Of a run that was finished before, this is the only frame.
	live.Update(func() []display.Output { return view.Frame(view.Load(run), steps, "") })
	_ = live.Close() // it has said below the cell what it could not draw
	finish(err)
	if result.Diverged != "" {
		view.Check(fmt.Errorf("%s: %s", run.ID, result.Diverged))
	}
	return view.Load(run)
}

// Study shows a study under way, in a table that fills. run is [ablations.Study.Run], or what stands for it.
func Study(s ablations.Study, run func(ctx context.Context, report func(ablations.Event)) (ablations.Results, error)) ablations.Results {
	ctx, stop := Interruptible()
	defer stop()
	live, board := notebook.NewLive(), ablations.NewBoard(s)
	results, err := run(ctx, func(e ablations.Event) {
		board.Update(e)
		live.Update(func() []display.Output { return boardFrame(board) })
	})
	_ = live.Close() // it has said below the cell what it could not draw
	finish(err)
	return results
}

func boardFrame(b *ablations.Board) []display.Output {
	where := table.Table{Columns: []table.Column{{Name: "study " + b.Results.Study.Name}}, Rows: [][]any{{b.String()}}}
	if len(b.Results.Runs) == 0 {
		return []display.Output{where}
	}
	return []display.Output{b.Results.Table(), where}
}

// finish ends the cell if err is not nil; an interrupt is no failure.
func finish(err error) {
	if errors.Is(err, training.ErrInterrupted) {
		fmt.Println("interrupted; the state is saved, run the cell again to go on")
		if gonbui.IsNotebook && gonbui.Error() == nil {
			gonbui.Sync()
		}
		os.Exit(0)
	}
	view.Check(err)
}

// Detach makes cmd a program that outlives the cell: in a session of its own, and without the kernel's pipes in its
// environment, since it has no cell to draw below.
func Detach(cmd *exec.Cmd) {
	detach(cmd)
	cmd.Env = nil
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "GONB_") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
}
