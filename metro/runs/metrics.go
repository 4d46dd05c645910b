// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"metrolab/internal/atomicfile"
)

// Metrics is a run's log, open for writing: a text file of one JSON object a line, in the order of the steps. A line is
// handed to the system whole, so that a killed process leaves at most one torn line, the last. One process at a time
// may write; many may read.
//
// To resume exactly: [Metrics.Sync] before a checkpoint is saved, whose state keeps the [Metrics.Mark]; and when it is
// loaded, [Metrics.Holds] that mark, and [Metrics.TruncateAfter] the checkpoint's step. The log then holds each step once, as
// if nothing had happened.
type Metrics struct {
	path  string
	disk  atomicfile.Disk
	file  atomicfile.File
	fence func() error
	size  int64     // up to the end of the last whole line
	sum   hash.Hash // of these bytes
	last  int       // step of the last good line, -1 if there is none
	err   error     // why nothing can be written any more
}

// Mark says what a log held at a moment: so many bytes, which have this SHA-256.
type Mark struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
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
	if err == nil {
		m.sum, err = sumOfLog(d, path, m.size)
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
	m.sum.Write(text) // never fails
	m.last = step
	return nil
}

// Inherit makes an empty log begin with what the log at a path held at a mark, to the bit: the steps that a run shares with the
// one that it goes on with. The mark is the log's own then.
func (m *Metrics) Inherit(path string, mark Mark) error {
	err := m.writable()
	if err == nil && m.size > 0 {
		err = fmt.Errorf("it holds %d bytes already", m.size)
	}
	if err == nil {
		err = holds(m.disk, path, mark)
	}
	if err != nil {
		return fmt.Errorf("begin metrics %s with %s: %w", m.path, path, err)
	}
	if err := m.copyFrom(path, mark.Bytes); err != nil {
		err = fmt.Errorf("begin metrics %s with %d bytes of %s: %w", m.path, mark.Bytes, path, err)
		if undo := m.file.Truncate(0); undo != nil {
			m.err = errors.Join(err, undo)
		}
		return err
	}
	return m.scan(func(l line) bool {
		if l.err == nil {
			m.last = l.row.Step
		}
		return true
	})
}

func (m *Metrics) copyFrom(path string, size int64) error {
	file, err := m.disk.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(m.file, sum), file, size); err != nil {
		return err
	}
	m.size, m.sum = size, sum
	return nil
}

// Mark returns what the log holds now.
func (m *Metrics) Mark() Mark { return Mark{m.size, hex.EncodeToString(m.sum.Sum(nil))} }

// Holds returns an error unless the log still begins with what it held at the mark, to the bit.
func (m *Metrics) Holds(mark Mark) error {
	if err := holds(m.disk, m.path, mark); err != nil {
		return fmt.Errorf("metrics %s: %w", m.path, err)
	}
	return nil
}

// Holds returns an error unless the run's log still begins with what it held at a mark, to the bit.
func (r *Run) Holds(mark Mark) error {
	path := r.Path(MetricsFile)
	if err := holds(r.store.disk, path, mark); err != nil {
		return fmt.Errorf("metrics %s: %w", path, err)
	}
	return nil
}

// MarkAfter is the mark of what the run's log holds up to the last record of a step or before it.
func (r *Run) MarkAfter(step int) (Mark, error) {
	path := r.Path(MetricsFile)
	file, err := r.store.disk.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return Mark{}, fmt.Errorf("read metrics: %w", err)
	}
	defer file.Close()
	end := int64(0)
	if err := scanLines(file, func(l line) bool {
		if l.err != nil || l.row.Step > step {
			return false
		}
		end = l.end
		return true
	}); err != nil {
		return Mark{}, fmt.Errorf("read metrics %s: %w", path, err)
	}
	sum, err := sumOfLog(r.store.disk, path, end)
	if err != nil {
		return Mark{}, fmt.Errorf("read metrics %s: %w", path, err)
	}
	return Mark{end, hex.EncodeToString(sum.Sum(nil))}, nil
}

func holds(d atomicfile.Disk, path string, mark Mark) error {
	sum, err := sumOfLog(d, path, mark.Bytes)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("it is shorter than the %d bytes that were recorded", mark.Bytes)
	}
	if err == nil && hex.EncodeToString(sum.Sum(nil)) != mark.SHA256 {
		err = fmt.Errorf("its first %d bytes are not those that were recorded", mark.Bytes)
	}
	return err
}

// sumOfLog reads the first bytes of a log; one that has fewer is an io.EOF.
func sumOfLog(d atomicfile.Disk, path string, size int64) (hash.Hash, error) {
	file, err := d.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	sum := sha256.New()
	_, err = io.CopyN(sum, file, size)
	return sum, err
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
	sum := m.sum
	if err == nil {
		sum, err = sumOfLog(m.disk, m.path, keep)
	}
	if err == nil {
		err = m.file.Truncate(keep)
	}
	if err != nil {
		return fmt.Errorf("cut metrics %s after step %d: %w", m.path, step, err)
	}
	m.size, m.sum, m.last = keep, sum, last
	return nil
}

// cutTo cuts off what stands behind a mark that the log holds.
func (m *Metrics) cutTo(mark Mark) error {
	err := m.writable()
	if err == nil {
		err = m.Holds(mark)
	}
	if err == nil {
		err = m.file.Truncate(mark.Bytes)
	}
	return err
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
