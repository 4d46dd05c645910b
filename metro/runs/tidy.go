// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"errors"
	"io/fs"
	"slices"

	"metrolab/internal/atomicfile"
)

// tidy removes what interrupted work has left aside. Nobody needs it any more: the attempt before has ended, and no one
// else can get the number that this one has.
func (r *Run) tidy(lastAttempt int) (err error) {
	for _, dir := range r.written(lastAttempt) {
		err = errors.Join(err, r.store.disk.RemoveStrays(dir))
	}
	return errors.Join(err, r.reapAttempts(lastAttempt))
}

// Tidy removes from a finished run what has no place in it: what its last holder had aside when it was killed behind the
// result, and lines behind the end of the log, from a process that had lost the run, stopped for longer than the TTL say, and
// went on. A run that somebody holds, and one that is not finished, is looked after by its holder.
func (r *Run) Tidy() error {
	end, err := r.endOfLog()
	if err != nil || end == (Mark{}) {
		return err
	}
	info, err := r.store.disk.Lstat(r.Path(MetricsFile))
	if err != nil {
		return err
	}
	last, err := r.lastAttempt()
	if err != nil || info.Size() <= end.Bytes && !slices.ContainsFunc(r.written(last), r.hasStrays) {
		return err
	}
	lease, err := r.Acquire() // which removes what lies aside
	if errors.Is(err, ErrHeld) {
		return nil
	}
	if err != nil {
		return err
	}
	log, err := lease.Metrics()
	if err == nil {
		err = errors.Join(log.cutTo(end), log.Close())
	}
	return errors.Join(err, lease.Release())
}

func (r *Run) hasStrays(dir string) bool {
	entries, _ := r.store.disk.ReadDir(dir) // what cannot be looked into cannot be tidied either
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return atomicfile.IsTemp(e.Name()) })
}

// written are the folders of a run that its holder writes to, and may leave something aside in.
func (r *Run) written(attempt int) []string {
	return []string{r.Dir, r.Path(CheckpointsDir), r.Path(attemptsDir), r.attemptDir(attempt)}
}

// mostAttempts is how many of a run's attempts are kept that differ in what may change numbers.
const mostAttempts = 16

// reapAttempts removes the attempts before the last that tell nothing new: those that ended before they began, and those on
// a machine that an earlier one was on already, as far as that may change numbers. So a run that is killed a thousand times
// keeps a handful, and still says all that it was made by.
func (r *Run) reapAttempts(lastAttempt int) error {
	numbers, err := r.attempts()
	if err != nil {
		return err
	}
	var kept []int
	seen := map[string]bool{}
	for _, n := range numbers {
		if n >= lastAttempt {
			continue
		}
		if p, err := r.attempt(n); err == nil {
			if made := string(canonicalText(p.Numerics())); !seen[made] {
				seen[made] = true
				kept = append(kept, n)
			}
		}
	}
	if over := len(kept) - mostAttempts; over > 0 {
		kept = slices.Delete(kept, 1, 1+over) // the first one stays
	}
	for _, n := range numbers {
		if n < lastAttempt && !slices.Contains(kept, n) {
			err = errors.Join(err, r.store.disk.RemoveAll(r.attemptDir(n)))
		}
	}
	return err
}
