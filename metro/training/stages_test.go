// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"context"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/training"
)

// ofGenerator tells a generator's variables.
func ofGenerator(path string) bool { return strings.HasPrefix(path, "/generator/") }

// weightsOf leaves the moments out.
func weightsOf(variables map[string][]float32) map[string][]float32 {
	weights := map[string][]float32{}
	for path, v := range variables {
		if !strings.HasPrefix(path, "/adamw/") {
			weights[path] = v
		}
	}
	return weights
}

// moved asserts which of the weights have changed, to the bit, and that the others have not. A weight whose gradient is
// 0 may rest as well; some of each variable moves.
func moved(t *testing.T, before, after map[string][]float32, should func(path string) bool) {
	t.Helper()
	require.Len(t, after, len(before))
	for path, v := range before {
		if should(path) {
			require.NotEqual(t, v, after[path], "%s has not moved", path)
		} else {
			require.Equal(t, v, after[path], "%s has moved", path)
		}
	}
}

// In the first stage nothing moves but the generator, in the second nothing but the main model, whatever decay and the
// moments of the other stage would do. The copy between them is exact, and is a copy.
func TestStagesMoveOneModel(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		c := assigned(t, "sharing=none", "objective.name=rtd", "objective.rtd_head=linear", "positions.relative=none", // little for XLA to compile
			"training.steps=6", "training.generator_steps=3", "training.copy_generator=true",
			"optimizer.warmup_steps=0", "optimizer.weight_decay=1", "optimizer.final_fraction=1")
		p := started(t, be, c)
		start := weightsOf(variables(t, p))
		tally, norm := stepped(t, p, c, 1, 3)
		require.InDelta(t, tally.Metric("generator_loss"), tally.Metric("loss"), 1e-5, "the first stage's loss is the generator's")
		require.Positive(t, norm)
		first := variables(t, p)
		moved(t, start, weightsOf(first), ofGenerator)
		for path, v := range first {
			if rest, ok := strings.CutPrefix(path, "/adamw/"); ok && !ofGenerator(rest[1:]) {
				require.Equal(t, make([]float32, len(v)), v, "%s: a moment of what rests", path)
			}
		}

		require.NoError(t, p.CopyGenerator())
		copied := weightsOf(variables(t, p))
		for path, v := range copied {
			room, rest, _ := strings.Cut(path[1:], "/")
			from := "/generator/" + rest
			switch {
			case room == "generator", strings.HasPrefix(rest, "rtd/"):
				require.Equal(t, first[path], v, path)
			default:
				require.Contains(t, copied, from)
				require.Equal(t, first[from], v, "%s is not a copy of %s", path, from)
			}
		}

		tally, _ = stepped(t, p, c, 4, 6)
		require.InDelta(t, c.Objective.RTDWeight*tally.Metric("rtd_loss"), tally.Metric("loss"), 1e-4, "the second stage's loss is the main model's")
		moved(t, copied, weightsOf(variables(t, p)), func(path string) bool { return !ofGenerator(path) })
	})
}

// The second stage is a run of its length against a generator that stands still: the first one leaves neither moments nor
// the count of steps to it.
func TestSecondStageStartsAfresh(t *testing.T) {
	be := backendtest.Go(t)
	base := []string{"sharing=none", "training.steps=6", "optimizer.warmup_steps=2"}
	staged := assigned(t, append(base, "training.generator_steps=3")...)
	p := started(t, be, staged)
	stepped(t, p, staged, 1, 3)
	for step := 4; step <= 5; step++ { // the same batch as in the other run's first steps
		out, err := p.Step(randomBatch(staged, vocab, 1), step)
		require.NoError(t, err)
		out.Release()
	}
	second := variables(t, p)

	plain := assigned(t, append(base, "training.steps=3", "objective.generator_weight=0")...)
	p = started(t, be, plain)
	for step := 1; step <= 2; step++ {
		setGenerator(t, p, second) // which its weight decay moves
		out, err := p.Step(randomBatch(plain, vocab, 1), step)
		require.NoError(t, err)
		out.Release()
	}
	for path, want := range variables(t, p) {
		if !strings.Contains(path, "/generator/") {
			require.Equal(t, want, second[path], path)
		}
	}
}

// setGenerator puts a generator's weights, without its moments, into p.
func setGenerator(t *testing.T, p stepper, values map[string][]float32) {
	t.Helper()
	for _, v := range p.Variables() {
		if ofGenerator(v.Path()) {
			require.NoError(t, v.SetValue(tensors.FromFlatDataAndDimensions(values[v.Path()], v.Shape().Dimensions...)))
		}
	}
}

// Stopping before, at and after the switch between the stages, and going on, changes nothing.
func TestStoppedRunGoesOnExactlyBetweenStages(t *testing.T) {
	for copied, parts := range map[string]string{"true": "1", "false": "2"} {
		t.Run("copy "+copied+", parts "+parts, func(t *testing.T) {
			c := assigned(t, "sharing=none", "training.steps=20", "training.generator_steps=9", "training.copy_generator="+copied,
				"training.log_every=7", "training.checkpoint_every=6", "main.dropout=0.1", "training.accumulate="+parts)
			sameWhenStopped(t, backendtest.Go(t), c, 4, 8, 9, 10, 13)
		})
	}
}

// Runs whose steps are computed in parts go on exactly as well.
func TestStoppedRunGoesOnExactlyInParts(t *testing.T) {
	sameWhenStopped(t, backendtest.Go(t), assigned(t, "training.steps=20", "training.accumulate=4", "training.log_every=7", "main.dropout=0.1"), 3, 10, 15)
}

// sameWhenStopped trains c at once, and again with an end after each of the steps, and compares the two to the bit.
func sameWhenStopped(t *testing.T, be compute.Backend, c metro.Config, stops ...int) {
	t.Helper()
	whole, err := runner(t, be).Run(t.Context(), "run", c, nil)
	require.NoError(t, err)
	require.Empty(t, whole.Diverged)
	r := runner(t, be)
	for _, at := range stops {
		ctx, stop := context.WithCancel(t.Context())
		_, err := r.Run(ctx, "run", c, func(p training.Progress) {
			if p.Step >= at {
				stop()
			}
		})
		require.ErrorIs(t, err, training.ErrInterrupted)
		run, err := r.Open(t.Context(), "run", c)
		require.NoError(t, err)
		step, _ := lastCheckpoint(t, run.Run)
		require.Equal(t, at, step)
	}
	resumed, err := r.Run(t.Context(), "run", c, nil)
	require.NoError(t, err)
	equalRuns(t, whole.Run, resumed.Run)
}

// The gradients that a diverged run left in the accumulators are not the next run's, which shares its program.
func TestDivergedRunLeavesNothingBehind(t *testing.T) {
	r := runner(t, backendtest.Go(t))
	good := assigned(t, "training.accumulate=2", "optimizer.weight_decay=10", "optimizer.learning_rate=1e-4")
	before, err := r.Run(t.Context(), "run", good, nil)
	require.NoError(t, err)
	require.Empty(t, before.Diverged)
	bad := assigned(t, "training.accumulate=2", "optimizer.weight_decay=10", "optimizer.learning_rate=10", "optimizer.warmup_steps=0", "training.steps=60")
	require.Equal(t, good.GraphKey(), bad.GraphKey())
	diverged, err := r.Run(t.Context(), "bad", bad, nil)
	require.NoError(t, err)
	require.NotEmpty(t, diverged.Diverged)
	again := runner(t, backendtest.Go(t)) // into another folder
	after, err := again.Run(t.Context(), "run", good, nil)
	require.NoError(t, err)
	equalRuns(t, before.Run, after.Run)
}
