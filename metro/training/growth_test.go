// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/grow"
	"metrolab/metro/runs"
	"metrolab/metro/training"
	"metrolab/metro/weights"
)

// grownFrom are the assignments of a run that begins with the run in dir, grown to twice its width.
func grownFrom(dir string, more ...string) []string {
	return slices.Concat([]string{
		"training.init_from=" + dir, "growth.width=fpi", "main.width=32", "main.heads=8", "main.ffn=64", "generator.width=32",
		"generator.heads=8", "generator.ffn=64", "embeddings.output_scale=0.5",
	}, more)
}

// A run that begins with a grown model has the weights that package grow makes, drawn by the run's seed.
func TestRunsBeginGrown(t *testing.T) {
	still := []string{"seed=5", "training.steps=1", "optimizer.warmup_steps=0", "optimizer.learning_rate=0"}
	for name, c := range map[string]struct {
		source, target []string
		options        grow.Options
	}{
		"width":       {nil, grownFrom(""), grow.Options{}},
		"noise":       {nil, grownFrom("", "growth.noise=0.2"), grow.Options{Noise: 0.2, Seed: 5}},
		"aki":         {[]string{"main.layers=2"}, grownFrom("", "main.layers=2", "growth.width=aki"), grow.Options{Width: grow.WidthAKI}},
		"stack":       {nil, []string{"main.layers=2", "growth.width=fpi"}, grow.Options{}},
		"interpolate": {[]string{"main.layers=2"}, []string{"main.layers=4", "growth.width=fpi", "growth.depth=interpolate"}, grow.Options{Depth: grow.DepthInterpolate}},
		"zero":        {[]string{"main.norm=pre"}, []string{"main.norm=pre", "main.layers=2", "growth.width=fpi", "growth.depth=zero"}, grow.Options{Depth: grow.DepthZero}},
		"generator":   {nil, grownFrom("", "growth.restart_generator=true"), grow.Options{RestartGenerator: true, Seed: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			source := trained(t, c.source...)
			next := trained(t, slices.Concat(c.target, still, []string{"training.init_from=" + source.Run.Dir})...)
			p, err := training.LoadPretrained(source.Run.Dir)
			require.NoError(t, err)
			small, err := p.Source()
			require.NoError(t, err)
			defer small.Close()
			q, err := training.LoadPretrained(next.Run.Dir)
			require.NoError(t, err)
			large, err := grow.Grow(small, q.Model.Config, c.options)
			require.NoError(t, err)
			got, _ := checkpointed(t, next.Run)
			require.Equal(t, values32(t, large), got)
			if name == "width" || name == "noise" || name == "zero" {
				for metric, was := range source.Metrics {
					require.InDelta(t, was, next.Metrics[metric], 1e-4, metric)
				}
			}
		})
	}
}

// values32 reads all tensors of a source.
func values32(t *testing.T, src weights.Source) map[string][]float32 {
	t.Helper()
	all := map[string][]float32{}
	for _, tensor := range src.Tensors() {
		all[tensor.Name] = make([]float32, tensor.Size())
		require.NoError(t, src.Read(tensor.Name, all[tensor.Name]))
	}
	return all
}

// A run that begins grown is the same to the bit when it was stopped before or after its first checkpoint; its name holds the
// growth and what the source's weights are, not where they lie.
func TestRunsBeginGrownAgain(t *testing.T) {
	source := trained(t)
	set := grownFrom(source.Run.Dir, "growth.noise=0.1", "training.checkpoint_every=4")
	whole := trained(t, set...)
	for _, at := range []int{1, 6} {
		r := runner(t, backendtest.Go(t))
		ctx, stop := context.WithCancel(t.Context())
		_, err := r.Run(ctx, "run", assigned(t, set...), func(p training.Progress) {
			if p.Step == at {
				stop()
			}
		})
		require.ErrorIs(t, err, training.ErrInterrupted)
		again, err := r.Run(t.Context(), "run", assigned(t, set...), nil)
		require.NoError(t, err)
		equalRuns(t, whole.Run, again.Run)
		require.Equal(t, whole.Run.ID, again.Run.ID)
	}
	moved := filepath.Join(t.TempDir(), source.Run.ID)
	require.NoError(t, os.CopyFS(moved, os.DirFS(source.Run.Dir)))
	name := func(assignments ...string) string {
		r := runner(t, backendtest.Go(t))
		identity, err := r.Identify(t.Context(), assigned(t, assignments...))
		require.NoError(t, err)
		id, err := r.RunID("run", identity)
		require.NoError(t, err)
		return id
	}
	require.Equal(t, whole.Run.ID, name(grownFrom(moved, "growth.noise=0.1")...))
	require.NotEqual(t, whole.Run.ID, name(grownFrom(moved)...))
	require.NotEqual(t, whole.Run.ID, name(grownFrom(trained(t, "seed=1").Run.Dir, "growth.noise=0.1")...), "of another source")
}

// What cannot grow, or not without a loss, is refused before anything is written.
func TestRunsThatCannotBeginGrown(t *testing.T) {
	dir := trained(t).Run.Dir
	for says, set := range map[string][]string{
		"nothing grows": {"training.init_from=" + dir, "growth.width=fpi"},
		"noise tells copies apart, and no width grows": {"training.init_from=" + dir, "growth.width=fpi", "growth.noise=0.1", "main.layers=2"},
		"positions is":                      grownFrom(dir, "positions.bins=16"),
		"main.heads=4 makes them 8 wide":    grownFrom(dir, "main.heads=4"),
		"which is less":                     grownFrom(dir, "training.init_from="+trained(t, "main.layers=2").Run.Dir),
		"main.width=24 is 1.5 times 16":     grownFrom(dir, "main.width=24", "main.heads=6", "generator.width=24", "generator.heads=6"),
		"say what they said at 0.5":         grownFrom(dir, "embeddings.output_scale=0"),
		"needs layers that can add nothing": grownFrom(dir, "main.layers=2", "growth.depth=zero"),
		"is not a run":                      grownFrom(filepath.Join(dir, runs.CheckpointsDir)),
	} {
		require.Contains(t, refused(t, set...), says)
	}
	uneven := grownFrom(dir, "main.width=24", "main.heads=6", "generator.width=24", "generator.heads=6", "growth.approximate=true")
	require.NotEmpty(t, trained(t, uneven...).Metrics)
	require.Equal(t, metro.WidthNone, assigned(t).Growth.Width)
}
