// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// record is the lease.json of an attempt.
type record struct {
	Attempt int `json:"attempt"`
	process
	Since     time.Time `json:"since"`
	Heartbeat time.Time `json:"heartbeat"`
	TTL       float64   `json:"ttl_seconds,omitempty"` // for so long the sign of life counts; 0 is the reader's
	Released  bool      `json:"released,omitempty"`
	Step      int       `json:"step"`
	Total     int       `json:"total"`
}

func (r *Run) attemptDir(attempt int) string {
	return filepath.Join(r.Dir, attemptsDir, fmt.Sprintf("%06d", attempt))
}

// attempts lists the numbers of the attempts that are kept, in their order.
func (r *Run) attempts() (numbers []int, err error) {
	entries, err := r.store.disk.ReadDir(r.Path(attemptsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		if n, err := strconv.Atoi(entry.Name()); err == nil && n > 0 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// lastAttempt returns the highest number, 0 if there was no attempt.
func (r *Run) lastAttempt() (int, error) {
	numbers, err := r.attempts()
	if len(numbers) == 0 {
		return 0, err
	}
	return numbers[len(numbers)-1], err
}

// lastRecord returns the record of the highest attempt; its Attempt is 0 if there was none.
func (r *Run) lastRecord() (record, error) {
	last, err := r.lastAttempt()
	if err != nil {
		return record{}, err
	}
	if last == 0 {
		return record{Released: true}, nil
	}
	return r.readRecord(last)
}

// readRecord returns an attempt's record. A damaged one, which only a power failure or a strange hand leaves, belongs
// to nobody and ages like one of another machine.
func (r *Run) readRecord(attempt int) (record, error) {
	var found record
	err := readJSON(r.store.disk, filepath.Join(r.attemptDir(attempt), leaseFile), &found)
	if err == nil && found.Attempt == attempt {
		return found, nil
	}
	info, err := r.store.disk.Lstat(r.attemptDir(attempt))
	if err != nil {
		return record{}, err
	}
	return record{Attempt: attempt, process: process{Host: "unknown"}, Since: info.ModTime(), Heartbeat: info.ModTime()}, nil
}
