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
// see [training.Runner.IsSmall], and one where XLA uses all cores itself.
func (s Study) Workers(runner *training.Runner) int {
	arms, err := s.Arms()
	large := func(a Arm) bool { return !runner.IsSmall(a.Config) }
	if err != nil || runner.BackendKind != "go" && slices.ContainsFunc(arms, large) {
		return 1
	}
	return runtime.GOMAXPROCS(0)
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
	jobs, err := s.plan()
	if err != nil {
		return Results{}, err
	}
	if report == nil {
		report = func(Event) {}
	}
	results := Results{Study: s, Store: runner.Store, Extra: s.extra(runner.Corpus), Corpus: runner.Corpus.Hash}
	if results.Arms, err = s.Arms(); err != nil {
		return Results{}, err
	}
	if results.Runs, err = s.runs(ctx, runner, jobs); err != nil {
		return Results{}, err
	}
	var task tasks.Task
	if s.Finetune != nil {
		if task, err = s.Finetune.task(runner.Corpus); err != nil {
			return Results{}, err
		}
	}
	if err := results.register(filepath.Join(runner.Store.Root, s.Name)); err != nil {
		return Results{}, err
	}
	var mu sync.Mutex // guards what follows, and report
	done, problems := 0, make([]error, len(jobs))
	pending := s.inTurn(share.Shard.Of(results.Runs), jobs)
	total := len(pending)
	planned := slices.Clone(results.Runs)
	turns := map[string]*sync.Mutex{} // by run: arms that differ in their fine-tuning alone wait for the same one
	for _, run := range results.Runs {
		turns[run.ID] = new(sync.Mutex)
	}
	turn := func(i int) *sync.Mutex { return turns[planned[i].ID] }
	train := func(worker, i int) {
		j := jobs[i]
		event := Event{Arm: j.arm.Name, Seed: j.seed, Worker: worker, Total: total, Found: true}
		progress := func(p training.Progress) {
			mu.Lock()
			defer mu.Unlock()
			event.Progress, event.Done, event.Found = p, done, false
			report(event)
		}
		config, result, err := s.keeping(j.arm.Config), training.Result{}, error(nil)
		if s.branches(j.arm.Name) {
			baseline, _ := find(planned, BaselineName, j.seed)
			config, result, err = s.trunk(ctx, runner, baseline, turns[baseline.ID], j.arm.Config, progress)
		}
		if err == nil && result.Diverged == "" {
			turn := turn(i)
			turn.Lock()
			result, err = runner.Run(ctx, s.Recipe, config, progress)
			turn.Unlock()
		}
		var tuned *runs.Run
		if s.Finetune != nil && err == nil && result.Diverged == "" {
			begin := func(tuned *runs.Run) error {
				return results.keepTuned(Run{Arm: j.arm.Name, Seed: j.seed, ID: result.Run.ID}, tuned)
			}
			result, tuned, err = s.Finetune.train(ctx, runner, task, j.arm, result, begin, progress)
		}
		mu.Lock()
		defer mu.Unlock()
		if tuned != nil {
			results.Runs[i].Tuned = tuned.ID
		}
		if result.Run != nil {
			results.Runs[i].ID = result.Run.ID // of a fork, the name that it has now
		}
		problems[i] = nil
		if err != nil {
			problems[i] = fmt.Errorf("%s, seed %d: %w", j.arm.Name, j.seed, err)
		} else {
			done++
			event.Result, event.Done = &result, done
			report(event)
		}
	}
	workers := cmp.Or(share.Jobs, s.Workers(runner))
	if s.UntilDecided {
		results = results.Reload()
		pending = slices.DeleteFunc(pending, func(i int) bool { return !results.Runs[i].Ended }) // to be told of, as found
	}
	for ctx.Err() == nil {
		for len(pending) > 0 && ctx.Err() == nil {
			atATime(ctx, workers, pending, train)
			pending = slices.DeleteFunc(pending, func(i int) bool { return !share.waits(problems[i]) })
			if len(pending) > 0 {
				report(Event{Held: len(pending)})
				pause(ctx, runner.Store)
			}
		}
		results = results.Reload()
		if !s.UntilDecided || slices.ContainsFunc(problems, func(err error) bool { return err != nil }) {
			break
		}
		if pending = results.next(workers); len(pending) == 0 {
			break
		}
	}
	if ctx.Err() != nil {
		return results, training.ErrInterrupted
	}
	for i, run := range results.Runs {
		if run.Ended {
			problems[i] = nil // another process had it, and has finished it
		}
	}
	return results, errors.Join(problems...)
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
