// SPDX-License-Identifier: Apache-2.0

package training

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/metrics"
	"metrolab/metro/runs"
)

// Replayed is what came of training steps of a run once more: the same to the bit, or [Runner.Replay] returns an error.
type Replayed struct {
	From, To int  // the steps From+1 … To were trained
	Records  int  // that were compared
	Weights  bool // whether the run had a checkpoint of step To, and its weights and moments were compared
}

// Replay trains steps of the run in a folder once more, in a folder of its own that goes again, and compares what is measured
// with the run's log, timings aside, and weights and moments with the checkpoint of step to, if there is one. It begins with the
// newest checkpoint of step from or before, or, if there is none, where the run began. What differs is the user's error, which names
// the first step and the metric: the files have been changed, or this machine computes otherwise.
func (r *Runner) Replay(ctx context.Context, dir string, from, to int, report func(Progress)) (Replayed, error) {
	return r.replay(ctx, dir, from, to, report, func(*runs.Run, runs.Checkpoint) error { return nil })
}

// MakeCheckpoint makes the checkpoint of a step that the run in a folder has none of any more, or never had, by a
// [Runner.Replay] up to it. It must be a step that the run has trained. A checkpoint that is there stays as it is.
func (r *Runner) MakeCheckpoint(ctx context.Context, dir string, step int, report func(Progress)) error {
	if _, found, err := (runs.Checkpoints{Dir: filepath.Join(dir, runs.CheckpointsDir)}).At(step); found || err != nil {
		return err
	}
	_, err := r.replay(ctx, dir, step, step, report, func(run *runs.Run, made runs.Checkpoint) error { return adopt(run, made) })
	return err
}

// adopt copies a checkpoint that a replay has made into the run, with what the run's own log says up to it.
func adopt(run *runs.Run, made runs.Checkpoint) (err error) {
	state, err := readState(made.Dir)
	if err != nil {
		return err
	}
	if state.Log, err = run.MarkAfter(made.Step); err != nil {
		return err
	}
	lease, err := run.Acquire()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lease.Release()) }()
	return lease.Checkpoints(0).Save(made.Step, func(dir string) error {
		if err := copyFile(filepath.Join(dir, variablesFile), filepath.Join(made.Dir, variablesFile)); err != nil {
			return err
		}
		return runs.WriteJSON(filepath.Join(dir, stateFile), state)
	})
}

func copyFile(to, from string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	return atomicfile.WriteFunc(to, func(w io.Writer) error {
		_, err := io.Copy(w, source)
		return err
	})
}

// replay is [Runner.Replay]; after does something with the checkpoint of the last step, before it goes.
func (r *Runner) replay(ctx context.Context, dir string, from, to int, report func(Progress), after func(*runs.Run, runs.Checkpoint) error) (done Replayed, err error) {
	job, err := r.Resume(ctx, dir)
	if err != nil {
		return done, err
	}
	if last := job.Summary().Step; to < 1 || to > last {
		return done, usererr.New("%s has trained %d steps, so step %d cannot be replayed; name one from 1 to %d", dir, last, to, last)
	}
	trunk, err := newestTrunk(dir, min(from, to-1))
	if err != nil {
		return done, err
	}
	done = Replayed{To: to}
	if trunk != nil {
		done.From = trunk.Step
	} else if fork := job.identity.Config.Training.Fork; fork != "" {
		if _, done.From, err = metro.ParseFork(fork); err != nil {
			return done, err
		}
	}
	if done.From >= to {
		return done, usererr.New("%s goes on from step %d of another run, so step %d is that run's to replay", dir, done.From, to)
	}
	root, err := os.MkdirTemp("", "metrolab-replay-")
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	again, err := r.rerun(ctx, job, trunk, root, to, report)
	if err != nil {
		return done, err
	}
	if done.Records, err = sameRecords(job.Run, again, done.From, to); err != nil {
		return done, err
	}
	made, found, err := runs.Checkpoints{Dir: again.Path(runs.CheckpointsDir)}.At(to)
	if err == nil && !found {
		err = fmt.Errorf("the replay of %s has left no checkpoint of step %d", dir, to)
	}
	if err == nil {
		done.Weights, err = equalCheckpoints(job.Run, made)
	}
	if err == nil {
		err = after(job.Run, made)
	}
	return done, err
}

// newestTrunk is the newest good checkpoint of a step or before; nil for none.
func newestTrunk(dir string, step int) (*Trunk, error) {
	steps, err := runs.Checkpoints{Dir: filepath.Join(dir, runs.CheckpointsDir)}.Steps()
	for _, s := range slices.Backward(steps) {
		if s > step {
			continue
		}
		if trunk, err := LoadTrunk(dir, s); err == nil {
			return trunk, nil
		}
	}
	return nil, err
}

// rerun trains a run once more into the folder root, from a trunk to a step.
func (r *Runner) rerun(ctx context.Context, job *Job, trunk *Trunk, root string, to int, report func(Progress)) (*runs.Run, error) {
	scratch := r.Anew()
	scratch.Corpus, scratch.Store = r.Corpus, runs.Store{Root: root}
	identity := job.identity
	identity.Config.Training.KeepAt = to
	again, err := scratch.Assign("replay", identity, job.workload)
	if err != nil {
		return nil, err
	}
	again.trunk = trunk
	until, stop := context.WithCancel(ctx)
	defer stop()
	_, err = again.Train(until, func(p Progress) {
		if report != nil {
			p.Steps = to
			report(p)
		}
		if p.Step == to && p.Phase == "training" {
			stop()
		}
	})
	if errors.Is(err, ErrInterrupted) && ctx.Err() == nil {
		err = nil
	}
	return again.Run, err
}

// sameRecords compares the records of the steps from+1 … to, timings aside, and counts them.
func sameRecords(run, again *runs.Run, from, to int) (int, error) {
	var logs [2][]runs.Row
	for i, r := range []*runs.Run{run, again} {
		rows, err := runs.ReadMetrics(r.Path(runs.MetricsFile))
		if err != nil {
			return 0, usererr.New("%w", err)
		}
		logs[i] = slices.DeleteFunc(rows, func(row runs.Row) bool { return row.Step <= from || row.Step > to })
	}
	differ := func(step int, what string, a, b any) error {
		return usererr.New("%s is not what these steps give here: at step %d, %s is %v in its log and %v when it is trained again; the files were changed, or this machine or program computes otherwise than the one that trained it",
			run.Dir, step, what, a, b)
	}
	for i, was := range logs[0] {
		if i >= len(logs[1]) || logs[1][i].Step != was.Step {
			return 0, differ(was.Step, "the record", "there", "missing")
		}
		is := logs[1][i].Values
		for _, name := range slices.Sorted(maps.Keys(was.Values)) {
			if a, b := was.Values[name], is[name]; !metrics.Of(name).Timing && a != b && (a == a || b == b) {
				return 0, differ(was.Step, name, a, b)
			}
		}
	}
	return len(logs[0]), nil
}

// equalCheckpoints compares a checkpoint with that which the run has of its step, and says whether it has one.
func equalCheckpoints(run *runs.Run, made runs.Checkpoint) (bool, error) {
	was, found, err := runs.Checkpoints{Dir: run.Path(runs.CheckpointsDir)}.At(made.Step)
	if !found || err != nil {
		return false, err
	}
	var sums [2]string
	for i, c := range []runs.Checkpoint{was, made} {
		if sums[i], err = c.Sum(variablesFile); err != nil {
			return false, err
		}
	}
	if sums[0] != sums[1] {
		return true, usererr.New("%s: its weights and moments of step %d are not those that its steps give when they are trained again", run.Dir, made.Step)
	}
	return true, nil
}
