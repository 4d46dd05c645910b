// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"os"
	"path/filepath"

	"metrolab/ablations"
	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/tasks"
	"metrolab/metro/training"
	"metrolab/metro/workspace"
	"metrolab/notebooks/lab/internal/cell"
	"metrolab/notebooks/view"
)

// Lab is a workspace of a cell: a backend, a text, and the folder of runs.
type Lab struct {
	Runner *training.Runner
}

// Options are the workspace of every cell: the best backend that is here and this machine's Go documentation, or what
// $METROLAB_BACKEND and $METROLAB_CORPUS name.
func Options() workspace.Options {
	return workspace.Options{Corpus: os.Getenv("METROLAB_CORPUS"), Runs: view.Root()}
}

// Open opens the best backend that is here and this machine's Go documentation; $METROLAB_BACKEND and $METROLAB_CORPUS
// name others.
func Open() *Lab {
	runner := view.Must(workspace.Open(context.Background(), Options()))
	l := &Lab{Runner: runner}
	if order, ok := ordered(); ok {
		l.carryOut(order)
	}
	return l
}

// Short reports whether the notebook is run to be checked rather than read, and should train as little as shows that it
// works.
func Short() bool { return cell.Short() }

// Train trains config in a run of that name, with a picture that grows, unless it is trained already.
func (l *Lab) Train(name string, config metro.Config) *view.Run {
	return cell.Train(config.Training.Steps, func(ctx context.Context, begun func(*runs.Run), report func(training.Progress)) (training.Result, error) {
		job, err := l.Runner.Open(ctx, name, config)
		if err != nil {
			return training.Result{}, err
		}
		begun(job.Run)
		return job.Train(ctx, report)
	})
}

// Study trains what is missing of a study, with a table that fills, leaves its report in the folder of that name among the
// runs, where [ablations.Open] finds it, and returns its results.
func (l *Lab) Study(s ablations.Study) ablations.Results {
	results := cell.Study(s, func(ctx context.Context, report func(ablations.Event)) (ablations.Results, error) {
		return s.Run(ctx, l.Runner, s.Workers(l.Runner), report)
	})
	view.Must(results.Write(filepath.Join(l.Runner.Store.Root, s.Name)))
	return results
}

// Reader loads a model for reading texts, from the folder of a run or a Hugging Face folder; see [tasks.Reader].
func (l *Lab) Reader(dir string, o tasks.ReaderOptions) *tasks.Reader {
	return view.Must(tasks.NewReader(l.Runner.Backend, view.Must(training.LoadPretrained(dir)), o))
}
