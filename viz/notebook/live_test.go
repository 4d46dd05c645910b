// SPDX-License-Identifier: Apache-2.0

package notebook

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/viz"
	"metrolab/viz/display"
	"metrolab/viz/table"
)

// liveOn is a Live on a clock of its own, in a notebook where a frame takes as long as cost says; shown are the times of
// its frames.
func liveOn(clock *time.Time, cost func() time.Duration) (l *Live, shown *[]time.Time) {
	shown = new([]time.Time)
	return &Live{notebook: true, now: func() time.Time { return *clock }, show: func(display.Bundle, string) error {
		*shown = append(*shown, *clock)
		*clock = clock.Add(cost())
		return nil
	}}, shown
}

func TestLiveFramesAreRare(t *testing.T) {
	frame := func() []Output { return []Output{demoTable()} }
	for name, c := range map[string]struct {
		step, cost  time.Duration
		least, most time.Duration // between frames
	}{
		"cheap":     {10 * time.Millisecond, time.Millisecond, liveLeast, 600 * time.Millisecond},
		"middling":  {10 * time.Millisecond, 50 * time.Millisecond, 2 * time.Second, 6 * time.Second},
		"dear":      {10 * time.Millisecond, time.Second, liveMost, liveMost + 2*time.Second},
		"long step": {30 * time.Second, time.Millisecond, 30 * time.Second, 31 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			clock := time.Unix(0, 0)
			l, shown := liveOn(&clock, func() time.Duration { return c.cost })
			for clock.Before(time.Unix(600, 0)) {
				clock = clock.Add(c.step)
				l.Update(frame)
			}
			frames := *shown
			require.Greater(t, len(frames), 10)
			for i := 2; i < len(frames); i++ {
				require.GreaterOrEqual(t, frames[i].Sub(frames[i-1]), c.least)
				require.LessOrEqual(t, frames[i].Sub(frames[i-1]), c.most)
			}
			if c.cost <= 50*time.Millisecond {
				require.LessOrEqual(t, l.spent, clock.Sub(time.Unix(0, 0))/50, "2 %% of the time")
			}
		})
	}
}

func TestLiveEndsWithTheLastFrame(t *testing.T) {
	clock, calls := time.Unix(0, 0), 0
	l, shown := liveOn(&clock, func() time.Duration { return 0 })
	for range 7 {
		l.Update(func() []Output { calls++; return []Output{demoTable()} })
	}
	require.Len(t, *shown, 1, "the clock stands still")
	require.NoError(t, l.Close())
	require.Len(t, *shown, 2)
	require.NoError(t, l.Close(), "again does nothing")
	require.Equal(t, 2, calls, "a frame is made only to be shown")
	empty, _ := liveOn(&clock, nil)
	require.NoError(t, empty.Close())
}

func TestLiveNeverStopsTraining(t *testing.T) {
	clock := time.Unix(0, 0)
	l, shown := liveOn(&clock, func() time.Duration { return 0 })
	for i := range 3 {
		clock = clock.Add(time.Minute)
		l.Update(func() []Output { return []Output{viz.Curves{Name: fmt.Sprint("c", i)}, demoTable()} })
	}
	require.Len(t, *shown, 3, "the others are shown")
	require.EqualError(t, l.Close(), `viz: curves "c0": nothing to draw: 0 series, 0 runs, no finite value`)
	gone := errors.New("gone")
	l, _ = liveOn(&clock, nil)
	l.show = func(display.Bundle, string) error { return gone }
	l.Update(func() []Output { return []Output{demoTable()} })
	require.ErrorIs(t, l.Close(), gone)
}

func ExampleLive() {
	defer func(dir string) { Dir = dir }(Dir)
	Dir, _ = os.MkdirTemp("", "")
	defer os.RemoveAll(Dir)
	live := NewLive()
	var loss []float64
	for step := range 1000 { // of training
		loss = append(loss, 1/float64(1+step))
		live.Update(func() []Output {
			return []Output{table.Table{Columns: []table.Column{{Name: "steps"}, {Name: "loss", Format: "%.3f"}}, Rows: [][]any{{len(loss), loss[step]}}}}
		})
	}
	fmt.Println(live.Close())
	// Output:
	// steps  loss
	// ─────  ─────
	// 1000   0.001
	// <nil>
}
