// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"metrolab/internal/atomicfile"
)

// State says where a run stands.
type State string

// The states of a run.
const (
	Running     State = "running"     // a live process holds its lease
	Finished    State = "finished"    // its result is written
	Interrupted State = "interrupted" // neither: it can be resumed
	Damaged     State = "damaged"     // its config or result cannot be read; Summary.Problem says why
)

// Summary is one line about a run.
type Summary struct {
	ID       string
	Name     string // the ID without the hash
	State    State
	Problem  string // empty unless the state is Damaged
	Step     int    // as last told by [Lease.Progress]
	Total    int    // likewise; 0 if it was never told
	Modified time.Time
	Size     int64 // bytes of all its files
}

// List returns a summary of every run in the store, in the order of their IDs. Other directories are passed over. A
// store that does not exist yet is empty.
func (s Store) List() ([]Summary, error) {
	s = s.withDefaults()
	entries, err := s.disk.ReadDir(s.Root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	var found []Summary
	for _, entry := range entries {
		if !entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		run := &Run{ID: entry.Name(), Dir: filepath.Join(s.Root, entry.Name()), store: s}
		isRun, err := run.isRun()
		if err != nil {
			return nil, fmt.Errorf("list runs: %w", err)
		}
		if isRun {
			found = append(found, run.summary())
		}
	}
	return found, nil
}

// isRun recognises a run, even one that has lost its config.
func (r *Run) isRun() (bool, error) {
	for _, name := range []string{ConfigFile, attemptsDir} {
		if found, err := r.store.disk.Exists(r.Path(name)); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

func (r *Run) summary() Summary {
	sum := Summary{ID: r.ID}
	sum.Name, _, _ = SplitID(r.ID)
	// A run may be changing, or being removed, while it is measured: what cannot be seen does not count.
	sum.Size, sum.Modified = measure(r.store.disk, r.Dir)
	last, err := r.lastRecord()
	sum.Step, sum.Total = last.Step, last.Total
	var document json.RawMessage
	if err == nil {
		err = readJSON(r.store.disk, r.Path(ConfigFile), &document)
	}
	if err != nil {
		sum.State, sum.Problem = Damaged, err.Error()
		return sum
	}
	switch err := readSealed(r.store.disk, r.Path(ResultFile), &document); {
	case err == nil:
		sum.State = Finished
	case !errors.Is(err, fs.ErrNotExist):
		sum.State, sum.Problem = Damaged, err.Error()
	case r.store.live(last):
		sum.State = Running
	default:
		sum.State = Interrupted
	}
	return sum
}

// measure adds up the files below a directory and finds the newest.
func measure(d atomicfile.Disk, dir string) (size int64, newest time.Time) {
	entries, _ := d.ReadDir(dir)
	for _, entry := range entries {
		below, modified := int64(0), time.Time{}
		if entry.IsDir() {
			below, modified = measure(d, filepath.Join(dir, entry.Name()))
		} else if info, err := entry.Info(); err == nil {
			below, modified = info.Size(), info.ModTime()
		}
		size += below
		if modified.After(newest) {
			newest = modified
		}
	}
	return size, newest
}

// Diff returns the fields in which the configs of two runs differ, in the order of their paths.
func (s Store) Diff(a, b string) ([]Difference, error) {
	one, err := s.Open(a)
	if err != nil {
		return nil, err
	}
	other, err := s.Open(b)
	if err != nil {
		return nil, err
	}
	return one.Diff(other)
}

// keyHash is the member of a config.json that follows from the others.
const keyHash = "key_hash"

// Diff is [Store.Diff] of runs that may lie in different stores.
func (r *Run) Diff(other *Run) ([]Difference, error) {
	var configs [2]json.RawMessage
	for i, run := range []*Run{r, other} {
		if err := readJSON(run.store.disk, run.Path(ConfigFile), &configs[i]); err != nil {
			return nil, err
		}
	}
	found, err := differences(configs[0], configs[1])
	return slices.DeleteFunc(found, func(d Difference) bool { return d.Path == keyHash }), err
}
