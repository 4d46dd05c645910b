// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
)

// As seen from this machine: who had the lease, how long ago its last sign of life was, and whether it may be taken.
func TestWhoMayTakeOver(t *testing.T) {
	me := thisProcess()
	gone := me
	gone.PID = 1 << 30 // above the largest that any system gives
	reused := me
	reused.Start = "1"
	secretive := me
	secretive.Start = ""
	rebooted := me
	rebooted.Space = "another boot"
	linux := runtime.GOOS == "linux"
	cases := map[string]struct {
		holder   process
		age      time.Duration
		released bool
		free     bool
	}{
		"this process":                         {holder: me},
		"this process, silent for an hour":     {holder: me, age: time.Hour, free: !linux},
		"released":                             {holder: me, released: true, free: true},
		"dead":                                 {holder: gone, free: true},
		"its number is another's now":          {holder: reused, free: linux},
		"start unknown, young":                 {holder: secretive, age: time.Minute},
		"start unknown, old":                   {holder: secretive, age: 3 * time.Minute, free: true},
		"before the last boot, young":          {holder: rebooted, age: time.Minute},
		"before the last boot, old":            {holder: rebooted, age: 2 * time.Minute, free: true},
		"another machine, young":               {holder: elsewhere("far")(), age: 119 * time.Second},
		"another machine, old":                 {holder: elsewhere("far")(), age: 121 * time.Second, free: true},
		"another machine, its clock a bit off": {holder: elsewhere("far")(), age: -time.Minute},
		"another machine, its clock far off":   {holder: elsewhere("far")(), age: -time.Hour, free: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			before := Store{Root: root, Now: clock(noon), self: func() process { return c.holder }}
			run, err := before.Create("tiny", 1)
			require.NoError(t, err)
			first, err := run.Acquire()
			require.NoError(t, err)
			if c.released {
				require.NoError(t, first.Release())
			}
			run, err = Store{Root: root, Now: clock(noon.Add(c.age))}.Open("tiny")
			require.NoError(t, err)
			second, err := run.Acquire()
			if !c.free {
				require.ErrorIs(t, err, ErrHeld)
				require.True(t, usererr.Is(err))
				require.ErrorContains(t, err, "on "+c.holder.Host+" since 2026-01-02 12:00:00")
				require.NoError(t, first.Check())
				require.NoError(t, first.Release())
				return
			}
			require.NoError(t, err)
			require.Equal(t, 2, second.Attempt())
			require.NoError(t, second.Check())
			if !c.released {
				require.ErrorIs(t, first.Check(), ErrLost)
				require.ErrorIs(t, first.Release(), ErrLost)
			}
			require.NoError(t, second.Release())
		})
	}
}

// After losing its lease a process can change nothing, and what it had does not come back.
func TestFencing(t *testing.T) {
	root := t.TempDir()
	run, err := Store{Root: root, Now: clock(noon), self: elsewhere("old")}.Create("tiny", 1)
	require.NoError(t, err)
	old, err := run.Acquire()
	require.NoError(t, err)
	log, err := old.Metrics()
	require.NoError(t, err)
	defer log.Close()
	require.NoError(t, log.Record(1, Values{"loss": 1}))
	require.NoError(t, old.Progress(1, 10))
	checkpoints := old.Checkpoints(1)
	require.NoError(t, checkpoints.Save(1, saver(atomicfile.OS, 1)))

	run, err = Store{Root: root, Now: clock(noon.Add(time.Hour)), self: elsewhere("new")}.Open("tiny")
	require.NoError(t, err)
	taker, err := run.Acquire()
	require.NoError(t, err)
	require.Equal(t, 1, taker.record.Step, "what List shows does not fall back to nothing")
	require.NoError(t, taker.WriteJSON(ResultFile, "new"))
	before := snapshot(t, root)

	require.ErrorIs(t, old.Check(), ErrLost)
	require.ErrorContains(t, old.Check(), `attempt 1, was taken over by process 1 on new at 2026-01-02 13:00:00`)
	require.ErrorIs(t, old.Progress(2, 10), ErrLost)
	require.ErrorIs(t, old.WriteJSON(ResultFile, "old"), ErrLost)
	require.ErrorIs(t, log.Record(2, nil), ErrLost)
	require.ErrorIs(t, log.TruncateAfter(0), ErrLost)
	require.ErrorIs(t, checkpoints.Save(2, saver(atomicfile.OS, 2)), ErrLost)
	_, err = old.Metrics()
	require.ErrorIs(t, err, ErrLost)
	require.ErrorIs(t, old.Release(), ErrLost)
	require.Equal(t, before, snapshot(t, root))
	require.NoError(t, taker.Check())
	require.NoError(t, taker.Release())
}

// A process of this machine that lives and gives no sign of life keeps its run, unless the store takes what is stopped. The
// lease holds for as long as its holder says.
func TestTakeStopped(t *testing.T) {
	root := t.TempDir()
	run, err := Store{Root: root, Now: clock(noon), TTL: time.Minute}.Create("tiny", 1)
	require.NoError(t, err)
	stopped, err := run.Acquire()
	require.NoError(t, err)
	later := func(age time.Duration) (*Lease, error) {
		run, err := Store{Root: root, Now: clock(noon.Add(age)), TakeStopped: true, TTL: time.Hour}.Open("tiny")
		require.NoError(t, err)
		return run.Acquire()
	}
	_, err = later(59 * time.Second)
	require.ErrorIs(t, err, ErrHeld)
	taker, err := later(61 * time.Second)
	require.NoError(t, err)
	require.ErrorIs(t, stopped.Check(), ErrLost)
	require.ErrorIs(t, stopped.Release(), ErrLost)
	require.NoError(t, taker.Release())
}

func TestClocksThatDisagree(t *testing.T) {
	store := Store{Root: filepath.Join(t.TempDir(), "runs")}
	require.NoError(t, store.CheckClock())
	for _, off := range []time.Duration{-time.Minute, time.Minute} {
		store.Now = func() time.Time { return time.Now().Add(off) }
		err := store.CheckClock()
		require.True(t, usererr.Is(err), "%v", err)
		require.ErrorContains(t, err, "too much for leases of 2m0s")
	}
	entries, err := os.ReadDir(store.Root)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// The lease may be lost while a checkpoint is being written; then it does not appear.
func TestLostDuringSave(t *testing.T) {
	root := t.TempDir()
	run, err := Store{Root: root, Now: clock(noon), self: elsewhere("old")}.Create("tiny", 1)
	require.NoError(t, err)
	old, err := run.Acquire()
	require.NoError(t, err)
	var taker *Lease
	err = old.Checkpoints(1).Save(1, func(dir string) error {
		run, err := Store{Root: root, Now: clock(noon.Add(time.Hour)), self: elsewhere("new")}.Open("tiny")
		require.NoError(t, err)
		require.NoError(t, saver(atomicfile.OS, 1)(dir))
		taker, err = run.Acquire()
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(dir, 0o700), "the taker tidies; even so")
		return saver(atomicfile.OS, 1)(dir)
	})
	require.ErrorIs(t, err, ErrLost)
	_, found, err := taker.Checkpoints(1).Latest(nil)
	require.NoError(t, err)
	require.False(t, found)
	require.ErrorIs(t, old.Release(), ErrLost)
	require.NoError(t, taker.Release())
}

func TestReleased(t *testing.T) {
	run, err := Store{Root: t.TempDir()}.Create("tiny", 1)
	require.NoError(t, err)
	lease, err := run.Acquire()
	require.NoError(t, err)
	require.NoError(t, lease.Release())
	require.NoError(t, lease.Release())
	require.ErrorIs(t, lease.Check(), ErrLost)
	require.ErrorIs(t, lease.Progress(1, 2), ErrLost)
}

func TestSignsOfLife(t *testing.T) {
	beats := make(chan struct{}, 5)
	now := func() time.Time {
		select {
		case beats <- struct{}{}:
		default:
		}
		return noon
	}
	run, err := Store{Root: t.TempDir(), TTL: 4 * time.Millisecond, Now: now}.Create("tiny", 1)
	require.NoError(t, err)
	lease, err := run.Acquire()
	require.NoError(t, err)
	for range 10 {
		<-beats // never comes unless the heart beats
	}
	require.NoError(t, lease.Release())
}

// A damaged record, as a power failure may leave, holds the run as long as one of another machine.
func TestDamagedRecord(t *testing.T) {
	store := Store{Root: t.TempDir()}
	run, err := store.Create("tiny", 1)
	require.NoError(t, err)
	dir := run.attemptDir(7)
	for name, text := range map[string]string{"empty": "", "another attempt's": `{"attempt":6}`} {
		write(t, filepath.Join(dir, leaseFile), text)
		require.NoError(t, os.Chtimes(dir, time.Time{}, noon))
		run.store.Now = clock(noon.Add(time.Minute))
		_, err = run.Acquire()
		require.ErrorIs(t, err, ErrHeld, name)
	}
	run.store.Now = clock(noon.Add(3 * time.Minute))
	lease, err := run.Acquire()
	require.NoError(t, err)
	require.Equal(t, 8, lease.Attempt())
	require.NoError(t, lease.Release())
}

func TestParseStat(t *testing.T) {
	const tail = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 98765 20 21"
	for text, want := range map[string][2]string{
		"12 (bash)" + tail:              {"S", "98765"},
		"12 (a) Z 1 (b c)) x)" + tail:   {"S", "98765"},
		"":                              {"", ""},
		"12 (bash) S 1 2":               {"", ""},
		"12 (bash) S" + tail[2:6] + "x": {"", ""},
	} {
		state, start := parseStat(text)
		require.Equal(t, want, [2]string{state, start}, text)
	}
}

// Of a run that was killed again and again, the attempts stay that differ in what may change numbers, and the last two. A
// number that was given away once is not given again.
func TestAttemptsGiveWay(t *testing.T) {
	run, err := Store{Root: t.TempDir()}.Create("tiny", 1)
	require.NoError(t, err)
	flags := []string{"", "", "", "--a", "--a", "", "", "--a", "", ""}
	for _, set := range flags {
		lease, err := run.Acquire()
		require.NoError(t, err)
		require.NoError(t, lease.WriteAttemptJSON(ProvenanceFile, Provenance{Environment: map[string]string{"XLA_FLAGS": set}}))
		require.NoError(t, lease.Release())
	}
	kept, err := run.attempts()
	require.NoError(t, err)
	require.Equal(t, []int{1, 4, 9, 10}, kept)
	made, err := run.Attempts()
	require.NoError(t, err)
	require.Len(t, made, 4)
	require.Equal(t, []string{"XLA_FLAGS was unset and is --a"}, made[1].Changes(made[0]))
	require.Empty(t, made[3].Changes(made[0]))

	// A slow process that had seen attempt 4 as the last finds the name of attempt 5 free; it does not get the run by that.
	holder, err := run.Acquire()
	require.NoError(t, err)
	require.Equal(t, 11, holder.Attempt())
	late, err := run.claim(record{Attempt: 4})
	require.NoError(t, err)
	require.Nil(t, late)
	require.NoError(t, holder.Check())
	after, err := run.attempts()
	require.NoError(t, err)
	require.Equal(t, []int{1, 4, 10, 11}, after)
	require.NoError(t, holder.Release())

	// What an unlike machine each time leaves is bounded, and the first stays.
	for i := range 3 * mostAttempts {
		lease, err := run.Acquire()
		require.NoError(t, err)
		require.NoError(t, lease.WriteAttemptJSON(ProvenanceFile, Provenance{Go: strings.Repeat("x", i)}))
		require.NoError(t, lease.Release())
	}
	kept, err = run.attempts()
	require.NoError(t, err)
	require.LessOrEqual(t, len(kept), mostAttempts+2)
	require.Equal(t, 1, kept[0])
}
