// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"metrolab/internal/atomicfile"
)

// state is what the toy training below has at a step: some bytes that no other step has.
func state(step int) []byte { return bytes.Repeat(fmt.Appendf(nil, "state %d;", step), 50) }

// saver writes a checkpoint of two files, one of them in a folder, as any caller may: without syncing.
func saver(d atomicfile.Disk, step int) func(dir string) error {
	return func(dir string) error {
		for _, name := range []string{"state.bin", "optimizer/moments.bin"} {
			path := filepath.Join(dir, filepath.FromSlash(name))
			if err := d.MkdirAll(filepath.Dir(path)); err != nil {
				return err
			}
			file, err := d.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY)
			if err != nil {
				return err
			}
			if _, err := file.Write(state(step)); err != nil {
				_ = file.Close()
				return err
			}
			if err := file.Close(); err != nil {
				return err
			}
		}
		return nil
	}
}

// loadState checks a checkpoint as a training that goes on from it would.
func loadState(d atomicfile.Disk, c Checkpoint) error {
	for _, name := range []string{"state.bin", "optimizer/moments.bin"} {
		got, err := readFile(d, filepath.Join(c.Dir, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		if !bytes.Equal(got, state(c.Step)) {
			return fmt.Errorf("%s of step %d is not what was saved", name, c.Step)
		}
	}
	return nil
}

type toyResult struct {
	Steps   int
	Outcome Values
	Log     Mark `json:"log"`
}

const (
	toySteps = 6
	toyEvery = 2
)

// train is the protocol of the package comment: find or resume the run, log each step, save at every few, and finish.
// It stands no damaged checkpoint: there is none but by a strange hand. The callback runs before each step.
func train(s Store, id string, steps int, each func(step int)) (err error) {
	s = s.withDefaults()
	run, err := s.Create(id, "toy")
	if err != nil {
		return err
	}
	lease, err := run.Acquire()
	if err != nil {
		return err
	}
	defer func() {
		if released := lease.Release(); err == nil {
			err = released
		}
	}()
	log, err := lease.Metrics()
	if err != nil {
		return err
	}
	defer log.Close()
	checkpoints := lease.Checkpoints(2)
	fit := func(c Checkpoint) error {
		var mark Mark
		err := readJSON(s.disk, filepath.Join(c.Dir, "mark.json"), &mark)
		return errors.Join(err, log.Holds(mark))
	}
	var damaged []string
	last, found, err := checkpoints.Resume(fit, func(dir string, err error) { damaged = append(damaged, dir+": "+err.Error()) })
	if err != nil {
		return err
	}
	if len(damaged) > 0 {
		return fmt.Errorf("damaged checkpoints: %s", strings.Join(damaged, ", "))
	}
	begin := -1
	if found {
		begin = last.Step
		if err := loadState(s.disk, last); err != nil {
			return err
		}
	}
	if err := log.TruncateAfter(begin); err != nil {
		return err
	}
	for step := max(begin, 0) + 1; step <= steps; step++ {
		each(step)
		if err := log.Record(step, Values{"loss": 1 / float64(step)}); err != nil {
			return err
		}
		if step%toyEvery != 0 {
			continue
		}
		if err := lease.Progress(step, steps); err != nil {
			return err
		}
		if err := log.Sync(); err != nil {
			return err
		}
		save := func(dir string) error {
			return errors.Join(saver(s.disk, step)(dir), writeJSON(s.disk, filepath.Join(dir, "mark.json"), log.Mark()))
		}
		if err := checkpoints.Save(step, save); err != nil {
			return err
		}
	}
	return lease.WriteSealed(ResultFile, toyResult{Steps: steps, Outcome: Values{"loss": 1 / float64(steps)}, Log: log.Mark()})
}

// toyMetrics is the log of a training that nothing happened to.
func toyMetrics(steps int) string {
	var out strings.Builder
	for step := 1; step <= steps; step++ {
		fmt.Fprintf(&out, "{\"step\":%d,\"loss\":%s}\n", step, canonicalText(1/float64(step)))
	}
	return out.String()
}

// finished says what a finished run lacks.
func finished(s Store, id string, steps int) error {
	s = s.withDefaults()
	run, err := s.Open(id)
	if err != nil {
		return err
	}
	log, err := readFile(s.disk, run.Path(MetricsFile))
	if err != nil {
		return err
	}
	if string(log) != toyMetrics(steps) {
		return fmt.Errorf("the log is\n%s", log)
	}
	var result toyResult
	if err := readSealed(s.disk, run.Path(ResultFile), &result); err != nil {
		return err
	}
	if rows, err := run.ReadMetrics(); err != nil || len(rows) != steps {
		return fmt.Errorf("%d rows are read: %w", len(rows), err)
	}
	last, found, err := Checkpoints{Dir: run.Path(CheckpointsDir), disk: s.disk}.Latest(nil)
	if err != nil || !found || last.Step != steps {
		return fmt.Errorf("the last checkpoint is of step %d, %v, %w", last.Step, found, err)
	}
	return loadState(s.disk, last)
}

// elsewhere is a process on a machine that nobody here can look at, so that only the clock decides about its lease.
func elsewhere(host string) func() process {
	return func() process { return process{Host: host, Space: "somewhere", PID: 1, Start: "1"} }
}

func clock(now time.Time) func() time.Time { return func() time.Time { return now } }

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
