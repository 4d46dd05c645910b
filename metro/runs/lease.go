// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
)

var (
	// ErrHeld is wrapped by the error of [Run.Acquire] when a live process has the run.
	ErrHeld = errors.New("the run is held")
	// ErrLost is wrapped by the errors of a lease, and of all that writes under it, once another process has taken the
	// run over or its directory has gone. The holder must stop; its last checkpoint is the other's to go on from.
	ErrLost = errors.New("the run's lease is lost")
)

// Lease is the right to write to a run. Each lease of a run has its own attempt number, one higher than the one
// before; the highest is the holder's.
//
// An attempt is a directory of that number with the holder's record in it, made aside and renamed into place. Renaming
// onto an existing directory fails on every system, so that of many processes exactly one gets a number, and nothing
// is ever locked that a killed process would have to unlock. What makes a lease end is the next number.
type Lease struct {
	run   *Run
	quit  chan struct{} // closed by stop
	ended chan struct{} // closed when the heart has stopped

	mu       sync.Mutex
	record   record
	stopped  bool
	released bool
}

// Acquire takes the run, or says who holds it and since when (an error that wraps [ErrHeld], and the user's).
// A lease whose process is dead is taken over at once; one whose process cannot be seen from here, when its last sign
// of life is older than the TTL that it was taken with. While the lease is held a goroutine gives signs of life.
func (r *Run) Acquire() (*Lease, error) {
	const tries = 100 // each one lost means that another process has won
	for range tries {
		last, err := r.lastRecord()
		if err != nil {
			return nil, fmt.Errorf("acquire run %q: %w", r.ID, err)
		}
		if r.store.live(last) {
			return nil, r.heldError(last)
		}
		lease, err := r.claim(last)
		if err != nil {
			return nil, fmt.Errorf("acquire run %q, attempt %d: %w", r.ID, last.Attempt+1, err)
		}
		if lease != nil {
			return lease, nil
		}
	}
	return nil, fmt.Errorf("acquire run %q: other processes were quicker %d times", r.ID, tries)
}

func (r *Run) heldError(holder record) error {
	return usererr.New("%w: run %q, attempt %d, by process %d on %s since %s, last sign of life %s; wait for it or stop that process",
		ErrHeld, r.ID, holder.Attempt, holder.PID, holder.Host, holder.Since.Format(time.DateTime), holder.Heartbeat.Format(time.DateTime))
}

// live reports whether the holder of a record may still be at work.
func (s Store) live(r record) bool {
	if r.Released {
		return false
	}
	if s.self().sees(r.process) {
		switch r.process.state() {
		case dead:
			return false
		case alive:
			if !s.TakeStopped {
				return true // stopped or slow, perhaps, but it will go on
			}
		}
	}
	ttl := s.TTL
	if r.TTL > 0 {
		ttl = time.Duration(r.TTL * float64(time.Second))
	}
	// A sign of life from the far future comes from a wrong clock and must not hold the run until then.
	return s.Now().Sub(r.Heartbeat).Abs() < ttl
}

// mayWake reports whether the holder of a record, who has lost it, may still go on: it is not known to be dead.
func (s Store) mayWake(r record) bool {
	return !r.Released && !(s.self().sees(r.process) && r.process.state() == dead)
}

// claim makes the next attempt, or returns nil if another process was quicker.
func (r *Run) claim(last record) (*Lease, error) {
	d, now := r.store.disk, r.store.Now()
	next := record{Attempt: last.Attempt + 1, process: r.store.self(), Since: now, Heartbeat: now, TTL: r.store.TTL.Seconds(), Step: last.Step, Total: last.Total}
	text, err := indented(next)
	if err != nil {
		return nil, err
	}
	target := r.attemptDir(next.Attempt)
	temp := atomicfile.TempPath(target)
	err = d.MkdirAll(r.Path(attemptsDir))
	if err == nil {
		err = d.Mkdir(temp)
	}
	if err == nil {
		err = d.CreateFile(filepath.Join(temp, leaseFile), text)
	}
	if err == nil {
		err = d.SyncDir(temp)
	}
	if err == nil {
		err = d.Rename(temp, target)
	}
	if err != nil {
		_ = d.RemoveAll(temp)
		if taken, statErr := d.Exists(target); taken && statErr == nil {
			return nil, nil
		}
		return nil, err
	}
	// The number may have been another's already that is over and reaped: then a higher one is held.
	if highest, err := r.lastAttempt(); err != nil || highest > next.Attempt {
		return nil, errors.Join(err, d.RemoveAll(target))
	}
	err = errors.Join(d.SyncDir(r.Path(attemptsDir)), r.tidy(last.Attempt))
	lease := &Lease{run: r, record: next, quit: make(chan struct{}), ended: make(chan struct{})}
	go lease.beat()
	if err == nil && r.store.mayWake(last) {
		err = lease.renewLog()
	}
	if err != nil {
		return nil, errors.Join(err, lease.Release())
	}
	return lease, nil
}

// beat gives signs of life until the lease ends. That one fails, on a full disk say, does not matter by itself: if all
// fail for the TTL, another process may take over, and Check says so.
func (l *Lease) beat() {
	defer close(l.ended)
	ticker := time.NewTicker(l.run.store.TTL / 4)
	defer ticker.Stop()
	for {
		select {
		case <-l.quit:
			return
		case <-ticker.C:
			if errors.Is(l.update(func(*record) {}), ErrLost) {
				return
			}
		}
	}
}

// Attempt is the number of this lease among all of the run: 1 for the first.
func (l *Lease) Attempt() int { return l.record.Attempt }

// Check returns an error that wraps [ErrLost] if the lease is not held any more. Whoever writes to the run calls it
// before each commit. It costs a look into a small folder and one for a file name.
//
// A process may stop between the check and the commit, and wake up when the run is another's. Then what it commits is not
// there any more: a file or a checkpoint has been made aside by the time of the check, and the other removes what lies
// aside before it begins; and the log that the process has open has got another in its place, a copy. What it can still do
// is to take a checkpoint away that was not among the newest, or to set one aside that was damaged.
func (l *Lease) Check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.check()
}

func (l *Lease) check() error {
	d, attempt := l.run.store.disk, l.record.Attempt
	if l.released {
		return fmt.Errorf("%w: run %q, attempt %d, was released", ErrLost, l.run.ID, attempt)
	}
	last, err := l.run.lastAttempt()
	if err != nil {
		return fmt.Errorf("check lease of run %q: %w", l.run.ID, err)
	}
	if last > attempt {
		holder, _ := l.run.readRecord(last)
		return fmt.Errorf("%w: run %q, attempt %d, was taken over by process %d on %s at %s",
			ErrLost, l.run.ID, attempt, holder.PID, holder.Host, holder.Since.Format(time.DateTime))
	}
	mine, err := d.Exists(filepath.Join(l.run.attemptDir(attempt), leaseFile))
	if err != nil {
		return fmt.Errorf("check lease of run %q: %w", l.run.ID, err)
	}
	if !mine {
		return fmt.Errorf("%w: run %q, attempt %d: its directory %s has gone", ErrLost, l.run.ID, attempt, l.run.Dir)
	}
	return nil
}

// Progress records how far the run is, for [Store.List], and is a sign of life. It fails like Check.
func (l *Lease) Progress(step, total int) error {
	return l.update(func(r *record) { r.Step, r.Total = step, total })
}

func (l *Lease) update(change func(*record)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.write(change)
}

// write checks the lease, changes its record and puts it in place.
func (l *Lease) write(change func(*record)) error {
	if err := l.check(); err != nil {
		return err
	}
	change(&l.record)
	l.record.Heartbeat = l.run.store.Now()
	err := writeJSON(l.run.store.disk, filepath.Join(l.run.attemptDir(l.record.Attempt), leaseFile), l.record)
	return orLost(err, l.check)
}

// orLost says of a write that has failed that the lease is lost, if that is why: what the write had aside is gone then.
func orLost(err error, check func() error) error {
	if err == nil || errors.Is(err, ErrLost) {
		return err
	}
	if lost := check(); errors.Is(lost, ErrLost) {
		return errors.Join(lost, err)
	}
	return err
}

// stop ends the signs of life.
func (l *Lease) stop() {
	l.mu.Lock()
	first := !l.stopped
	l.stopped = true
	l.mu.Unlock()
	if first {
		close(l.quit)
	}
	<-l.ended
}

// Release gives the run back, so that the next process need not wait. It may be called again, and is an error that
// wraps [ErrLost] if the lease had been lost.
func (l *Lease) Release() error {
	l.stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.released {
		return nil
	}
	err := l.write(func(r *record) { r.Released = true })
	l.released = err == nil || errors.Is(err, ErrLost)
	return err
}

// Remove deletes the run, and the lease with it.
func (l *Lease) Remove() error {
	if err := l.Check(); err != nil {
		return err
	}
	l.stop()
	d := l.run.store.disk
	// Under its new name it is no longer a run, so that a removal cut short leaves no half of one.
	gone := atomicfile.TempPath(l.run.Dir)
	if err := d.Rename(l.run.Dir, gone); err != nil {
		return errors.Join(err, l.Release())
	}
	l.mu.Lock()
	l.released = true
	l.mu.Unlock()
	return d.RemoveAll(gone)
}

// WriteJSON is [WriteJSON] for one of the run's files, unless the lease is lost.
func (l *Lease) WriteJSON(name string, v any) error { return l.commit(name, indented, v) }

// WriteSealed is [Lease.WriteJSON] for an object, with a checksum of its members as the last of them; see [ReadSealed].
func (l *Lease) WriteSealed(name string, v any) error { return l.commit(name, sealed, v) }

// commit writes one of the run's files. The lease is checked when the new file lies aside: see [Lease.Check].
func (l *Lease) commit(name string, encode func(any) ([]byte, error), v any) error {
	path := l.run.Path(name)
	text, err := encode(v)
	if err == nil {
		err = l.place(path, bytes.NewReader(text))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func (l *Lease) place(path string, content io.Reader) error {
	err := l.run.store.disk.WriteFunc(path, func(w io.Writer) error {
		if _, err := io.Copy(w, content); err != nil {
			return err
		}
		return l.Check()
	})
	return orLost(err, l.Check)
}

// renewLog puts a copy of the log in its place. A holder before that has the old one open, and wakes up, writes to a file
// without a name.
func (l *Lease) renewLog() error {
	path := l.run.Path(MetricsFile)
	old, err := l.run.store.disk.OpenFile(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = errors.Join(l.place(path, old), old.Close())
	}
	if err != nil {
		return fmt.Errorf("renew %s: %w", path, err)
	}
	return nil
}

// WriteAttemptJSON is [Lease.WriteJSON] for a file of this attempt alone, beside the lease's own record.
func (l *Lease) WriteAttemptJSON(name string, v any) error {
	if err := l.Check(); err != nil {
		return err
	}
	return writeJSON(l.run.store.disk, filepath.Join(l.run.attemptDir(l.record.Attempt), name), v)
}

// Metrics opens the run's log for writing under this lease.
func (l *Lease) Metrics() (*Metrics, error) {
	return openMetrics(l.run.store.disk, l.run.Path(MetricsFile), l.Check)
}

// Checkpoints returns the run's checkpoints, to be saved under this lease, of which the newest keep stay.
func (l *Lease) Checkpoints(keep int) Checkpoints {
	return Checkpoints{Dir: l.run.Path(CheckpointsDir), Keep: keep, Fence: l.Check, disk: l.run.store.disk}
}
