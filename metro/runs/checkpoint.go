// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"metrolab/internal/atomicfile"
)

// Checkpoints are the states of a run that it can go on from, each a directory step-00000500 of files and a manifest
// with their sizes and SHA-256 sums. One process at a time may save; many may read.
type Checkpoints struct {
	Dir string
	// Keep is how many of the newest stay; all do if it is 0.
	Keep int
	// Spare, unless nil, says of a step that its checkpoint stays, and is not counted among the newest.
	Spare func(step int) bool
	// Fence, unless nil, is asked before each change that others can see, and its error refuses it.
	// [Lease.Checkpoints] sets it to the lease's Check.
	Fence func() error

	disk atomicfile.Disk
}

// Checkpoint is one whole state: its files lie in Dir.
type Checkpoint struct {
	Step int
	Dir  string
}

func (c Checkpoints) withDefaults() Checkpoints {
	if c.Fence == nil {
		c.Fence = func() error { return nil }
	}
	if c.disk.FS == nil {
		c.disk = atomicfile.OS
	}
	return c
}

// Save makes the checkpoint of a step. It calls write with the path of an empty directory to put files into, syncs
// them, adds the manifest, and renames the directory into place, so that whatever happens, a crash or a power failure
// included, the checkpoint is there whole or not at all and the ones before it stay. Then the oldest are removed.
//
// If that step has a good checkpoint already it stays, and write is not called; a damaged one is moved aside. Save
// reports an error with the path if anything fails; after one from removing old checkpoints, the new one is there.
func (c Checkpoints) Save(step int, write func(dir string) error) error {
	c = c.withDefaults()
	if step < 0 {
		return fmt.Errorf("save checkpoint in %s: step %d is below 0", c.Dir, step)
	}
	target := c.path(step)
	if err := c.save(step, target, write); err != nil {
		return fmt.Errorf("save checkpoint %s: %w", target, orLost(err, c.Fence))
	}
	if err := c.reap(); err != nil {
		return fmt.Errorf("remove old checkpoints: %w", orLost(err, c.Fence))
	}
	return nil
}

func (c Checkpoints) path(step int) string {
	return filepath.Join(c.Dir, fmt.Sprintf("step-%08d", step))
}

func (c Checkpoints) save(step int, target string, write func(dir string) error) error {
	err := c.Fence()
	if err == nil {
		err = c.disk.MkdirAll(c.Dir)
	}
	if err == nil {
		err = c.disk.RemoveStrays(c.Dir)
	}
	if err != nil {
		return err
	}
	if good, err := c.makeWay(step, target); good || err != nil {
		return err
	}
	temp := atomicfile.TempPath(target)
	err = c.disk.Mkdir(temp)
	if err == nil {
		err = write(temp)
	}
	if err == nil {
		err = seal(c.disk, temp, step)
	}
	if err == nil {
		err = c.Fence()
	}
	if err == nil {
		err = c.disk.Rename(temp, target)
	}
	if err != nil {
		_ = c.disk.RemoveAll(temp)
		return err
	}
	return c.disk.SyncDir(c.Dir)
}

// makeWay reports whether a good checkpoint of the step is there already. A damaged one gets another name: it is the
// only trace of what went wrong.
func (c Checkpoints) makeWay(step int, target string) (good bool, err error) {
	there, err := c.disk.Exists(target)
	if err != nil || !there {
		return false, err
	}
	if verify(c.disk, target, step) == nil {
		return true, c.disk.SyncDir(c.Dir)
	}
	return false, c.setAside(target)
}

// setAside gives a checkpoint that cannot be used another name.
func (c Checkpoints) setAside(target string) error {
	for n := 1; ; n++ {
		aside := filepath.Join(c.Dir, fmt.Sprintf("damaged-%s-%d", filepath.Base(target), n))
		if there, err := c.disk.Exists(aside); err != nil {
			return err
		} else if !there {
			return c.disk.Rename(target, aside)
		}
	}
}

// reap removes all but the newest. A checkpoint whose manifest or sizes are wrong is neither counted nor removed; the
// sums are not computed again for this, as that would read every kept checkpoint at every save.
func (c Checkpoints) reap() error {
	if c.Keep <= 0 {
		return nil
	}
	all, err := c.list()
	if err != nil {
		return err
	}
	kept := 0
	for _, checkpoint := range all {
		if c.Spare != nil && c.Spare(checkpoint.Step) {
			continue
		}
		if _, err := checkSizes(c.disk, checkpoint.Dir, checkpoint.Step); err != nil {
			continue
		}
		if kept++; kept <= c.Keep {
			continue
		}
		if err := c.Fence(); err != nil {
			return err
		}
		// Without its name first: half a checkpoint must not look like a damaged one.
		gone := atomicfile.TempPath(checkpoint.Dir)
		if err := c.disk.Rename(checkpoint.Dir, gone); err != nil {
			return err
		}
		// The name must be gone on the disk too before the first file goes.
		if err := errors.Join(c.disk.SyncDir(c.Dir), c.disk.RemoveAll(gone)); err != nil {
			return err
		}
	}
	return nil
}

// Latest returns the newest checkpoint whose files are all there and as they were saved; false if none was ever saved.
// Damaged ones on the way are reported, unless report is nil, and left alone. It is an error if all are damaged.
func (c Checkpoints) Latest(report func(damaged string, err error)) (Checkpoint, bool, error) {
	found, _, err := c.newest(func(Checkpoint) error { return nil }, report)
	return found, found.Dir != "", err
}

// At returns the checkpoint of a step; false if there is none. One whose files are not as they were saved is an error.
func (c Checkpoints) At(step int) (Checkpoint, bool, error) {
	c = c.withDefaults()
	found := Checkpoint{Step: step, Dir: c.path(step)}
	if there, err := c.disk.Exists(found.Dir); err != nil || !there {
		return Checkpoint{}, false, err
	}
	if err := verify(c.disk, found.Dir, step); err != nil {
		return Checkpoint{}, false, fmt.Errorf("checkpoint %s is damaged: %w", found.Dir, err)
	}
	return found, true, nil
}

// Steps lists the steps of which there are checkpoints, damaged ones too, in their order.
func (c Checkpoints) Steps() (steps []int, err error) {
	all, err := c.withDefaults().list()
	for _, checkpoint := range slices.Backward(all) {
		steps = append(steps, checkpoint.Step)
	}
	return steps, err
}

// Sum is the SHA-256 sum with which one of the checkpoint's files was saved.
func (c Checkpoint) Sum(name string) (string, error) {
	m, err := checkSizes(atomicfile.OS, c.Dir, c.Step)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(m.Files, func(f manifestItem) bool { return f.Name == name })
	if i < 0 {
		return "", fmt.Errorf("checkpoint %s has no file %s", c.Dir, name)
	}
	return m.Files[i].SHA256, nil
}

// Resume is [Checkpoints.Latest] for who goes on saving: a checkpoint that fit finds something wrong with is passed over too.
// Those that were passed over are moved aside, so that they are neither counted among the newest nor taken for those that
// come; but none is if all were.
func (c Checkpoints) Resume(fit func(Checkpoint) error, report func(damaged string, err error)) (Checkpoint, bool, error) {
	c = c.withDefaults()
	found, passed, err := c.newest(fit, report)
	if err != nil || len(passed) == 0 {
		return found, found.Dir != "", err
	}
	for _, checkpoint := range passed {
		if err = c.Fence(); err == nil {
			err = c.setAside(checkpoint.Dir)
		}
		if err != nil {
			return Checkpoint{}, false, fmt.Errorf("move checkpoint %s aside: %w", checkpoint.Dir, err)
		}
	}
	return found, true, c.disk.SyncDir(c.Dir)
}

// newest returns the newest checkpoint that is whole and fits, and those that were passed over before it.
func (c Checkpoints) newest(fit func(Checkpoint) error, report func(damaged string, err error)) (found Checkpoint, passed []Checkpoint, err error) {
	c = c.withDefaults()
	all, err := c.list()
	if err != nil {
		return Checkpoint{}, nil, fmt.Errorf("look for checkpoints: %w", err)
	}
	var first error
	for _, checkpoint := range all {
		err := verify(c.disk, checkpoint.Dir, checkpoint.Step)
		if err == nil {
			err = fit(checkpoint)
		}
		if err == nil {
			return checkpoint, passed, nil
		}
		if report != nil {
			report(checkpoint.Dir, err)
		}
		if first == nil {
			first = err
		}
		passed = append(passed, checkpoint)
	}
	if first != nil {
		return Checkpoint{}, passed, fmt.Errorf("all %d checkpoints in %s are damaged, the newest: %w; move them away to begin again", len(all), c.Dir, first)
	}
	return Checkpoint{}, nil, nil
}

var stepName = regexp.MustCompile(`^step-([0-9]{8,18})$`)

// list returns what bears a checkpoint's name, the newest first.
func (c Checkpoints) list() ([]Checkpoint, error) {
	entries, err := c.disk.ReadDir(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []Checkpoint
	for _, entry := range entries {
		match := stepName.FindStringSubmatch(entry.Name())
		if match == nil || !entry.IsDir() {
			continue
		}
		step, err := strconv.Atoi(match[1])
		if dir := filepath.Join(c.Dir, entry.Name()); err == nil && dir == c.path(step) {
			found = append(found, Checkpoint{Step: step, Dir: dir})
		}
	}
	slices.SortFunc(found, func(a, b Checkpoint) int { return b.Step - a.Step })
	return found, nil
}
