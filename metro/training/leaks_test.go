// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/backend"
	"metrolab/metro/training"
)

// 20 runs by one runner, half of which are stopped and gone on with, and one of 1,000 steps, keep nothing that the first
// runs did not: no goroutine, no open file, no buffer of XLA's, no memory. What the runner keeps goes when it is closed.
func TestRunsLeakNothing(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		r := ownRunner(t, be)
		before := measureHeld()
		for seed := range int64(3) {
			shortRun(t, r, seed)
		}
		warm := measureHeld()
		var after held
		for round := range int64(4) { // memory that is lost is lost in each round; what allocators keep for later, in one or two
			start := measureHeld()
			for seed := range int64(20) {
				shortRun(t, r, 10+20*round+seed)
			}
			if after = measureHeld(); after.resident <= start.resident+slackResident {
				warm.resident = after.resident
				break
			}
		}
		noMoreThan(t, warm, after, "after 20 runs more")

		c := leakConfig(t, "training.steps=1000", "training.log_every=100", "training.eval_every=500", "training.checkpoint_every=500")
		_, err := r.Run(t.Context(), "run", c, nil)
		require.NoError(t, err)
		noMoreThan(t, warm, measureHeld(), "after 1,000 steps")

		require.NoError(t, r.Close())
		closed := measureHeld()
		noMoreThan(t, before, held{closed.goroutines, closed.files, closed.buffers, 0, 0}, "after Close")
		require.Less(t, closed.heap-before.heap, (warm.heap-before.heap)/2, "after Close: bytes of the heap")
	})
}

// noMoreThan asserts that the process holds what it held, but for what the Go runtime and XLA's allocator do on their own. (A
// program of these runs has 2 MB on the heap, and one that XLA has compiled several beside it.)
func noMoreThan(t *testing.T, was, is held, when string) {
	t.Helper()
	require.LessOrEqual(t, is.goroutines, was.goroutines, "%s: goroutines", when)
	require.LessOrEqual(t, is.files, was.files, "%s: open files", when)
	require.LessOrEqual(t, is.buffers, was.buffers, "%s: buffers of XLA", when)
	require.LessOrEqual(t, is.heap, was.heap+1<<20, "%s: bytes of the heap", when)
	require.LessOrEqual(t, is.resident, was.resident+slackResident, "%s: resident bytes", when)
}

// slackResident is by how many bytes 20 short runs may grow the process's memory: about a fifth of what 20 programs would.
const slackResident = 32 << 20

func leakConfig(t *testing.T, assignments ...string) metro.Config {
	t.Helper()
	return assigned(t, append([]string{"training.batch_size=4", "evaluation.rows=4", "main.width=8", "main.heads=2", "main.ffn=16", "generator.size=same"}, assignments...)...)
}

// shortRun is a run of six steps. With an odd seed it is stopped after four, which are on no beat, and gone on with.
func shortRun(t *testing.T, r *training.Runner, seed int64) {
	t.Helper()
	c := leakConfig(t, "training.steps=6", "training.log_every=3", "optimizer.warmup_steps=1", "seed="+strconv.FormatInt(seed, 10))
	if seed%2 == 1 {
		ctx, stop := context.WithCancel(t.Context())
		_, err := r.Run(ctx, "run", c, func(p training.Progress) {
			if p.Step == 4 {
				stop()
			}
		})
		require.ErrorIs(t, err, training.ErrInterrupted)
	}
	_, err := r.Run(t.Context(), "run", c, nil)
	require.NoError(t, err)
}

// held is what the process holds.
type held struct {
	goroutines, files int
	buffers           int64 // of XLA
	heap, resident    int64 // bytes
}

// measureHeld measures what stays when all garbage is collected and all goroutines that end have ended. A buffer of XLA's goes
// some time after the Go value that stands for it.
func measureHeld() (h held) {
	for still := 0; still < 3; {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
		goroutines, buffers := runtime.NumGoroutine(), backend.LiveBuffers()
		if still++; goroutines != h.goroutines || buffers != h.buffers {
			still = 0
		}
		h.goroutines, h.buffers = goroutines, buffers
	}
	debug.FreeOSMemory() // or what the Go runtime keeps of garbage, for garbage to come, counts as resident
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	h.heap = int64(memory.HeapAlloc)
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		h.files = len(entries)
	}
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := strings.Fields(string(text)); len(fields) > 1 {
			pages, _ := strconv.ParseInt(fields[1], 10, 64)
			h.resident = pages * int64(os.Getpagesize())
		}
	}
	return h
}
