// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"path/filepath"

	"metrolab/ablations"
	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/training"
	"metrolab/notebooks/lab/internal/cell"
	"metrolab/notebooks/lab/internal/wire"
	"metrolab/notebooks/view"
)

// Lab is a workspace of a cell: a backend, a text, and the folder of runs, all of which its worker has.
type Lab struct {
	place wire.Place
	text  string // as the worker calls it
}

// Open opens the best backend that is here and this machine's Go documentation; $METROLAB_BACKEND and $METROLAB_CORPUS
// name others. The first Open, and the first after a change to the sources, builds and starts the worker.
func Open() *Lab {
	l := &Lab{place: view.Must(wire.Here())}
	_, err := l.ask(context.Background(), wire.Request{Do: wire.Open}, func(r wire.Reply) { l.text = r.Text })
	view.Check(err)
	return l
}

// Short reports whether the notebook is run to be checked rather than read, and should train as little as shows that it
// works.
func Short() bool { return cell.Short() }

// Train trains config in a run of that name, with a picture that grows, unless it is trained already.
func (l *Lab) Train(name string, config metro.Config) *view.Run {
	request := view.Must(wire.TrainRequest(wire.Train, name, config))
	return cell.Train(config.Training.Steps, func(ctx context.Context, begun func(*runs.Run), report func(training.Progress)) (training.Result, error) {
		end, err := l.ask(ctx, request, func(r wire.Reply) {
			if r.Run != "" {
				begun(view.Must(open(r.Run)))
			}
			if r.Progress != nil {
				report(*r.Progress)
			}
		})
		return training.Result{Diverged: end.Diverged}, err
	})
}

// Start trains config in the background, in a process of its own that outlives the cell, the kernel and the worker, and
// returns the run at once; [view.Follow] watches it and [view.Stop] stops it. A run that is finished, or under way, is
// returned as it is.
func (l *Lab) Start(name string, config metro.Config) *view.Run {
	ctx, stop := cell.Interruptible()
	defer stop()
	request := view.Must(wire.TrainRequest(wire.Start, name, config))
	var run *runs.Run
	_, err := l.ask(ctx, request, func(r wire.Reply) { run = view.Must(open(r.Run)) })
	view.Check(err)
	return view.Load(run)
}

// Study trains what is missing of a study, with a table that fills, leaves its report in the folder of that name among the
// runs, where [ablations.Open] finds it, and returns its results.
func (l *Lab) Study(s ablations.Study) ablations.Results {
	request := view.Must(wire.StudyRequest(s))
	return cell.Study(s, func(ctx context.Context, report func(ablations.Event)) (ablations.Results, error) {
		_, err := l.ask(ctx, request, func(r wire.Reply) {
			if r.Event != nil {
				report(*r.Event)
			}
		})
		if err != nil {
			return ablations.Results{}, err
		}
		return ablations.Open(filepath.Join(view.Root(), s.Name))
	})
}

// open is the run of that ID.
func open(id string) (*runs.Run, error) { return runs.Store{Root: view.Root()}.Open(id) }
