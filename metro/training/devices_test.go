// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/backend"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// parts are backends whose processor is divided into devices, by their number; a test process opens each once.
var parts = map[int]compute.Backend{}

func dividedInto(t *testing.T, n int) compute.Backend {
	t.Helper()
	backendtest.XLA(t) // or the test is skipped
	if parts[n] == nil {
		be, err := backend.Open(fmt.Sprintf("xla:cpu,devices=%d", n))
		require.NoError(t, err)
		require.Equal(t, n, be.NumDevices())
		parts[n] = be
	}
	return parts[n]
}

// startedOn is a program of c on n devices, at its first values.
func startedOn(t *testing.T, n int, c metro.Config) stepper {
	t.Helper()
	s := newStepper(dividedInto(t, n), metro.Model{Config: c, Vocab: vocab, LogUnigram: make([]float32, vocab), LogUniform: make([]float32, vocab)})
	t.Cleanup(s.Close)
	require.NoError(t, s.Divide(n))
	require.NoError(t, s.Start(s.workload))
	return s
}

// firstStep makes the first step, and returns its losses with the norm of its gradient, and the gradient.
func firstStep(t *testing.T, p stepper, c metro.Config) (numbers map[string]float64, gradient map[string][]float32) {
	t.Helper()
	out, err := p.Step(unequalBatch(c), 1)
	require.NoError(t, err)
	tally, norm, err := out.Tally()
	require.NoError(t, err)
	out.Release()
	numbers, gradient = map[string]float64{"gradient_norm": norm}, variables(t, p)
	maps.Copy(numbers, tally.Metrics())
	maps.DeleteFunc(gradient, func(path string, _ []float32) bool { return !strings.HasPrefix(path, "/adamw/m/") })
	return numbers, gradient
}

// within asserts that two sets of numbers are the same but for so much, in parts of a number that is above 1.
func within(t *testing.T, want, got map[string]float64, most float64, where string) {
	t.Helper()
	require.Len(t, got, len(want))
	for name, x := range want {
		d := math.Abs(x - got[name])
		require.True(t, d <= most*max(1, math.Abs(x)) || x != x && got[name] != got[name], "%s: %s is %g and %g", where, name, x, got[name])
	}
}

// The number of devices changes neither losses nor gradients, beyond the order of their sums: with dropout, rows of unlike lengths
// with unlike numbers of masked positions, a gradient that is clipped, and rows in parts.
func TestDevicesShareAStep(t *testing.T) {
	for _, of := range []struct {
		devices  []int
		settings []string
	}{
		{[]int{4}, nil},
		{[]int{4}, []string{"main.feed_forward=moe", "main.feed_forward_options.group_rows=8", "main.feed_forward_options.capacity=0.75", "main.feed_forward_options.random_selection=true", "objective.name=mlm"}},
		{[]int{2, 8}, []string{"training.accumulate=2", "objective.name=mlm", "positions.relative=none"}}, // compiled in half the time
	} {
		c := assigned(t, append([]string{"training.batch_size=16", "data.seq_len=12", "main.dropout=0.1", "generator.dropout=0.1", "replacements.dropout=train",
			"objective.rtd_zero_init=false", "optimizer.clip_norm=0.5", "optimizer.warmup_steps=0"}, of.settings...)...)
		alone := startedOn(t, 1, c)
		want, gradient := firstStep(t, alone, c)
		require.Greater(t, want["gradient_norm"], 0.5, "it is clipped")
		last, _ := stepped(t, alone, c, 2, 20)
		final := variables(t, alone)
		for _, n := range of.devices {
			where := fmt.Sprint(n, " devices ", of.settings)
			p := startedOn(t, n, c)
			got, gotGradient := firstStep(t, p, c)
			within(t, want, got, 1e-6, where)
			distance, path := furthest(t, gradient, gotGradient)
			require.Less(t, distance, 1e-6, "%s: the gradient of %s", where, path)
			gotLast, _ := stepped(t, p, c, 2, 20)
			within(t, last.Metrics(), gotLast.Metrics(), 1e-4, where+", step 20")
			distance, path = furthest(t, final, variables(t, p))
			require.Less(t, distance, 1e-4, "%s, step 20: %s", where, path)
			if n == 2 {
				within(t, validated(t, alone, c), validated(t, p, c), 1e-4, where)
			}
		}
	}
}

// validated measures a batch whose rows two devices share, and one whose rows they cannot.
func validated(t *testing.T, p stepper, c metro.Config) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for _, rows := range []int{c.Training.BatchSize, 3} {
		c.Training.BatchSize, c.Training.Accumulate = rows, 1
		out, err := p.Validate(unequalBatch(c))
		require.NoError(t, err)
		tally, _, err := out.Tally()
		require.NoError(t, err)
		out.Release()
		for name, x := range tally.Metrics() {
			all[fmt.Sprint(name, " of ", rows)] = x
		}
	}
	return all
}

// dividedRunner trains on n devices into the folder of r.
func dividedRunner(t *testing.T, r *training.Runner, n int) *training.Runner {
	t.Helper()
	d := &training.Runner{
		Backend: dividedInto(t, n), BackendKind: fmt.Sprintf("xla-cpu,devices=%d", n), Devices: n, Provenance: runs.Backend{Devices: n},
		Corpus: r.Corpus, CacheDir: r.CacheDir, Store: r.Store,
	}
	if n == 1 {
		d.BackendKind = "xla-cpu"
	}
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// A run on several devices is a run of its own: it is stopped and gone on with to the bit, averages its weights, and says how many
// devices there were. Its checkpoints are those of any number of devices: a fork goes on with them.
func TestRunsOnSeveralDevices(t *testing.T) {
	backend.CacheExecutables(t.TempDir())
	t.Cleanup(func() { backend.CacheExecutables("") })
	config := micro(20)
	config.Training.KeepAt, config.Training.EMA, config.Evaluation.Rows, config.Objective.Name, config.Positions.Relative = 12, 0.9, 8, "mlm", "none"
	require.NoError(t, config.Validate())
	one := dividedRunner(t, runner(t, backendtest.XLA(t)), 1)
	two := dividedRunner(t, one, 2)
	alone, err := one.Run(t.Context(), "run", config, nil)
	require.NoError(t, err)
	both, err := two.Run(t.Context(), "run", config, nil)
	require.NoError(t, err)
	require.NotEqual(t, alone.Run.ID, both.Run.ID)
	attempts, err := both.Run.Attempts()
	require.NoError(t, err)
	require.Equal(t, 2, attempts[0].Backend.Devices)
	sameTrajectory(t, alone, both)

	elsewhere := dividedRunner(t, two, 2)
	elsewhere.Store = runs.Store{Root: t.TempDir()}
	ctx, stop := context.WithCancel(t.Context())
	_, err = elsewhere.Run(ctx, "run", config, func(p training.Progress) {
		if p.Step == 13 {
			stop()
		}
	})
	require.ErrorIs(t, err, training.ErrInterrupted)
	resumed, err := elsewhere.Run(t.Context(), "run", config, nil)
	require.NoError(t, err)
	equalRuns(t, both.Run, resumed.Run)

	for _, r := range []struct {
		*training.Runner
		trunk training.Result
	}{{one, both}, {two, alone}} {
		fork := config
		require.NoError(t, fork.Set(fmt.Sprintf("training.fork=%s@12", r.trunk.Run.ID)))
		forked, err := r.Run(t.Context(), "run", fork, nil)
		require.NoError(t, err)
		sameTrajectory(t, alone, forked)
	}

	_, err = one.Resume(t.Context(), both.Run.Dir)
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "was begun on devices=2, and this is devices=1")
	replayed, err := two.Replay(t.Context(), both.Run.Dir, 12, 20, nil)
	require.NoError(t, err)
	require.True(t, replayed.Weights)

	var group sync.WaitGroup // runs side by side take turns with the devices, and none waits forever
	problems := make([]error, 3)
	for i := range problems {
		beside := config
		beside.Seed = int64(i + 1)
		group.Go(func() { _, problems[i] = two.Run(t.Context(), "run", beside, nil) })
	}
	group.Wait()
	require.Equal(t, make([]error, 3), problems)
}

// sameTrajectory asserts that two runs measure the same but for the order of sums.
func sameTrajectory(t *testing.T, a, b training.Result) {
	t.Helper()
	rows, others := metricsOf(t, a.Run), metricsOf(t, b.Run)
	require.Len(t, others, len(rows))
	for i, row := range rows {
		require.Equal(t, row.Step, others[i].Step)
		require.Equal(t, row.Values["tokens"], others[i].Values["tokens"])
		for name := range row.Values {
			if strings.Contains(name, "loss") || name == "gradient_norm" {
				within(t, map[string]float64{name: row.Values[name]}, map[string]float64{name: others[i].Values[name]}, 1e-4, fmt.Sprint(filepath.Base(b.Run.Dir), ", step ", row.Step))
			}
		}
	}
}

// What devices cannot share is refused with the numbers.
func TestDevicesThatCannotShare(t *testing.T) {
	r := &training.Runner{BackendKind: "xla-cpu,devices=3", Devices: 3}
	_, err := r.Open(t.Context(), "run", micro(10))
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "3 devices cannot share 8 rows, training.batch_size=8 in training.accumulate=1 parts, equally; make the rows of a part a multiple of 3")
	be := backendtest.Go(t)
	err = newStepper(be, metro.Model{Config: micro(10), Vocab: vocab}).Divide(2)
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "2 devices were asked for, and the backend has 1")
}
