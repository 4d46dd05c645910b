// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"maps"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/internal/atomicfile"
	"metrolab/internal/faultfs"
)

const toyID = "toy-0123456789"

// first is the process that meets the fault; second comes an hour later to a disk that works.
func first(d *faultfs.FS) Store {
	return Store{Root: "/runs", Now: clock(noon), disk: d.Disk(), self: elsewhere("first")}
}

func second(d *faultfs.FS) Store {
	return Store{Root: "/runs", Now: clock(noon.Add(time.Hour)), disk: d.Disk(), self: elsewhere("second")}
}

func nothing(int) {}

// A whole training, in which each operation of the disk fails in its turn, until it passes untouched: it ends with an
// error or rightly, and a second try ends as if nothing had happened.
func TestTrainingSurvivesEveryFault(t *testing.T) {
	for _, forever := range []bool{false, true} {
		for k := 1; ; k++ {
			d := faultfs.New()
			d.FailAt, d.Forever = k, forever
			err := train(first(d), toyID, toySteps, nothing)
			if d.Ops < k {
				require.NoError(t, err)
				t.Logf("%d operations", d.Ops)
				break
			}
			d.Heal()
			if err == nil {
				require.NoError(t, finished(second(d), toyID, toySteps), "after operation %d failed unnoticed", k)
			} else {
				require.ErrorIs(t, err, syscall.ENOSPC, "operation %d", k)
				require.ErrorContains(t, err, "/runs", "operation %d: the path is named", k)
			}
			require.NoError(t, train(second(d), toyID, toySteps, nothing), "after operation %d", k)
			require.NoError(t, finished(second(d), toyID, toySteps), "after operation %d", k)
			requireNoStrays(t, d.Disk(), "/runs/"+toyID+"/"+CheckpointsDir)
		}
	}
}

// The process dies in the middle of each operation in its turn; the disk keeps what the system had been told.
func TestTrainingSurvivesEveryCrash(t *testing.T) {
	for k := 1; ; k++ {
		d := faultfs.New()
		d.DieAt = k
		err := train(first(d), toyID, toySteps, nothing)
		if d.Ops < k {
			require.NoError(t, err)
			break
		}
		d.Heal()
		require.NoError(t, train(second(d), toyID, toySteps, nothing), "death at operation %d", k)
		require.NoError(t, finished(second(d), toyID, toySteps), "death at operation %d", k)
	}
}

// The power fails in the middle of each operation in its turn, and the disk keeps any of what it may.
func TestTrainingSurvivesEveryPowerFailure(t *testing.T) {
	for k := 1; ; k++ {
		d := faultfs.New()
		d.DieAt = k
		_ = train(first(d), toyID, toySteps, nothing)
		for seed := range uint64(4) {
			left := d.After(rand.New(rand.NewPCG(seed, uint64(k))))
			requireAllGood(t, Checkpoints{Dir: "/runs/" + toyID + "/" + CheckpointsDir, disk: left.Disk()})
			require.NoError(t, train(second(left), toyID, toySteps, nothing), "failure at operation %d, seed %d", k, seed)
			require.NoError(t, finished(second(left), toyID, toySteps), "failure at operation %d, seed %d", k, seed)
		}
		if d.Ops < k {
			break
		}
	}
}

// The process is stopped before each operation in its turn, for longer than its lease holds; another takes the run over and
// finishes it; and the first one wakes up in the middle of what it was about. It is told, and nothing that the other has
// written changes.
func TestStoppedAnywhereCommitsNothing(t *testing.T) {
	for k := 1; ; k++ {
		d := faultfs.New()
		var left map[string]string
		last := func() int {
			run := &Run{Dir: "/runs/" + toyID, store: second(d).withDefaults()}
			last, err := run.lastAttempt()
			require.NoError(t, err)
			return last
		}
		had := 0 // the number of its lease
		d.StopAt, d.Meanwhile = k, func() {
			if had = last(); finished(second(d), toyID, toySteps) != nil {
				require.NoError(t, train(second(d), toyID, toySteps, nothing), "stopped at operation %d", k)
			}
			require.NoError(t, finished(second(d), toyID, toySteps), "stopped at operation %d", k)
			left = files(t, d, "/runs/"+toyID)
		}
		err := train(first(d), toyID, toySteps, nothing)
		if left == nil {
			require.NoError(t, err)
			t.Logf("%d operations", k-1)
			return
		}
		require.NoError(t, finished(second(d), toyID, toySteps), "stopped at operation %d", k)
		if had == 1 && last() == 2 { // it had the run, and has not taken it again
			require.ErrorIs(t, err, ErrLost, "stopped at operation %d", k)
			after := files(t, d, "/runs/"+toyID)
			for path := range left {
				if after[path] != left[path] { // it may still take away what is not among the newest that are kept
					require.Contains(t, path, "step-00000002", "stopped at operation %d", k)
					require.Empty(t, after[path], "stopped at operation %d", k)
				}
			}
			require.Subset(t, left, after, "stopped at operation %d", k)
		}
	}
}

// files are those below dir with their content, but for what lies aside and the records of leases.
func files(t *testing.T, d *faultfs.FS, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	entries, err := d.Disk().ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		switch {
		case atomicfile.IsTemp(entry.Name()):
		case entry.IsDir():
			maps.Copy(found, files(t, d, path))
		case entry.Name() != leaseFile:
			found[path] = string(d.Content(path))
		}
	}
	return found
}

// The same for one Save, where it can be said which checkpoint must be there.
func TestSaveIsAllOrNothing(t *testing.T) {
	prepare := func() (*faultfs.FS, Checkpoints) {
		d := faultfs.New()
		c := Checkpoints{Dir: "/run/checkpoints", Keep: 1, disk: d.Disk()}
		require.NoError(t, c.Save(100, saver(d.Disk(), 100)))
		d.Ops = 0
		return d, c
	}
	latest := func(d *faultfs.FS) int {
		c := Checkpoints{Dir: "/run/checkpoints", disk: d.Disk()}
		last, found, err := c.Latest(func(dir string, err error) { t.Errorf("%s is damaged: %v", dir, err) })
		require.NoError(t, err)
		require.True(t, found)
		require.NoError(t, loadState(d.Disk(), last))
		requireAllGood(t, c)
		return last.Step
	}
	for k := 1; ; k++ {
		d, c := prepare()
		d.FailAt, d.Forever = k, k%2 == 0
		err := c.Save(200, saver(d.Disk(), 200))
		reached := d.Ops >= k
		d.Heal()
		if err == nil {
			require.Equal(t, 200, latest(d))
		} else {
			require.ErrorContains(t, err, "/run/checkpoints")
			require.Contains(t, []int{100, 200}, latest(d))
		}
		require.NoError(t, c.Save(200, saver(d.Disk(), 200)))
		require.Equal(t, 200, latest(d))
		requireNoStrays(t, d.Disk(), c.Dir)

		d, c = prepare()
		d.DieAt = k
		err = c.Save(200, saver(d.Disk(), 200))
		d.Heal()
		for seed := range uint64(20) {
			left := d.After(rand.New(rand.NewPCG(seed, uint64(k))))
			if err == nil {
				require.Equal(t, 200, latest(left), "power failure after the save")
			} else {
				require.Contains(t, []int{100, 200}, latest(left), "power failure at operation %d, seed %d", k, seed)
			}
		}
		if !reached {
			break
		}
	}
}

func TestWriteJSONIsAllOrNothing(t *testing.T) {
	for k := 1; ; k++ {
		d := faultfs.New()
		require.NoError(t, d.Disk().MkdirAll("/run"))
		require.NoError(t, writeJSON(d.Disk(), "/run/result.json", 1))
		d.Ops, d.DieAt = 0, k
		err := writeJSON(d.Disk(), "/run/result.json", 2)
		d.Heal()
		for seed := range uint64(20) {
			var got int
			left := d.After(rand.New(rand.NewPCG(seed, uint64(k))))
			require.NoError(t, readJSON(left.Disk(), "/run/result.json", &got))
			require.True(t, got == 2 || got == 1 && err != nil)
		}
		if d.Ops < k {
			break
		}
	}
}

// What was reported as done stays done when the power fails.
func TestCreateAndAcquireAreDurable(t *testing.T) {
	for seed := range uint64(20) {
		d := faultfs.New()
		run, err := first(d).Create(toyID, 1)
		require.NoError(t, err)
		left := d.After(rand.New(rand.NewPCG(seed, 1)))
		_, err = first(left).Open(toyID)
		require.NoError(t, err)
		lease, err := run.Acquire()
		require.NoError(t, err)
		log, err := lease.Metrics()
		require.NoError(t, err)
		require.NoError(t, log.Record(1, nil))
		require.NoError(t, log.Sync())
		left = d.After(rand.New(rand.NewPCG(seed, 2)))
		run, err = second(left).Open(toyID)
		require.NoError(t, err)
		last, err := run.lastRecord()
		require.NoError(t, err)
		require.Equal(t, "first", last.Host)
		again, err := run.Acquire()
		require.NoError(t, err)
		require.Equal(t, 2, again.Attempt(), "the number before is not given again")
		text, err := readFile(left.Disk(), run.Path(MetricsFile))
		require.NoError(t, err)
		require.Equal(t, "{\"step\":1}\n", string(text))
		require.NoError(t, lease.Release())
		require.NoError(t, again.Release())
	}
}

// requireAllGood looks at the older checkpoints too: they are what is left if the newest is damaged.
func requireAllGood(t *testing.T, c Checkpoints) {
	t.Helper()
	all, err := c.list()
	require.NoError(t, err)
	for _, checkpoint := range all {
		require.NoError(t, verify(c.disk, checkpoint.Dir, checkpoint.Step))
	}
}

func requireNoStrays(t *testing.T, d atomicfile.Disk, dir string) {
	t.Helper()
	entries, err := d.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		require.False(t, atomicfile.IsTemp(entry.Name()), filepath.Join(dir, entry.Name()))
	}
}
