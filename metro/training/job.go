// SPDX-License-Identifier: Apache-2.0

package training

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"metrolab/internal/usererr"
	"metrolab/metro/runs"
)

// Job is a run that was opened, and what it takes to train it. See [Runner.Open].
type Job struct {
	*runs.Run

	runner   *Runner
	identity RunIdentity
	workload func() (Workload, error)
	trunk    *Trunk // where a replay begins; nil for where the config says
}

// Identity is what decides the run's numbers.
func (j *Job) Identity() RunIdentity { return j.identity }

// Train trains the run, or goes on with it, or returns its result if it is finished already. report, unless nil, hears of
// every step. If ctx ends, the state is saved and the error wraps [ErrInterrupted].
func (j *Job) Train(ctx context.Context, report func(Progress)) (Result, error) {
	if result, found, err := ReadResult(j.Run); found || err != nil {
		_ = j.Tidy() // of a folder that cannot be written, the result can be read all the same
		return result, err
	}
	if report == nil {
		report = func(Progress) {}
	}
	lease, err := j.Acquire()
	if err != nil {
		return Result{}, err
	}
	result, err := j.train(ctx, lease, report)
	if begun, looking := j.Begun(); usererr.Is(err) && !begun && looking == nil {
		return Result{}, errors.Join(err, lease.Remove()) // what is refused leaves nothing behind
	}
	return result, errors.Join(err, lease.Release())
}

func (j *Job) train(ctx context.Context, lease *runs.Lease, report func(Progress)) (Result, error) {
	provenance := runs.CollectProvenance(time.Now(), j.runner.Provenance)
	changes := j.changes(provenance)
	if err := writeProvenance(lease, provenance); err != nil {
		return Result{}, err
	}
	w, err := j.workload()
	if err != nil {
		return Result{}, err
	}
	if err := w.Tokenizer().Save(j.Path(runs.TokenizerFile)); err != nil {
		return Result{}, err
	}
	metrics, err := lease.Metrics()
	if err != nil {
		return Result{}, err
	}
	defer metrics.Close()
	program, err := j.runner.take(w)
	if err != nil {
		return Result{}, err
	}
	defer j.runner.giveBack(program)
	c := w.Model().Config
	l := &loop{
		workload: w, config: c, program: program, report: report, changes: changes,
		lease: lease, metrics: metrics, checkpoints: lease.Checkpoints(c.Training.KeepCheckpoints),
	}
	kept := map[int]bool{c.Training.KeepAt: true}
	l.checkpoints.Spare = func(step int) bool { return kept[step] }
	if p, ok := w.(*Pretraining); ok {
		l.trunk = cmp.Or(j.trunk, p.origins.trunk)
		reached := milestones(c, p.dataset, l.trunk)
		for _, m := range reached {
			kept[m.step] = true
		}
		sayMilestones(reached)
	}
	l.sink = runs.Sinks{metrics, &l.progress}
	process.enter()
	values, err := l.run(ctx)
	process.leave()
	err = outOfMemory(err)
	result := Result{Steps: l.state.Step, Metrics: values, Seconds: l.state.Seconds, Usage: l.state.Usage, Run: j.Run}
	if l.trunk != nil {
		result.Before, result.ProcessorBefore = l.trunk.state.Seconds, l.trunk.state.ProcessorSeconds
	}
	if divergence, ok := errors.AsType[*Divergence](err); ok {
		result.Steps, result.Diverged = divergence.Step, divergence.Error() // not when it was noticed
	} else if err != nil {
		return result, err
	} else if details := w.Details(Trained{l.state.Step, l.state.Seconds, l.state.LastLoss}); details != nil {
		if result.Details, err = json.Marshal(details); err != nil {
			return result, fmt.Errorf("write the result of %s: %w", j.ID, err)
		}
	}
	provenance.Finished = time.Now()
	if err := writeProvenance(lease, provenance); err != nil {
		return result, err
	}
	result.Log = metrics.Mark()
	return result, lease.WriteSealed(runs.ResultFile, result)
}

// Revisit puts the newest good checkpoint of a run that was trained to its end into a program, and calls visit with it. A run
// that was not is the user's error.
func (j *Job) Revisit(visit func(Workload, *Program) error) error {
	w, err := j.workload()
	if err != nil {
		return err
	}
	steps := w.Model().Config.Training.Steps
	checkpoints := runs.Checkpoints{Dir: j.Path(runs.CheckpointsDir)}
	checkpoint, found, err := checkpoints.Latest(func(damaged string, err error) {
		slog.Warn("checkpoint " + damaged + " is passed over: " + err.Error())
	})
	if err != nil || !found || checkpoint.Step != steps {
		return usererr.New("run %s has no good checkpoint of its last step, %d; train it with the command that began it", j.Dir, steps)
	}
	program, err := j.runner.take(w)
	if err != nil {
		return err
	}
	defer j.runner.giveBack(program)
	if err := program.Start(w); err != nil {
		return err
	}
	if err := readVariables(filepath.Join(checkpoint.Dir, variablesFile), program.Variables()); err != nil {
		return usererr.New("checkpoint %s: %w", checkpoint.Dir, err)
	}
	return visit(w, program)
}

// changes says how the machine is unlike that of an attempt before this one, the latest such; nothing if none is.
func (j *Job) changes(now runs.Provenance) []string {
	before, _ := j.Attempts() // what cannot be read has nothing to say
	for _, p := range slices.Backward(before) {
		if changes := now.Changes(p); len(changes) > 0 {
			return changes
		}
	}
	return nil
}

// writeProvenance writes down how a run is made: of this attempt beside its lease, and of the latest where readers look first.
func writeProvenance(lease *runs.Lease, p runs.Provenance) error {
	if err := lease.WriteAttemptJSON(runs.ProvenanceFile, p); err != nil {
		return err
	}
	return lease.WriteJSON(runs.ProvenanceFile, p)
}
