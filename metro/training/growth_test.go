// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	set := grownFrom(source.Run.Dir, "growth.noise=0.1", "growth.optimizer=mapped", "training.checkpoint_every=4")
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
	require.Equal(t, whole.Run.ID, name(grownFrom(moved, "growth.noise=0.1", "growth.optimizer=mapped")...))
	require.NotEqual(t, whole.Run.ID, name(grownFrom(moved, "growth.noise=0.1")...))
	require.NotEqual(t, whole.Run.ID, name(grownFrom(moved)...))
	require.NotEqual(t, whole.Run.ID, name(grownFrom(trained(t, "seed=1").Run.Dir, "growth.noise=0.1", "growth.optimizer=mapped")...), "of another source")
}

// Moments that are mapped are those that the larger model would have had: a step of it from them has the moments that a step of the
// smaller one has, mapped, and moves every weight by as much as the smaller one's step moves what it is a copy of. A weight that reads
// copies is divided by their number, and its step is not: what such weights say together moves as many times as far.
func TestMomentsAreMapped(t *testing.T) {
	be := backendtest.Go(t)
	alike := []string{"optimizer.bias_correction=false", "optimizer.clip_norm=0", "optimizer.epsilon=1e-12", "optimizer.weight_decay=0"}
	source := trained(t, alike...)
	p, err := training.LoadPretrained(source.Run.Dir)
	require.NoError(t, err)
	begin := func(c metro.Config) stepper {
		s := newStepper(be, metro.Model{Config: c, Vocab: p.Model.Vocab, PadID: p.Model.PadID, SepID: p.Model.SepID})
		require.NoError(t, s.Start(s.workload))
		return s
	}
	small := begin(p.Model.Config)
	defer small.Close()
	file, found, err := runs.Checkpoints{Dir: source.Run.Path(runs.CheckpointsDir)}.Latest(nil)
	require.NoError(t, err)
	require.True(t, found)
	require.NoError(t, small.Load(filepath.Join(file.Dir, "variables.safetensors")))
	c := assigned(t, append(grownFrom(source.Run.Dir, alike...), "growth.optimizer=mapped")...)
	large := begin(c)
	defer large.Close()
	require.NoError(t, large.workload.BeginWithOrigins(large.Program))
	weightsOf, err := p.Source()
	require.NoError(t, err)
	defer weightsOf.Close()
	grown, err := grow.Grow(weightsOf, c, grow.Options{})
	require.NoError(t, err)

	batch := randomBatch(c, int32(p.Model.Vocab), 1)
	before, wideBefore := variables(t, small), variables(t, large)
	for _, s := range []stepper{small, large} {
		out, err := s.Step(batch, 5)
		require.NoError(t, err)
		out.Release()
	}
	after, wideAfter := variables(t, small), variables(t, large)
	named := func(tensor string) string { return "/" + strings.ReplaceAll(tensor, ".", "/") }
	mapped := func(tensor string, power float64, value func(path string) []float32) []float32 {
		values, err := grow.Moments(grown, tensor, power, func(tensor string, dst []float32) error {
			copy(dst, value(named(tensor)))
			return nil
		})
		require.NoError(t, err)
		return values
	}
	far := func(want, got []float32) (distance, size float64) {
		require.Len(t, got, len(want))
		for i, x := range want {
			distance, size = max(distance, math.Abs(float64(x-got[i]))), max(size, math.Abs(float64(x)))
		}
		return distance, size
	}
	for _, tensor := range grown.Tensors() {
		if strings.HasSuffix(tensor.Name, "key.bias") {
			continue // it has no gradient: what is there is rounding
		}
		for moment, power := range map[string]float64{"/adamw/m": 1, "/adamw/v": 2} {
			first := mapped(tensor.Name, power, func(path string) []float32 { return before[moment+path] })
			require.Equal(t, first, wideBefore[moment+named(tensor.Name)], tensor.Name)
			next := mapped(tensor.Name, power, func(path string) []float32 { return after[moment+path] })
			distance, size := far(next, wideAfter[moment+named(tensor.Name)])
			require.Positive(t, size, tensor.Name)
			require.LessOrEqual(t, distance, 2e-6*size, tensor.Name)
		}
		difference := func(a, b []float32) []float32 {
			d := make([]float32, len(a))
			for i := range a {
				d[i] = b[i] - a[i]
			}
			return d
		}
		distance, size := far(mapped(tensor.Name, 0, func(path string) []float32 { return difference(before[path], after[path]) }),
			difference(wideBefore[named(tensor.Name)], wideAfter[named(tensor.Name)]))
		require.LessOrEqual(t, distance, 2e-3*size, tensor.Name)
	}
	const bias = "/main/layer_0/ffn_out/bias"
	for i, x := range wideBefore["/adamw/v"+bias] {
		require.Equal(t, before["/adamw/v"+bias][i%16]/4, x, "half of the gradient, squared")
	}
}

// Moments are taken over as a step that corrects their bias sees them, and are corrected no more.
func TestMomentsAreMappedWithoutTheirBias(t *testing.T) {
	source := trained(t, "optimizer.bias_correction=true")
	set := grownFrom(source.Run.Dir, "optimizer.bias_correction=true", "growth.optimizer=mapped", "training.steps=1", "optimizer.warmup_steps=0")
	c := assigned(t, set...)
	require.Equal(t, []float32{1, 1}, training.Rates(c, 1)[1:3])
	require.Greater(t, training.Rates(assigned(t, append(set, "growth.optimizer=reset")...), 1)[1], float32(9))
	p, err := training.LoadPretrained(source.Run.Dir)
	require.NoError(t, err)
	s := newStepper(backendtest.Go(t), metro.Model{Config: c, Vocab: p.Model.Vocab, PadID: p.Model.PadID, SepID: p.Model.SepID})
	defer s.Close()
	require.NoError(t, s.Start(s.workload))
	require.NoError(t, s.workload.BeginWithOrigins(s.Program))
	_, old := checkpointed(t, source.Run)
	correction := training.Rates(p.Model.Config, 10)[1]
	require.Greater(t, correction, float32(1))
	for i, x := range variables(t, s)["/adamw/m/main/layer_0/ffn_out/bias"] {
		require.Equal(t, old["adamw.m.main.layer_0.ffn_out.bias"][i%16]/2*correction, x)
	}
}

// A main model alone grows where a run trains no generator, whatever shape a config has for one; where it trains one, that it is
// missing is what is said, in the words for a model that does not grow.
func TestAMainModelAloneGrows(t *testing.T) {
	dir := filepath.Join(exported(t, trained(t)), "discriminator")
	p, err := training.LoadPretrained(dir)
	require.NoError(t, err)
	small, err := p.Source()
	require.NoError(t, err)
	defer small.Close()
	wider := []string{"growth.width=fpi", "main.width=32", "main.heads=8", "main.ffn=64", "embeddings.output_scale=0.5"}
	for _, shape := range [][]string{nil, {"generator.width=32", "generator.heads=8"}} {
		next := trained(t, slices.Concat(still(dir, "objective.name=mlm"), wider, shape)...)
		q, err := training.LoadPretrained(next.Run.Dir)
		require.NoError(t, err)
		to := q.Model.Config
		has := small.Model().Config
		to.Generator, to.Objective.GeneratorHead, to.Sharing = has.Generator, has.Objective.GeneratorHead, has.Sharing
		large, err := grow.Grow(small, to, grow.Options{})
		require.NoError(t, err)
		got, _ := checkpointed(t, next.Run)
		grown := 0
		for name, values := range values32(t, large) {
			if _, there := got[name]; there { // the head of RTD is not
				require.Equal(t, values, got[name], name)
				grown++
			}
		}
		require.Greater(t, grown, 15)
	}
	require.Contains(t, refused(t, slices.Concat(still(dir), wider)...), "has no generator. A main model that learned")
	require.Contains(t, refused(t, slices.Concat(still(dir), wider, []string{"growth.restart_generator=true"})...), "has no generator. A main model that learned")
	require.Contains(t, refused(t, slices.Concat(still(dir, "objective.name=mlm"), wider[:1])...), "nothing grows")
}

// What cannot grow, or not without a loss, is refused before anything is written.
func TestRunsThatCannotBeginGrown(t *testing.T) {
	source := trained(t)
	dir := source.Run.Dir
	for says, set := range map[string][]string{
		"nothing grows": {"training.init_from=" + dir, "growth.width=fpi"},
		"noise tells copies apart, and no width grows": {"training.init_from=" + dir, "growth.width=fpi", "growth.noise=0.1", "main.layers=2"},
		"positions is":                      grownFrom(dir, "positions.bins=16"),
		"main.heads=4 makes them 8 wide":    grownFrom(dir, "main.heads=4"),
		"which is less":                     grownFrom(dir, "training.init_from="+trained(t, "main.layers=2").Run.Dir),
		"main.width=24 is 1.5 times 16":     grownFrom(dir, "main.width=24", "main.heads=6", "generator.width=24", "generator.heads=6"),
		"say what they said at 0.5":         grownFrom(dir, "embeddings.output_scale=0"),
		"needs layers that can add nothing": grownFrom(dir, "main.layers=2", "growth.depth=zero"),
		"holds weights alone, and nothing of what an optimizer remembers; set growth.optimizer=reset": grownFrom(exported(t, source), "growth.optimizer=mapped"),
		"optimizer.name=muon remembers is not mapped, only what adamw does":                           grownFrom(dir, "growth.optimizer=mapped", "optimizer.name=muon"),
		"in two stages (training.generator_steps=2)":                                                  grownFrom(trained(t, "sharing=none", "training.generator_steps=2").Run.Dir, "growth.optimizer=mapped", "sharing=none"),
		"the gradients of experts are not shares":                                                     {"training.init_from=" + dir, "growth.width=fpi", "growth.optimizer=mapped", "main.feed_forward=moe"},
		"is not a run": grownFrom(filepath.Join(dir, runs.CheckpointsDir)),
	} {
		require.Contains(t, refused(t, set...), says)
	}
	uneven := grownFrom(dir, "main.width=24", "main.heads=6", "generator.width=24", "generator.heads=6", "growth.approximate=true")
	require.NotEmpty(t, trained(t, uneven...).Metrics)
	require.Equal(t, metro.WidthNone, assigned(t).Growth.Width)
}
