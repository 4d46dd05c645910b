// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"metrolab/internal/atomicfile"
)

// Metrics is a run's log, open for writing: a text file of one JSON object a line, in the order of the steps. A line is
// handed to the system whole, so that a killed process leaves at most one torn line, the last. One process at a time
// may write; many may read.
//
// To resume exactly: [Metrics.Sync] before a checkpoint is saved, and [Metrics.TruncateAfter] that checkpoint's step
// when it is loaded. The log then holds each step once, as if nothing had happened.
type Metrics struct {
	path  string
	disk  atomicfile.Disk
	file  atomicfile.File
	fence func() error
	size  int64 // up to the end of the last whole line
	last  int   // step of the last good line, -1 if there is none
	err   error // why nothing can be written any more
}

// OpenMetrics opens a log, or makes it, and cuts off a torn last line. The fence, unless nil, is asked before each
// change, and its error refuses it. [Lease.Metrics] opens a run's log under its lease.
func OpenMetrics(path string, fence func() error) (*Metrics, error) {
	return openMetrics(atomicfile.OS, path, fence)
}

func openMetrics(d atomicfile.Disk, path string, fence func() error) (*Metrics, error) {
	if fence == nil {
		fence = func() error { return nil }
	}
	if err := fence(); err != nil {
		return nil, err
	}
	file, err := d.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return nil, fmt.Errorf("open metrics: %w", err)
	}
	m := &Metrics{path: path, disk: d, file: file, fence: fence, last: -1}
	torn := false
	err = errors.Join(d.SyncDir(filepath.Dir(path)), m.scan(func(l line) bool {
		if torn = l.torn; !torn {
			m.size = l.end
		}
		if l.err == nil {
			m.last = l.row.Step
		}
		return true
	}))
	if err == nil && torn {
		err = file.Truncate(m.size)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open metrics %s: %w", path, err), file.Close())
	}
	return m, nil
}

func (m *Metrics) scan(each func(line) bool) error {
	file, err := m.disk.OpenFile(m.path, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer file.Close()
	return scanLines(file, each)
}

// Record implements [Sink]: it writes one line. A step below the last one is an error, and so is a value named "step".
// If the line cannot be written whole, on a full disk say, what was written of it is taken back.
func (m *Metrics) Record(step int, values Values) error {
	if step < m.last || step < 0 {
		return fmt.Errorf("metrics %s: step %d comes after step %d", m.path, step, m.last)
	}
	if _, taken := values[stepField]; taken {
		return fmt.Errorf("metrics %s: no value can be named %q", m.path, stepField)
	}
	text := rowText(step, values)
	if len(text) > maxLine {
		return fmt.Errorf("metrics %s: the line of step %d has %d bytes; lines of up to %d are read back", m.path, step, len(text), maxLine)
	}
	if err := m.writable(); err != nil {
		return err
	}
	n, err := m.file.Write(text)
	if err == nil && n < len(text) {
		err = io.ErrShortWrite
	}
	if err != nil {
		err = fmt.Errorf("metrics %s, step %d, %d bytes: %w", m.path, step, len(text), err)
		if undo := m.file.Truncate(m.size); undo != nil {
			m.err = errors.Join(err, undo)
		}
		return err
	}
	m.size += int64(len(text))
	m.last = step
	return nil
}

// TruncateAfter cuts off all lines from the first one whose step is greater; -1 empties the log. The file is shortened
// in place: the lines that stay are not written again, so there is no moment at which they could be lost, and it works
// on a full disk. A damaged line among those that stay is an error, and nothing is cut; damage further on goes with
// the cut.
func (m *Metrics) TruncateAfter(step int) error {
	if err := m.writable(); err != nil {
		return err
	}
	keep, last := int64(0), -1
	var damaged, inside *line
	err := m.scan(func(l line) bool {
		switch {
		case l.err != nil:
			if damaged == nil {
				damaged = &l
			}
			return true
		case l.row.Step > step:
			return false
		case damaged != nil:
			inside = damaged
			return false
		}
		keep, last = l.end, l.row.Step
		return true
	})
	if err == nil && inside != nil {
		err = fmt.Errorf("line %d is damaged: %w; delete it by hand to go on without it", inside.number, inside.err)
	}
	if err == nil {
		err = m.file.Truncate(keep)
	}
	if err != nil {
		return fmt.Errorf("cut metrics %s after step %d: %w", m.path, step, err)
	}
	m.size, m.last = keep, last
	return nil
}

func (m *Metrics) writable() error {
	if m.err != nil {
		return fmt.Errorf("metrics %s ends in a torn line: %w", m.path, m.err)
	}
	return m.fence()
}

// Sync returns when all lines are on the disk.
func (m *Metrics) Sync() error {
	if err := m.file.Sync(); err != nil {
		return fmt.Errorf("sync metrics %s: %w", m.path, err)
	}
	return nil
}

// Close closes the log; what was appended is with the system already.
func (m *Metrics) Close() error { return m.file.Close() }
