// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/training"
)

// byPrefixes are the assignments of a model whose first steps train prefixes, a layer at a time: of three layers or, for XLA, of two,
// and lean.
func byPrefixes(be compute.Backend, others ...string) []string {
	base := []string{"training.steps=20", "training.prefix_steps=14", "training.prefix_layers=1",
		"optimizer.warmup_steps=0", "optimizer.weight_decay=1", "optimizer.clip_norm=0", "objective.rtd_zero_init=false"}
	if kind(be) == "go" {
		return append(append(base, "main.layers=3"), others...)
	}
	return append(base, "main.layers=2", "objective.name=mlm", "positions.relative=none")
}

// movesAt says, by the path of a weight alone, whether a step on the prefix of d layers moves it, one layer being the block.
func movesAt(path string, d int) bool {
	switch parts := strings.Split(path[1:], "/"); {
	case parts[0] == "generator":
		return true
	case parts[0] == "main" && strings.HasPrefix(parts[1], "layer_"):
		return parts[1] == "layer_"+strconv.Itoa(d-1)
	case parts[0] == "main":
		switch parts[1] {
		case "rtd", "clm", "lm", "scl", "final_norm":
			return true
		}
	}
	return d == 1
}

// drawnIn lists the first step of a config that trains a prefix of each depth, by the depth; for XLA, which compiles for longer, the
// deepest alone.
func drawnIn(t *testing.T, be compute.Backend, c metro.Config) map[int]int {
	t.Helper()
	steps := map[int]int{}
	for step := c.Training.PrefixSteps; step > 0; step-- {
		steps[c.PrefixAt(step)] = step
	}
	require.Len(t, steps, len(c.Prefixes()))
	if kind(be) != "go" {
		return map[int]int{c.Main.Layers: steps[c.Main.Layers]}
	}
	return steps
}

// weightOf is the path of the weight that a variable of an optimizer is about, or its own.
func weightOf(path string) string {
	parts := strings.SplitN(path[1:], "/", 3)
	if parts[0] == metro.OptimizerAdamW || parts[0] == metro.OptimizerMuon {
		return "/" + parts[2]
	}
	return path
}

// A step on a prefix leaves what rests as it is, to the bit, its moments included, and moves all else.
func TestPrefixStepsMoveTheirBlock(t *testing.T) {
	moves := func(t *testing.T, be compute.Backend, settings string) {
		c := assigned(t, byPrefixes(be, strings.Fields(settings)...)...)
		p := started(t, be, c)
		for d, step := range drawnIn(t, be, c) {
			before := variables(t, p)
			stepped(t, p, c, step, step)
			for path, v := range variables(t, p) {
				switch {
				case !movesAt(weightOf(path), d):
					require.Equal(t, before[path], v, "%d layers: %s has moved", d, path)
				case path == weightOf(path) && !strings.HasSuffix(path, "bias"): // whose gradient may be 0
					require.NotEqual(t, before[path], v, "%d layers: %s has not moved", d, path)
				}
			}
		}
	}
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) { moves(t, be, "") })
	for _, settings := range []string{
		"sharing=none main.norm=pre objective.clm=weighted",
		"sharing=gdes positions.per_layer=true",
		"sharing=token_position_norm optimizer.layer_decay=0.8 optimizer.name=muon",
		"sharing=all generator.layers=3 training.accumulate=2",
		"objective.name=rtd_clm_scl training.accumulate=2",
		"objective.name=rtd_clm_mist replacements.source=unigram",
		"main.feed_forward=moe training.activation_checkpointing=true main.dropout=0.1",
	} {
		t.Run(settings, func(t *testing.T) { moves(t, backendtest.Go(t), settings) })
	}
}

// A step on a prefix is one of the model that has its layers alone: it has that model's loss and, of what moves, its gradient, which a
// fresh moment is a part of, and its step.
func TestAPrefixIsAModelOfItsDepth(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		c := assigned(t, byPrefixes(be, "main.norm=pre", "optimizer.layer_decay=0.8")...)
		for d, step := range drawnIn(t, be, c) {
			p := started(t, be, c)
			tally, _ := stepped(t, p, c, step, step)
			got := variables(t, p)
			alone := started(t, be, c.Prefix(d))
			start := variables(t, alone)
			want, _ := stepped(t, alone, c.Prefix(d), step, step)
			within(t, want.Metrics(), tally.Metrics(), 1e-6, fmt.Sprint(d, " layers"))
			for path, v := range variables(t, alone) {
				switch {
				case !movesAt(weightOf(path), d):
					require.Equal(t, start[path], got[path], path)
				case kind(be) == "go":
					require.Equal(t, v, got[path], "%d layers: %s", d, path)
				case strings.HasPrefix(path, "/adamw/m/"):
					require.InDeltaSlice(t, v, got[path], 1e-7, "%d layers: %s", d, path)
				}
			}
		}
	})
}

// Where the block is all layers, the step of the first stage is the usual one, to the bit, though it is a graph of its own.
func TestAPrefixOfAllLayersIsTheModel(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		whole := assigned(t, byPrefixes(be)...)
		usual := whole.Prefix(whole.Main.Layers)
		whole.Training.PrefixLayers = whole.Main.Layers
		require.True(t, usererr.Is(whole.Validate()), "it changes nothing")
		p := started(t, be, usual)
		stepped(t, p, usual, 1, 3)
		want := variables(t, p)
		p = started(t, be, whole)
		stepped(t, p, whole, 1, 3)
		require.Equal(t, want, variables(t, p))
	})
}

// Stopping within the first stage, at its end and after it, and going on, changes nothing.
func TestStoppedRunGoesOnExactlyBetweenPrefixes(t *testing.T) {
	be := backendtest.Go(t)
	sameWhenStopped(t, be, assigned(t, byPrefixes(be, "training.prefix_steps=9", "training.log_every=7", "training.checkpoint_every=6",
		"training.ema=0.9", "main.dropout=0.1", "training.accumulate=2")...), 4, 9, 10)
}

// A fork goes on in the stage in which its trunk was, and may leave it at once; what lies behind it stays.
func TestForksAcrossPrefixes(t *testing.T) {
	be := backendtest.Go(t)
	r := runner(t, be)
	config := func(assignments ...string) metro.Config {
		return assigned(t, byPrefixes(be, append([]string{"training.log_every=2", "training.keep_at=6"}, assignments...)...)...)
	}
	trunk, err := r.Run(t.Context(), "run", config(), nil)
	require.NoError(t, err)
	fork := func(assignments ...string) (training.Result, error) {
		return r.Run(t.Context(), "run", config(append(assignments, "training.fork="+trunk.Run.ID+"@6")...), nil)
	}
	same, err := fork()
	require.NoError(t, err)
	equalRuns(t, trunk.Run, same.Run)
	left, err := fork("training.prefix_steps=6")
	require.NoError(t, err)
	a, b := lines(t, metricsOf(t, trunk.Run)), lines(t, metricsOf(t, left.Run))
	require.Equal(t, a[:3], b[:3])
	require.NotEqual(t, a[3], b[3])
	_, err = fork("training.prefix_steps=5")
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "a fork cannot change training.prefix_steps (5, and 14 in the run that it goes on with): the stages of the steps up to 6 are over")
}

// Devices share the rows of steps on prefixes as those of any.
func TestDevicesShareAPrefix(t *testing.T) {
	be := backendtest.XLA(t)
	c := assigned(t, byPrefixes(be)...)
	alone, shared := started(t, be, c), startedOn(t, 2, c)
	for _, step := range drawnIn(t, be, c) {
		want, _ := stepped(t, alone, c, step, step)
		got, _ := stepped(t, shared, c, step, step)
		within(t, want.Metrics(), got.Metrics(), 1e-6, "2 devices")
	}
	moments := variables(t, alone)
	for path, v := range variables(t, shared) {
		if strings.HasPrefix(path, "/adamw/m/") {
			require.InDeltaSlice(t, moments[path], v, 1e-6, path)
		}
	}
}
