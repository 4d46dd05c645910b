// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const toyID = "toy-0123456789"

// first is the process that meets the fault; second comes an hour later to a disk that works.
func first(d disk) Store {
	return Store{Root: "/runs", Now: clock(noon), disk: d, self: elsewhere("first")}
}

func second(d disk) Store {
	return Store{Root: "/runs", Now: clock(noon.Add(time.Hour)), disk: d, self: elsewhere("second")}
}

func nothing(int) {}

// A whole training, in which each operation of the disk fails in its turn, until it passes untouched: it ends with an
// error or rightly, and a second try ends as if nothing had happened.
func TestTrainingSurvivesEveryFault(t *testing.T) {
	for _, forever := range []bool{false, true} {
		for k := 1; ; k++ {
			d := newMemDisk()
			d.failAt, d.forever = k, forever
			err := train(first(d), toyID, toySteps, nothing)
			if d.ops < k {
				require.NoError(t, err)
				t.Logf("%d operations", d.ops)
				break
			}
			d.heal()
			if err == nil {
				require.NoError(t, finished(second(d), toyID, toySteps), "after operation %d failed unnoticed", k)
			} else {
				require.ErrorIs(t, err, syscall.ENOSPC, "operation %d", k)
				require.ErrorContains(t, err, "/runs", "operation %d: the path is named", k)
			}
			require.NoError(t, train(second(d), toyID, toySteps, nothing), "after operation %d", k)
			require.NoError(t, finished(second(d), toyID, toySteps), "after operation %d", k)
			requireNoStrays(t, d, "/runs/"+toyID+"/"+CheckpointsDir)
		}
	}
}

// The process dies in the middle of each operation in its turn; the disk keeps what the system had been told.
func TestTrainingSurvivesEveryCrash(t *testing.T) {
	for k := 1; ; k++ {
		d := newMemDisk()
		d.dieAt = k
		err := train(first(d), toyID, toySteps, nothing)
		if d.ops < k {
			require.NoError(t, err)
			break
		}
		d.heal()
		require.NoError(t, train(second(d), toyID, toySteps, nothing), "death at operation %d", k)
		require.NoError(t, finished(second(d), toyID, toySteps), "death at operation %d", k)
	}
}

// The power fails in the middle of each operation in its turn, and the disk keeps any of what it may.
func TestTrainingSurvivesEveryPowerFailure(t *testing.T) {
	for k := 1; ; k++ {
		d := newMemDisk()
		d.dieAt = k
		_ = train(first(d), toyID, toySteps, nothing)
		for seed := range uint64(4) {
			left := d.after(rand.New(rand.NewPCG(seed, uint64(k))))
			requireAllGood(t, Checkpoints{Dir: "/runs/" + toyID + "/" + CheckpointsDir, disk: left})
			require.NoError(t, train(second(left), toyID, toySteps, nothing), "failure at operation %d, seed %d", k, seed)
			require.NoError(t, finished(second(left), toyID, toySteps), "failure at operation %d, seed %d", k, seed)
		}
		if d.ops < k {
			break
		}
	}
}

// The same for one Save, where it can be said which checkpoint must be there.
func TestSaveIsAllOrNothing(t *testing.T) {
	prepare := func() (*memDisk, Checkpoints) {
		d := newMemDisk()
		c := Checkpoints{Dir: "/run/checkpoints", Keep: 1, disk: d}
		require.NoError(t, c.Save(100, saver(d, 100)))
		d.ops = 0
		return d, c
	}
	latest := func(d *memDisk) int {
		c := Checkpoints{Dir: "/run/checkpoints", disk: d}
		last, found, err := c.Latest(func(dir string, err error) { t.Errorf("%s is damaged: %v", dir, err) })
		require.NoError(t, err)
		require.True(t, found)
		require.NoError(t, loadState(d, last))
		requireAllGood(t, c)
		return last.Step
	}
	for k := 1; ; k++ {
		d, c := prepare()
		d.failAt, d.forever = k, k%2 == 0
		err := c.Save(200, saver(d, 200))
		reached := d.ops >= k
		d.heal()
		if err == nil {
			require.Equal(t, 200, latest(d))
		} else {
			require.ErrorContains(t, err, "/run/checkpoints")
			require.Contains(t, []int{100, 200}, latest(d))
		}
		require.NoError(t, c.Save(200, saver(d, 200)))
		require.Equal(t, 200, latest(d))
		requireNoStrays(t, d, c.Dir)

		d, c = prepare()
		d.dieAt = k
		err = c.Save(200, saver(d, 200))
		d.heal()
		for seed := range uint64(20) {
			left := d.after(rand.New(rand.NewPCG(seed, uint64(k))))
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
		d := newMemDisk()
		require.NoError(t, ensureDir(d, "/run"))
		require.NoError(t, writeJSON(d, "/run/result.json", 1))
		d.ops, d.dieAt = 0, k
		err := writeJSON(d, "/run/result.json", 2)
		d.heal()
		for seed := range uint64(20) {
			var got int
			left := d.after(rand.New(rand.NewPCG(seed, uint64(k))))
			require.NoError(t, readJSON(left, "/run/result.json", &got))
			require.True(t, got == 2 || got == 1 && err != nil)
		}
		if d.ops < k {
			break
		}
	}
}

// What was reported as done stays done when the power fails.
func TestCreateAndAcquireAreDurable(t *testing.T) {
	for seed := range uint64(20) {
		d := newMemDisk()
		run, err := first(d).Create(toyID, 1)
		require.NoError(t, err)
		left := d.after(rand.New(rand.NewPCG(seed, 1)))
		_, err = first(left).Open(toyID)
		require.NoError(t, err)
		lease, err := run.Acquire()
		require.NoError(t, err)
		log, err := lease.Metrics()
		require.NoError(t, err)
		require.NoError(t, log.Record(1, nil))
		require.NoError(t, log.Sync())
		left = d.after(rand.New(rand.NewPCG(seed, 2)))
		run, err = second(left).Open(toyID)
		require.NoError(t, err)
		last, err := run.lastRecord()
		require.NoError(t, err)
		require.Equal(t, "first", last.Host)
		again, err := run.Acquire()
		require.NoError(t, err)
		require.Equal(t, 2, again.Attempt(), "the number before is not given again")
		text, err := readFile(left, run.Path(MetricsFile))
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

func requireNoStrays(t *testing.T, d disk, dir string) {
	t.Helper()
	entries, err := d.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		require.False(t, strings.HasPrefix(entry.Name(), tempPrefix), filepath.Join(dir, entry.Name()))
	}
}
