// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"time"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// Options say how to measure. Runner must be there; all else has a usable zero value.
type Options struct {
	Runner   *training.Runner                    // whose engine computes
	OnCorpus bool                                // train on the runner's corpus; else on invented tokens, which cost the same
	Repeat   int                                 // repetitions of each case; 0 is [DefaultRepeat]
	Each     time.Duration                       // time for each repetition, which takes a step or a call at least; 0 is a second
	Progress func(done, total int, doing string) // hears how far the suite is, in parts of the time that it may take; may be nil

	// WatchMemory, if it is there, has watch called with what each program that is compiled from now on takes of a device's memory,
	// in bytes; nil ends it.
	WatchMemory func(watch func(bytes int64))
}

// DefaultRepeat is the least number of repetitions whose range is an interval of 95 % for the median.
const DefaultRepeat = 6

func (o Options) repeat() int {
	if o.Repeat > 0 {
		return o.Repeat
	}
	return DefaultRepeat
}

func (o Options) each() time.Duration {
	if o.Each > 0 {
		return o.Each
	}
	return time.Second
}

func (o Options) check() error {
	if o.Repeat < 0 {
		return usererr.New("there cannot be %d repetitions; one is the least", o.Repeat)
	}
	return nil
}

// suite is one under way.
type suite struct {
	Options
	report Report
	plan   []float64 // seconds that each case may take
	begun  int       // cases
}

func newSuite(name string, o Options, plan []float64) *suite {
	s := &suite{Options: o, plan: plan}
	s.report = Report{Schema: reportSchema, Suite: name, Provenance: runs.CollectProvenance(time.Now(), o.Runner.Provenance)}
	s.report.noteLoad()
	return s
}

// reached says that a share of the case under way is done.
func (s *suite) reached(share float64, doing string) {
	if s.Progress == nil {
		return
	}
	var done, total float64
	for i, seconds := range s.plan {
		total += seconds
		switch {
		case i < s.begun:
			done += seconds
		case i == s.begun:
			done += seconds * share
		}
	}
	const perSecond = 1000
	s.Progress(int(done*perSecond), int(total*perSecond), doing)
}

// add takes a case into the report, also one that was not finished.
func (s *suite) add(c Case) {
	if len(c.Samples) > 0 {
		s.report.Cases = append(s.report.Cases, c)
	}
	s.report.noteLoad()
	s.begun++
}

// end is the report, and err as the caller is to see it.
func (s *suite) end(err error) (Report, error) {
	s.report.Interrupted = errors.Is(err, context.Canceled)
	s.report.Provenance.Finished = time.Now()
	return s.report, err
}

// Training is a config to be measured.
type Training struct {
	Name   string
	Config metro.Config
}
