// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/tasks"
	"metrolab/metro/training"
)

// Event is news of a study under way: progress of a run, or its end.
type Event struct {
	Arm      string
	Seed     int64
	Worker   int // 0 … workers−1: whose run it is
	Progress training.Progress
	Result   *training.Result // set at the end of a run
	Found    bool             // the run, and its fine-tuning, had ended before: nothing was trained
	Done     int              // runs that have ended
	Total    int
	Held     int // the runs that other processes have, if all that is left is to wait for them; then nothing else is set
}

// job is one run of the plan.
type job struct {
	arm  Arm
	seed int64
}

// plan lists the runs seed by seed, so that pairs are complete early and a study that is stopped says the most.
func (s Study) plan() ([]job, error) {
	arms, err := s.Arms()
	if err != nil {
		return nil, err
	}
	var jobs []job
	for _, seed := range s.Seeds {
		for _, arm := range arms {
			arm.Config.Seed = seed
			jobs = append(jobs, job{arm, seed})
		}
	}
	return jobs, nil
}

// Workers is how many runs of the study at a time make the best use of this machine: one a core in pure Go and of small models,
// see [training.Runner.IsSmall], fewer where several devices share each, and one where XLA uses all cores itself.
func (s Study) Workers(runner *training.Runner) int {
	arms, err := s.Arms()
	large := func(a Arm) bool { return !runner.IsSmall(a.Config) }
	if err != nil || runner.BackendKind != "go" && slices.ContainsFunc(arms, large) {
		return 1
	}
	return max(1, runtime.GOMAXPROCS(0)/max(1, runner.Devices))
}

// Run is [Study.RunShare] for the whole study, workers runs at a time.
func (s Study) Run(ctx context.Context, runner *training.Runner, workers int, report func(Event)) (Results, error) {
	return s.RunShare(ctx, runner, Share{Jobs: workers}, report)
}

// RunShare writes the study's plan into the folder of its name in the run store, trains all runs of a share that are not
// finished, and returns the results, of all shares. Events are reported from one goroutine at a time. When ctx ends, the runs
// under way are saved, and the error wraps [training.ErrInterrupted]; RunShare again goes on from there. Errors of single runs
// do not stop the others; divergence is a result, not an error. A folder that holds another study is the user's error, see
// [Study.Fits].
//
// Of a study until decided it trains what the rule of sequential.go asks for, until there is nothing more to ask for.
func (s Study) RunShare(ctx context.Context, runner *training.Runner, share Share, report func(Event)) (Results, error) {
	if s.UntilDecided && share.Shard != (Shard{}) {
		return Results{}, usererr.New("a study until decided has no parts: which run is next follows from all that have ended; share it with --claim")
	}
	if report == nil {
		report = func(Event) {}
	}
	w, err := s.begin(ctx, runner, report)
	if err != nil {
		return Results{}, err
	}
	return w.all(ctx, share)
}

// work is a study under way in this process.
type work struct {
	study  Study
	runner *training.Runner
	jobs   []job
	task   tasks.Task // of the fine-tuning; nil without one

	planned []Run                  // those of the jobs, by the names that they had at the beginning
	turns   map[string]*sync.Mutex // by these names: arms that differ in their fine-tuning alone wait for the same run

	mu          sync.Mutex // guards what follows, while runs are trained
	report      func(Event)
	results     Results
	problems    []error // of the jobs
	done, total int     // runs that have ended, of those that this process is to train
}

// begin plans the work, and writes the study's plan into its folder.
func (s Study) begin(ctx context.Context, runner *training.Runner, report func(Event)) (*work, error) {
	jobs, err := s.plan()
	if err != nil {
		return nil, err
	}
	w := &work{study: s, runner: runner, jobs: jobs, turns: map[string]*sync.Mutex{}, report: report, problems: make([]error, len(jobs))}
	w.results = Results{Study: s, Store: runner.Store, Extra: s.extra(runner.Corpus), Corpus: runner.Corpus.Hash}
	if w.results.Arms, err = s.Arms(); err != nil {
		return nil, err
	}
	w.results.Sources = sourcesOf(w.results.Arms)
	if w.results.Runs, err = s.runs(ctx, runner, jobs); err != nil {
		return nil, err
	}
	w.planned = slices.Clone(w.results.Runs)
	for _, run := range w.planned {
		w.turns[run.ID] = new(sync.Mutex)
	}
	if s.Finetune != nil {
		if w.task, err = s.Finetune.task(runner.Corpus); err != nil {
			return nil, err
		}
	}
	return w, w.results.register(filepath.Join(runner.Store.Root, s.Name))
}

// all trains what a share asks for, and returns the results.
func (w *work) all(ctx context.Context, share Share) (Results, error) {
	pending := w.study.inTurn(share.Shard.Of(w.planned), w.jobs)
	w.total = len(pending)
	workers := cmp.Or(share.Jobs, w.study.Workers(w.runner))
	if w.study.UntilDecided {
		w.results = w.results.Reload()
		pending = slices.DeleteFunc(pending, func(i int) bool { return !w.results.Runs[i].Ended }) // to be told of, as found
	}
	for ctx.Err() == nil {
		w.round(ctx, share, workers, pending)
		if !w.study.UntilDecided || slices.ContainsFunc(w.problems, func(err error) bool { return err != nil }) {
			break
		}
		if pending = w.results.next(workers); len(pending) == 0 {
			break
		}
	}
	if ctx.Err() != nil {
		return w.results, training.ErrInterrupted
	}
	for i, run := range w.results.Runs {
		if run.Ended {
			w.problems[i] = nil // another process had it, and has finished it
		}
	}
	return w.results, errors.Join(w.problems...)
}

// round trains the pending jobs, waits for those that other processes have, and looks at what has ended.
func (w *work) round(ctx context.Context, share Share, workers int, pending []int) {
	for len(pending) > 0 && ctx.Err() == nil {
		atATime(ctx, workers, pending, func(worker, i int) { w.do(ctx, worker, i) })
		pending = slices.DeleteFunc(pending, func(i int) bool { return !share.waits(w.problems[i]) })
		if len(pending) > 0 {
			w.report(Event{Held: len(pending)})
			pause(ctx, w.runner.Store)
		}
	}
	w.results = w.results.Reload()
}

// do does one of the jobs, and reports how it goes and how it ended.
func (w *work) do(ctx context.Context, worker, i int) {
	j := w.jobs[i]
	event := Event{Arm: j.arm.Name, Seed: j.seed, Worker: worker, Total: w.total, Found: true}
	result, tuned, err := w.train(ctx, i, func(p training.Progress) {
		w.mu.Lock()
		defer w.mu.Unlock()
		event.Progress, event.Done, event.Found = p, w.done, false
		w.report(event)
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if tuned != nil {
		w.results.Runs[i].Tuned = tuned.ID
	}
	if result.Run != nil {
		w.results.Runs[i].ID = result.Run.ID // of a fork, the name that it has now
	}
	w.problems[i] = nil
	if err != nil {
		w.problems[i] = fmt.Errorf("%s, seed %d: %w", j.arm.Name, j.seed, err)
		return
	}
	w.done++
	event.Result, event.Done = &result, w.done
	w.report(event)
}

// train trains the run of a job, before it what it forks and after it what it is fine-tuned to, as far as these are not
// finished. tuned is the run of the fine-tuning, nil where it was not come to.
func (w *work) train(ctx context.Context, i int, progress func(training.Progress)) (result training.Result, tuned *runs.Run, err error) {
	s, j := w.study, w.jobs[i]
	config := s.keeping(j.arm.Config)
	if s.branches(j.arm.Name) {
		baseline, _ := find(w.planned, BaselineName, j.seed)
		config, result, err = s.trunk(ctx, w.runner, baseline, w.turns[baseline.ID], j.arm.Config, progress)
	}
	if err != nil || result.Diverged != "" {
		return result, nil, err
	}
	if result, err = w.run(ctx, i, config, progress); s.Finetune == nil || err != nil || result.Diverged != "" {
		return result, nil, err
	}
	begin := func(tuned *runs.Run) error {
		return w.results.keepTuned(Run{Arm: j.arm.Name, Seed: j.seed, ID: result.Run.ID}, tuned)
	}
	return s.Finetune.train(ctx, w.runner, w.task, j.arm, result, begin, progress)
}

// run trains the run of a job under a config, one job of a run at a time.
func (w *work) run(ctx context.Context, i int, config metro.Config, progress func(training.Progress)) (training.Result, error) {
	turn := w.turns[w.planned[i].ID]
	turn.Lock()
	defer turn.Unlock()
	return w.runner.Run(ctx, w.study.Recipe, config, progress)
}

// atATime calls do with each of the places and the number of a worker, so many at a time, until ctx ends.
func atATime(ctx context.Context, workers int, places []int, do func(worker, place int)) {
	queue := make(chan int)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for place := range queue {
				do(worker, place)
			}
		})
	}
	for _, place := range places {
		if ctx.Err() != nil {
			break
		}
		queue <- place
	}
	close(queue)
	group.Wait()
}

// runs are those of the jobs, by the names that they have or will have in the store.
func (s Study) runs(ctx context.Context, runner *training.Runner, jobs []job) ([]Run, error) {
	list := make([]Run, len(jobs))
	identities := map[string]training.RunIdentity{} // by arm
	if s.Fork != nil {
		return s.forks(ctx, runner, jobs)
	}
	for i, j := range jobs {
		identity, known := identities[j.arm.Name]
		if !known {
			var err error
			if identity, err = runner.Identify(ctx, j.arm.Config); err != nil {
				return nil, fmt.Errorf("arm %q: %w", j.arm.Name, err)
			}
			identities[j.arm.Name] = identity
		}
		identity.Config.Seed = j.seed
		id, err := runner.RunID(s.Recipe, identity)
		if err != nil {
			return nil, err
		}
		list[i] = Run{Arm: j.arm.Name, Seed: j.seed, ID: id}
	}
	return list, nil
}
