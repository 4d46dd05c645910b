// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/janpfeifer/gonb/gonbui"

	"metrolab/internal/progress"
	"metrolab/metro"
	"metrolab/metro/tasks"
	"metrolab/metro/training"
	"metrolab/metro/workspace"
	"metrolab/notebooks/view"
	"metrolab/viz/display"
	"metrolab/viz/notebook"
)

// Lab is a workspace of a cell: a backend, a text, and the folder of runs.
type Lab struct {
	Runner *training.Runner
}

// Open opens the best backend that is here and this machine's Go documentation; $METROLAB_BACKEND and $METROLAB_CORPUS
// name others.
func Open() *Lab {
	runner := view.Must(workspace.Open(context.Background(), workspace.Options{
		Corpus: os.Getenv("METROLAB_CORPUS"), Runs: view.Root(),
	}))
	l := &Lab{Runner: runner}
	if order, ok := ordered(); ok {
		l.carryOut(order)
	}
	return l
}

// Short reports whether the notebook is run to be checked rather than read, and should train as little as shows that it
// works.
func Short() bool { return os.Getenv("METROLAB_NOTEBOOKS") == "short" }

// interruptible is a context that an interrupt of the cell ends. GoNB waits five seconds before it kills: enough for a step
// and a checkpoint of a small model.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

// Train trains config in a run of that name, with a picture that grows, unless it is trained already.
func (l *Lab) Train(name string, config metro.Config) *view.Run {
	ctx, stop := interruptible()
	defer stop()
	job := view.Must(l.Runner.Open(ctx, name, config))
	run := job.Run
	live := notebook.NewLive()
	var estimate progress.Estimate
	result, err := job.Train(ctx, func(p training.Progress) {
		estimate.Reach(p.Step)
		live.Update(func() []display.Output { return view.Frame(view.Load(run), p.Steps, estimate.Words(p.Steps-p.Step)) })
	})
	// Of a run that was finished before, this is the only frame.
	live.Update(func() []notebook.Output { return view.Frame(view.Load(run), config.Training.Steps, "") })
	_ = live.Close() // it has said below the cell what it could not draw
	finish(err)
	if result.Diverged != "" {
		view.Check(fmt.Errorf("%s: %s", run.ID, result.Diverged))
	}
	return view.Load(run)
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

// Reader loads a model for reading texts, from the folder of a run or a Hugging Face folder; see [tasks.Reader].
func (l *Lab) Reader(dir string, o tasks.ReaderOptions) *tasks.Reader {
	return view.Must(tasks.NewReader(l.Runner.Backend, view.Must(training.LoadPretrained(dir)), o))
}
