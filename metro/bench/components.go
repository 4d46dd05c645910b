// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"metrolab/internal/machine"
	"metrolab/viz"
)

// Components times the parts of a training step of t and what is around it, each alone, by go-benchmarks (see [viz.Bench]).
//
//   - With their gradients: the relative position bias, one layer's attention, the CLM head. Without: sampling.
//   - On the host: masking a batch, making one (with the masks), encoding the headers of all recipes, some 15 kB of prose,
//     writing a checkpoint down to the disk, and reading it.
//
// They take turns, repetition by repetition. If ctx ends, or something fails, the report holds what was measured until then.
func Components(ctx context.Context, o Options, t Training) (_ Report, err error) {
	if err := o.check(); err != nil {
		return Report{}, err
	}
	dir, err := os.MkdirTemp("", "metro-bench-")
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s := newSuite("components", o, slices.Repeat([]float64{1}, 1+o.repeat())) // the first is for getting ready
	s.reached(0, "getting ready")
	b, err := newWorkbench(o.Runner.Backend, t.Config, dir)
	if err != nil {
		return s.end(err)
	}
	defer b.close()
	c := b.model.Config
	for _, part := range b.components() {
		s.report.Cases = append(s.report.Cases, Case{
			Name: part.name, Rows: c.Training.BatchSize, Length: c.Data.SeqLen, Vocab: b.model.Vocab, call: part.call,
		})
	}
	err = s.takeTurns(ctx)
	s.report.Cases = slices.DeleteFunc(s.report.Cases, func(c Case) bool { return len(c.Samples) == 0 })
	return s.end(err)
}

// takeTurns times each case once a repetition.
func (s *suite) takeTurns(ctx context.Context) error {
	for range s.repeat() {
		s.begun++
		for i := range s.report.Cases {
			c := &s.report.Cases[i]
			s.reached(float64(i)/float64(len(s.report.Cases)), c.Name)
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := c.time(s.each() / 10); err != nil {
				return err
			}
		}
		s.report.noteLoad()
	}
	s.reached(1, "done")
	return nil
}

// The quantiles of the calls of a repetition, beside their median, [CallSeconds].
const (
	callQ5  = "call_seconds_5"
	callQ25 = "call_seconds_25"
	callQ75 = "call_seconds_75"
	callQ95 = "call_seconds_95"
)

// time adds a repetition of so much time.
func (c *Case) time(each time.Duration) error {
	var failed error
	calls := 0
	timed := viz.Timed{Name: c.Name, Func: func() {
		calls++
		if err := c.call(); err != nil {
			failed = err
		}
	}}
	processor := machine.ProcessorTime()
	timings, err := quietly(func() (viz.Timings, error) { return viz.Bench(c.Name, each, timed) })
	if err = errors.Join(failed, err); err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	f := timings.Functions[0]
	for key, value := range map[string]time.Duration{callQ5: f.Q5, callQ25: f.Q25, CallSeconds: f.Median, callQ75: f.Q75, callQ95: f.Q95} {
		c.add(key, value.Seconds())
	}
	if used := machine.ProcessorTime() - processor; used > 0 {
		c.add(CallProcessorSeconds, used.Seconds()/float64(calls))
	}
	return nil
}

// quietly does what writes to the standard output, which the caller's own output goes to, without that: go-benchmarks prints
// whatever it measures.
func quietly[T any](do func() (T, error)) (T, error) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		var none T
		return none, err
	}
	defer null.Close()
	stdout := os.Stdout
	os.Stdout = null
	defer func() { os.Stdout = stdout }()
	return do()
}
