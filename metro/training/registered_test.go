// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/masking"
	"metrolab/metro/training"
)

func init() {
	// v ← μ·v + g; d = v.
	metro.RegisterOptimizer("test_momentum", 2, []string{"v"}, func(u *metro.Update) *Node {
		v := Add(MulScalar(u.State["v"], u.Option("mu").(float64)), u.Gradient)
		u.Next["v"] = v
		return v
	}, metro.Option{Name: "mu", Neutral: 0.9, High: 1})
	metro.RegisterSchedule("test_stairs", 1, func(m metro.ScheduleMoment) float64 {
		return m.Option("height").(float64)
	}, metro.Option{Name: "height", Neutral: 0.5, High: 1})
	metro.RegisterTemperature("test_fixed", 1, func(m metro.TemperatureMoment) float64 {
		return m.Temperature * m.Option("times").(float64)
	}, metro.Option{Name: "times", Neutral: 3.0, High: 10})
	// The first candidates from an offset on.
	metro.RegisterPattern("test_first", 1, func(option func(string) any) masking.Func {
		return func(_ *rand.Rand, row masking.Row, positions []int32) int {
			return copy(positions, row.Candidates[min(option("skip").(int), len(row.Candidates)):])
		}
	}, metro.Option{Name: "skip", Neutral: 1, High: 4})
}

var momentum = []string{
	"optimizer.name=test_momentum", "optimizer.warmup_steps=0", "optimizer.weight_decay=0", "optimizer.learning_rate=0.01",
	"optimizer.schedule=test_stairs", "optimizer.schedule_options.height=0.25", "masking.pattern=test_first", "masking.options.skip=2",
	"replacements.temperature=1.5", "replacements.temperature_schedule=test_fixed", "replacements.temperature_options.times=2",
}

// An optimizer, a schedule, a temperature and a pattern of one's own, with their options, decide what a run does: the first
// step of a momentum is w − lr·v, at the schedule's rate.
func TestOwnOptimizerAndItsLike(t *testing.T) {
	c := assigned(t, momentum...)
	require.Equal(t, 3.0, c.TemperatureAt(1))
	rate := float32(c.LearningRate(1))
	require.InDelta(t, 0.25, rate, 1e-7, "the schedule says the rate itself")

	row := masking.Row{IDs: []int32{9, 9, 9, 9}, Candidates: []int32{0, 1, 2, 3}}
	positions := make([]int32, 2)
	require.Equal(t, 2, c.MaskPattern()(nil, row, positions))
	require.Equal(t, []int32{2, 3}, positions)

	result := trained(t, append(momentum, "training.steps=1")...)
	all, _ := checkpointed(t, result.Run)
	first, moved := fresh(t, result.Run), 0
	for name, before := range first {
		v, ok := all["test_momentum."+name+".v"]
		if !ok {
			v, ok = all["test_momentum.v."+name]
		}
		require.True(t, ok, name)
		for i := range before {
			require.InDelta(t, before[i]-rate*v[i], all[name][i], 1e-6, name)
			if v[i] != 0 {
				moved++
			}
		}
	}
	require.Positive(t, moved)
}

// What such an optimizer remembers is in the checkpoints: a run that was stopped goes on to the same bits.
func TestOwnOptimizerGoesOn(t *testing.T) {
	c := assigned(t, append(momentum, "training.steps=4")...)
	alone, err := runner(t, backendtest.Go(t)).Run(t.Context(), "run", c, nil)
	require.NoError(t, err)
	r := runner(t, backendtest.Go(t))
	ctx, stop := context.WithCancel(t.Context())
	_, err = r.Run(ctx, "run", c, func(at training.Progress) {
		if at.Step == 2 {
			stop()
		}
	})
	require.ErrorIs(t, err, training.ErrInterrupted)
	resumed, err := r.Run(t.Context(), "run", c, nil)
	require.NoError(t, err)
	want, _ := checkpointed(t, alone.Run)
	got, _ := checkpointed(t, resumed.Run)
	require.Equal(t, want, got)
	kept := 0
	for name := range got {
		if strings.HasPrefix(name, "test_momentum.") {
			kept++
		}
	}
	require.Positive(t, kept)

	other := assigned(t, append(momentum, "training.steps=4", "optimizer.options.mu=0.5")...)
	different, err := r.Run(t.Context(), "run", other, nil)
	require.NoError(t, err)
	require.NotEqual(t, resumed.Run.Dir, different.Run.Dir, "an option is part of what a run is")
	weights, _ := checkpointed(t, different.Run)
	require.NotEqual(t, got, weights)
}
