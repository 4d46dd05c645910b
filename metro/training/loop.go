// SPDX-License-Identifier: Apache-2.0

package training

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"metrolab/internal/machine"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/metrics"
	"metrolab/metro/runs"
)

// ErrInterrupted is what a run ends with when it was asked to stop: its state is saved, and running it again goes on
// from there.
var ErrInterrupted = errors.New("interrupted; the state is saved, run the same command again to go on")

// TimingMetrics are the metrics that differ between equal runs.
var TimingMetrics = metrics.Timings()

// Progress is how far a run is.
type Progress struct {
	Step, Steps     int
	Phase           string  // "compiling", "training", "evaluating"
	Loss            float64 // of the last record; NaN before the first
	TokensPerSecond float64
}

// loop is one run under way.
type loop struct {
	workload Workload
	config   metro.Config // the workload's
	program  *Program
	report   func(Progress)
	changes  []string // in what the machine is unlike that of an attempt before
	trunk    *Trunk   // that the run forks from; nil for none

	lease       *runs.Lease
	metrics     *runs.Metrics
	sink        runs.Sink // of what is measured: the log above, and whoever else is told
	checkpoints runs.Checkpoints

	state    state
	pending  []StepOutput // steps whose counts are still on the device
	last     runs.Values  // the last evaluation
	progress Progress
	clock    clock
}

// clock splits wall time into training and waiting for batches since the last record.
type clock struct {
	started          time.Time
	training, loader time.Duration
	processor        time.Duration // of the meter when it started
}

func startClock() clock { return clock{started: time.Now(), processor: process.processor()} }

// addTo adds what was taken since the clock was started.
func (c clock) addTo(s *state) {
	s.Seconds += time.Since(c.started).Seconds()
	s.ProcessorSeconds += (process.processor() - c.processor).Seconds()
	s.Memory = max(s.Memory, machine.PeakMemory())
}

// run trains from the last checkpoint, or from the start, to the last step, and returns the last evaluation.
func (l *loop) run(ctx context.Context) (runs.Values, error) {
	if err := l.resume(); err != nil {
		return nil, err
	}
	l.progress = Progress{Step: l.state.Step, Steps: l.config.Training.Steps, Phase: "compiling", Loss: nan}
	l.report(l.progress)
	batches, stop := prefetch(l.workload, l.state.Step, l.config.Training.Steps)
	defer stop()

	for l.state.Step < l.config.Training.Steps {
		if ctx.Err() != nil {
			if err := l.save(); err != nil {
				return nil, err
			}
			return nil, ErrInterrupted
		}
		if err := l.step(batches); err != nil {
			return nil, err
		}
	}
	if l.last == nil { // the run was killed after its last checkpoint and before its result was written
		return l.evaluate()
	}
	return l.last, nil
}

// step runs one training step and whatever is due after it.
func (l *loop) step(batches <-chan prefetched) error {
	started := time.Now()
	batch := <-batches
	if batch.err != nil {
		return batch.err
	}
	l.clock.loader += time.Since(started)
	if err := l.workload.Before(l.program, l.state.Step+1); err != nil {
		return err
	}
	out, err := l.program.Step(batch.Batch, l.state.Step+1)
	if err != nil {
		return err
	}
	l.state.Step++
	if err := l.program.Average(l.state.Step); err != nil {
		return err
	}
	l.pending = append(l.pending, out)
	l.clock.training += time.Since(started)

	t := l.config.Training
	due := func(every int) bool { return l.state.Step%every == 0 || l.state.Step == t.Steps }
	if due(t.LogEvery) || due(t.EvalEvery) {
		if err := l.record(out, due(t.LogEvery), due(t.EvalEvery)); err != nil {
			return err
		}
	}
	if due(t.CheckpointEvery) || l.checkpoints.Spare(l.state.Step) {
		if err := l.save(); err != nil {
			return err
		}
	}
	l.progress.Step, l.progress.Phase = l.state.Step, "training"
	l.report(l.progress)
	return nil
}

// record hands what was measured to the sink.
func (l *loop) record(out StepOutput, log, evaluate bool) error {
	values := runs.Values{}
	if log {
		measured := runs.Values{}
		if err := l.workload.Measure(out, measured); err != nil {
			return err
		}
		if err := l.drain(); err != nil {
			return err
		}
		values = l.state.Window.metrics()
		maps.Copy(values, measured)
		values["learning_rate"] = l.config.LearningRate(l.state.Step)
		values["tokens"] = l.state.Tokens
		l.addTimings(values)
		l.state.Window = window{}
	}
	if evaluate {
		measured, err := l.evaluate()
		if err != nil {
			return err
		}
		maps.Copy(values, measured)
	}
	if err := l.sink.Record(l.state.Step, values); err != nil {
		return err
	}
	return l.lease.Progress(l.state.Step, l.config.Training.Steps)
}

// evaluate measures the model as it stands.
func (l *loop) evaluate() (runs.Values, error) {
	l.progress.Step, l.progress.Phase = l.state.Step, "evaluating"
	l.report(l.progress)
	measured, err := l.workload.Evaluate(l.program)
	if err == nil {
		err = evaluateAverages(l.workload, l.program, measured)
	}
	l.last = measured
	return measured, err
}

func (l *loop) addTimings(values runs.Values) {
	l.clock.addTo(&l.state)
	values["seconds"] = l.state.Seconds
	values["tokens_per_second"] = l.state.Window.Tally.Tokens / max(l.clock.training.Seconds(), 1e-9)
	values["loader_wait_seconds"] = l.clock.loader.Seconds()
	l.clock = startClock()
}

// drain reads the counts of the steps since the last time and adds them to the window. It is where a run that has
// diverged is found out.
func (l *loop) drain() error {
	first := l.state.Step - len(l.pending) + 1
	for i, out := range l.pending {
		tally, norm, err := out.Tally()
		if err != nil {
			return err
		}
		out.Release()
		if !finite(tally.Metric("loss")) || !finite(norm) {
			return l.diverged(first+i, tally, norm)
		}
		if first+i == 1 {
			warnOfNothing(tally, norm)
		}
		l.state.Window.add(tally, norm)
		l.state.addLoss(tally.Metric("loss"), first+i, l.config.Training.Steps)
		l.state.Tokens += tally.Tokens
	}
	l.pending = l.pending[:0]
	return nil
}

// warnOfNothing says what trains nothing at the first step: a term that is exactly 0, such as a mean over nothing, or no gradient
// at all. It may be meant, so the run goes on.
func warnOfNothing(tally metro.Tally, norm float64) {
	for _, name := range tally.Names {
		if term, ok := strings.CutSuffix(name, "_loss"); ok && tally.Metric(name) == 0 {
			slog.Warn(fmt.Sprintf("the loss of the term %q is exactly 0 at step 1: it trains nothing there. What it counts may be empty, or its head may start at 0 (objective.rtd_zero_init)", term))
		}
	}
	if norm == 0 {
		slog.Warn("the gradient of the loss is exactly 0 at step 1: nothing is trained. The loss may not depend on the weights, or all its weights may be 0")
	}
}

// prefetched is a batch made ahead of its step.
type prefetched struct {
	Batch
	err error
}

// prefetch makes the batches of steps from … to−1 in a goroutine, a few ahead. stop ends it.
func prefetch(w Workload, from, to int) (batches <-chan prefetched, stop func()) {
	const ahead = 4
	out, quit := make(chan prefetched, ahead), make(chan struct{})
	go func() {
		for step := from; step < to; step++ {
			batch, err := w.Batch(step)
			select {
			case out <- prefetched{batch, err}:
			case <-quit:
				return
			}
		}
	}()
	return out, func() { close(quit) }
}

// resume puts the program into the state of the newest good checkpoint whose steps the log covers, or of the start.
func (l *loop) resume() error {
	if err := l.program.Start(l.workload); err != nil {
		return err
	}
	fit := func(c runs.Checkpoint) error {
		s, err := readState(c.Dir)
		if err == nil {
			err = l.metrics.Holds(s.Log)
		}
		return err
	}
	checkpoint, found, err := l.checkpoints.Resume(fit, func(damaged string, err error) {
		slog.Warn("checkpoint " + damaged + " is passed over: " + err.Error())
	})
	if err != nil {
		return usererr.New("%w", err)
	}
	l.clock = startClock()
	if !found && l.trunk != nil {
		return l.branch()
	}
	if !found {
		if err := l.workload.Begin(l.program); err != nil {
			return err
		}
		if err := l.program.Average(0); err != nil {
			return err
		}
		return l.metrics.TruncateAfter(-1)
	}
	if l.state, err = readState(checkpoint.Dir); err == nil {
		err = readVariables(filepath.Join(checkpoint.Dir, variablesFile), l.program.Variables())
	}
	if err != nil {
		return usererr.New("checkpoint %s: %w", checkpoint.Dir, err)
	}
	if len(l.changes) > 0 {
		slog.Warn("this run goes on on a machine that may give other numbers than the one that began it, and a report will say so: " +
			strings.Join(l.changes, "; "))
	}
	return l.metrics.TruncateAfter(l.state.Step)
}

// branch puts the program into the state of the trunk's checkpoint, and begins the log with the trunk's records, so that a fork
// is like a run of its own that was stopped after that step.
func (l *loop) branch() error {
	if err := readVariables(l.trunk.path(variablesFile), l.program.Variables()); err != nil {
		return usererr.New("%s: %w; a fork has the weights and moments of the run that it goes on with", forkPath, err)
	}
	l.state = l.trunk.state
	if l.config.Training.Steps != l.trunk.Identity.Config.Training.Steps {
		l.state.LastLoss = 0 // its last tenth is another
	}
	err := l.metrics.TruncateAfter(-1)
	if err == nil {
		err = l.metrics.Inherit(filepath.Join(l.trunk.Dir, runs.MetricsFile), l.state.Log)
	}
	if err != nil {
		return usererr.New("%s: %w", forkPath, err)
	}
	return nil
}

// save writes a checkpoint of the present step.
func (l *loop) save() error {
	if err := l.drain(); err != nil {
		return err
	}
	if err := l.metrics.Sync(); err != nil {
		return err
	}
	state := l.state
	state.Log = l.metrics.Mark()
	l.clock.addTo(&state)
	return l.checkpoints.Save(state.Step, func(dir string) error {
		return writeState(dir, state, l.program.Variables())
	})
}
