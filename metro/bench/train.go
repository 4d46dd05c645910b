// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gomlx/compute"

	"metrolab/internal/machine"
	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// estimate is about how many seconds a step of c takes where matrix products reach so many operations a second, and how many the
// whole case: told before anything runs, for the progress and to choose how many steps a repetition has.
func (s *suite) estimate(c metro.Config, perSecond float64) (step, whole float64) {
	const overhead, efficiency = 2e-3, 0.5
	step = overhead
	if flops, err := c.FLOPs(c.Data.VocabSize); err == nil {
		step += flops.Total() / (efficiency * perSecond)
	}
	compile := 2 + 0.4*float64(c.Main.Layers+c.Generator.Layers)
	return step, compile + step + float64(s.repeat())*(max(step, s.each().Seconds())+s.peakTime().Seconds())
}

// onGPU reports whether a GPU computes.
func (s *suite) onGPU() bool { return strings.HasPrefix(s.Runner.BackendKind, "xla-cuda") }

// peakTime is the time of a measurement of the peak.
func (s *suite) peakTime() time.Duration { return s.each() / 4 }

// train measures the training of c as metro pretrain trains: by the trainer's own loop, in a folder of runs that is removed
// afterwards.
func (s *suite) train(ctx context.Context, name string, c metro.Config) (result Case, err error) {
	dir, err := os.MkdirTemp("", "metro-bench-")
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	debug.FreeOSMemory()
	known := machine.ResetPeakMemory()
	d, text, err := s.dataset(ctx, c, dir)
	if err != nil {
		return result, err
	}
	if !s.OnCorpus {
		defer d.Close()
	}
	engine, closes, err := s.Runner.Engine(c)
	if err != nil {
		return result, err
	}
	defer closes()
	m := &measured{ctx: ctx, suite: s, watch: &stopwatch{Backend: engine}}
	if s.onGPU() && s.WatchMemory != nil {
		s.WatchMemory(func(bytes int64) { m.device = max(m.device, bytes) }) // that of a step takes more than any other
		defer s.WatchMemory(nil)
	}
	runner := m.runner(dir)
	defer func() { err = errors.Join(err, runner.Close()) }()
	c, err = m.prepare(c, runner)
	if err != nil {
		return result, err
	}
	defer m.peak.close()
	m.result = Case{Name: name, Rows: c.Training.BatchSize, Length: c.Data.SeqLen, Vocab: d.Vocab, Text: text, Steps: m.steps}
	if flops, err := c.FLOPs(d.Vocab); err == nil {
		m.result.FLOPs = &flops
	}
	weights, _ := c.Inventory(d.Vocab)
	m.result.Weights, m.result.Active = weights.Count(), c.Active(weights)
	m.Pretraining = training.NewPretrainingOn(modelOn(c, d), d)
	err = m.run(c, runner)
	if known && len(m.result.Samples) > 0 {
		m.result.add(PeakMemory, float64(machine.PeakMemory()))
	}
	if m.device > 0 && len(m.result.Samples) > 0 {
		m.result.add(DeviceMemory, float64(m.device))
	}
	return m.result, err
}

// dataset is what c is trained on, and what that is called.
func (s *suite) dataset(ctx context.Context, c metro.Config, dir string) (*data.Dataset, string, error) {
	if !s.OnCorpus {
		d, err := synthetic(c, dir)
		return d, "synthetic", err
	}
	d, err := s.Runner.Dataset(ctx, c, func(int, int) {})
	if err != nil {
		return nil, "", err
	}
	return d, d.Corpus.Source, d.Require(c.Training.BatchSize, 0)
}

// paced is c to be trained until enough is measured, with as many steps a repetition as take the time each, and a record at
// least once a repetition. All steps are of the whole model.
func paced(c metro.Config, step float64, each time.Duration) (metro.Config, int) {
	const most, never = 1000, 1 << 30
	t := &c.Training
	t.PrefixSteps = 0
	steps := min(most, max(1, int(math.Round(each.Seconds()/step))))
	if steps > t.LogEvery {
		steps = (steps + t.LogEvery - 1) / t.LogEvery * t.LogEvery
	} else {
		t.LogEvery = steps
	}
	t.Steps, t.EvalEvery, t.CheckpointEvery = never, never, never
	return c, steps
}

// settleSteps are trained between a measurement of the peak and a repetition: what the loader has made ahead in the meantime is
// used up.
const settleSteps = 5

// measured is pretraining that looks at the clock: before each step, where the trainer calls Before, and after it, where the
// trainer reports. It ends the run when enough is measured.
type measured struct {
	*training.Pretraining
	ctx           context.Context
	suite         *suite
	peak          *peak
	watch         *stopwatch
	settle, steps int // of a repetition: unmeasured and measured ones

	device int64 // bytes, what the largest program takes of a device's memory

	result Case
	before usage // at the beginning of the repetition
	after  time.Time
	waited time.Duration // for batches, in the repetition
	matmul float64       // operations a second, just before it
}

// usage is what was used up at a moment.
type usage struct {
	wall               time.Time
	processor, compute time.Duration
}

// errEnough ends a run that was measured.
var errEnough = errors.New("measured")

// runner trains in a folder, under the stopwatch.
func (m *measured) runner(dir string) *training.Runner {
	from := m.suite.Runner
	return &training.Runner{
		Backend: m.watch, BackendKind: from.BackendKind, SIMD: from.SIMD, Provenance: from.Provenance, CacheDir: dir,
		Store: runs.Store{Root: filepath.Join(dir, "runs")},
	}
}

// prepare paces c, which the runner must be able to train, by what the machine can do.
func (m *measured) prepare(c metro.Config, runner *training.Runner) (metro.Config, error) {
	if _, err := m.assign(c, runner); err != nil {
		return c, err
	}
	var err error
	if m.peak, err = newPeak(m.peakEngine(), m.suite.onGPU(), c.Training.MatMul, m.suite.peakTime()); err != nil {
		return c, err
	}
	perSecond, err := m.peak.measure()
	if err != nil {
		m.peak.close()
		return c, err
	}
	step, _ := m.suite.estimate(c, perSecond)
	c, m.steps = paced(c, step, m.suite.each())
	if m.steps > 1 {
		m.settle = min(m.steps, settleSteps)
	}
	return c, nil
}

// peakEngine computes the peak: on a GPU the config's own engine, which decides how products are rounded; else the runner's, as
// the peak is the machine's, and the engine of a small model has one thread.
func (m *measured) peakEngine() compute.Backend {
	if m.suite.onGPU() {
		return m.watch.Backend
	}
	return m.suite.Runner.Backend
}

func (m *measured) assign(c metro.Config, runner *training.Runner) (*training.Job, error) {
	return runner.Assign("bench", runner.Identity(c), func() (training.Workload, error) { return m, nil })
}

// run trains until enough is measured.
func (m *measured) run(c metro.Config, runner *training.Runner) error {
	job, err := m.assign(c, runner)
	if err != nil {
		return err
	}
	m.suite.reached(0, m.result.Name+", compiling")
	_, err = job.Train(context.WithoutCancel(m.ctx), m.reported) // which would write a checkpoint when told to stop
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// place says where in its cycle of unmeasured and measured steps a step is, 0, 1, …; the first step, which compiles, has none.
func (m *measured) place(step int) int {
	if step == 1 {
		return none
	}
	return (step - 2) % (m.settle + m.steps)
}

// none is the place of a step in no cycle.
const none = -2

// Before implements [training.Workload].
func (m *measured) Before(p *training.Program, step int) error {
	waited := time.Since(m.after)
	m.waited += waited
	if err := m.ctx.Err(); err != nil {
		return err
	}
	place := m.place(step)
	if place == 0 {
		if len(m.result.Samples[StepSeconds]) == m.suite.repeat() {
			return errEnough
		}
		var err error
		if m.matmul, err = m.peak.measure(); err != nil {
			return err
		}
	}
	if place == 0 && m.settle == 0 {
		m.begin()
		m.waited = waited // before the matrices were multiplied
		m.before.wall = m.before.wall.Add(-waited)
	}
	return m.Pretraining.Before(p, step)
}

// reported hears from the trainer.
func (m *measured) reported(p training.Progress) {
	if p.Phase != "training" {
		return
	}
	all := 1 + m.suite.repeat()*(m.settle+m.steps)
	m.suite.reached(float64(p.Step)/float64(all), m.result.Name)
	if p.Step == 1 {
		m.result.add(CompileSeconds, m.watch.compiling.load().Seconds())
		if used := m.watch.compiler.load(); used > 0 {
			m.result.add(CompileProcessorSeconds, used.Seconds())
		}
	}
	m.after = time.Now()
	switch m.place(p.Step) {
	case m.settle + m.steps - 1:
		m.record(m.used())
	case m.settle - 1:
		m.begin()
	}
}

// begin begins a repetition.
func (m *measured) begin() { m.before, m.waited = m.used(), 0 }

func (m *measured) used() usage {
	return usage{time.Now(), machine.ProcessorTime(), m.watch.executing.load()}
}

// record writes down a repetition.
func (m *measured) record(now usage) {
	wall := now.wall.Sub(m.before.wall).Seconds()
	processor := (now.processor - m.before.processor).Seconds()
	computed := (now.compute - m.before.compute).Seconds()
	steps := float64(m.steps)
	tokens := steps * float64(m.result.Rows*m.result.Length)
	m.result.add(StepSeconds, wall/steps)
	m.result.add(TokensPerSecond, tokens/wall)
	if processor > 0 {
		m.result.add(TokensPerProcessorSecond, tokens/processor)
		m.result.add(StepProcessorSeconds, processor/steps)
	}
	m.result.add(PeakFLOPsPerSecond, m.matmul)
	if flops := m.result.FLOPs; flops != nil {
		speed := steps * flops.Total() / wall
		m.result.add(FLOPsPerSecond, speed)
		m.result.add(PeakShare, speed/m.matmul)
	}
	m.result.add(LoaderShare, m.waited.Seconds()/wall)
	m.result.add(HostShare, max(0, 1-(computed+m.waited.Seconds())/wall))
}

// Evaluate implements [training.Workload]: nothing is held out.
func (m *measured) Evaluate(*training.Program) (runs.Values, error) { return runs.Values{}, nil }
