// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/layers"
	"metrolab/metro"
)

const withExits = "objective.name=rtd_clm_exits"

// exitModels are shapes in which the layers differ.
var exitModels = []string{
	"main.layers=3",
	"main.layers=4 main.norm=pre positions.per_layer=true embeddings.width=5 objective.rtd_head=linear objective.options.layers=1,3",
	"main.layers=3 main.feed_forward=moe positions.within_documents=true",
}

// exiting is the detector of a model with early exits, as one graph whose threshold is an input.
type exiting struct {
	m    metro.Model
	exec *model.Exec
}

// exited is what it says at one threshold.
type exited struct {
	full   []float64   // logits of [metro.Model.Detect]
	heads  [][]float64 // of [metro.Model.DetectAtHeads]
	states [][]float64 // after each part
	logits []float64
	depth  []int32
}

func newExiting(t *testing.T, be compute.Backend, store *model.Store, m metro.Model) exiting {
	t.Helper()
	heads := len(m.EarlyParts())
	exec := model.MustNewExec(be, store, func(scope *model.Scope, in []*Node) []*Node {
		scale := Scalar(in[0].Graph(), model.GetParamOr(scope, layers.ParamDType, dtypes.Float32), m.Config.Positions.Scale)
		out := append([]*Node{m.Detect(scope, in[0], scale)}, m.DetectAtHeads(scope, in[0], scale)...)
		var at metro.Exits
		for part := range heads {
			at = m.DetectEarlyPart(scope, in[0], scale, in[1], part, at)
			out = append(out, at.States)
		}
		return append(out, at.Logits, at.Depth)
	})
	t.Cleanup(exec.Finalize)
	return exiting{m, exec}
}

func (x exiting) at(threshold float64) (e exited) {
	out := x.exec.MustCall(smallBatch().tokens, threshold)
	heads := len(x.m.EarlyParts())
	e.full = flat(out[0])
	for i := range heads {
		e.heads, e.states = append(e.heads, flat(out[1+i])), append(e.states, flat(out[1+heads+i]))
	}
	e.logits, e.depth = flat(out[1+2*heads]), tensors.MustCopyFlatData[int32](out[2+2*heads])
	return e
}

// nearly compares to the bit in pure Go, and but for 1e-6 of the number elsewhere.
func nearly(t *testing.T, be compute.Backend, want, got []float64, what ...any) {
	t.Helper()
	if be == backendtest.Go(t) {
		require.Equal(t, want, got, what...)
		return
	}
	require.Len(t, got, len(want), what...)
	for i := range want {
		require.LessOrEqual(t, math.Abs(want[i]-got[i]), 1e-6*math.Abs(want[i])+1e-15, what...)
	}
}

// Above 1 nothing leaves, and the logits are the full model's; at one half everything leaves at the first head. In between a token
// leaves where a head is sure, with the logit of that head; its state is the same to the bit after every later layer, and a token that
// has not left goes on. The threshold is an input of one graph.
func TestEarlyExits(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for _, set := range exitModels {
			m := small(t, append([]string{withExits}, strings.Fields(set)...)...)
			m.SepID = 3
			x, ends, width := newExiting(t, be, shaken(be, m), m), m.EarlyParts(), m.Config.Main.Width
			never := x.at(1.000001)
			nearly(t, be, never.full, never.logits, "%s: nothing leaves", set)
			nearly(t, be, never.full, never.heads[len(ends)-1], set)
			for i := range never.depth {
				require.EqualValues(t, m.Config.Main.Layers, never.depth[i], set)
			}
			for _, threshold := range []float64{0.5, 0} {
				always := x.at(threshold)
				nearly(t, be, never.heads[0], always.logits, "%s: all leave at the first head", set)
				for i := range always.depth {
					require.EqualValues(t, ends[0], always.depth[i], set)
				}
			}
			var sure []float64
			for _, z := range never.heads[0] {
				sure = append(sure, sigmoid(math.Abs(z)))
			}
			threshold := (median(sure) + slices.Max(sure)) / 2
			some := x.at(threshold)
			left, stayed := 0, 0
			for i, depth := range some.depth {
				require.Equal(t, sure[i] >= threshold, depth == int32(ends[0]), "%s: what the first head says is decided alike", set)
				if depth == int32(ends[0]) {
					nearly(t, be, never.heads[0][i:i+1], some.logits[i:i+1], set)
				}
				for part := 1; part < len(ends); part++ {
					before, after := some.states[part-1][i*width:(i+1)*width], some.states[part][i*width:(i+1)*width]
					if depth < int32(ends[part]) {
						require.Equal(t, before, after, "%s: token %d left after layer %d", set, i, depth)
						left++
					} else {
						require.NotEqual(t, before, after, "%s: token %d", set, i)
						stayed++
					}
				}
			}
			require.Positive(t, left, set)
			require.Positive(t, stayed, set)
		}
	})
}

// A run in parts is the run in one.
func TestDetectEarlyIsItsParts(t *testing.T) {
	be, m := backendtest.Go(t), small(t, withExits, "main.layers=3")
	store := shaken(be, m)
	exec := model.MustNewExec(be, store, func(scope *model.Scope, in []*Node) []*Node {
		e := m.DetectEarly(scope, in[0], Scalar(in[0].Graph(), dtypes.Float64, m.Config.Positions.Scale), in[1])
		return []*Node{e.Logits, e.States, e.Depth}
	})
	defer exec.Finalize()
	out, parts := exec.MustCall(smallBatch().tokens, 0.55), newExiting(t, be, store, m).at(0.55)
	require.Equal(t, parts.logits, flat(out[0]))
	require.Equal(t, parts.states[2], flat(out[1]))
	require.Equal(t, parts.depth, tensors.MustCopyFlatData[int32](out[2]))
}

func median(x []float64) float64 { return slices.Sorted(slices.Values(x))[len(x)/2] }

// Where every head reads the same states whatever has left, each token leaves no later at a lower threshold: at the first head,
// whatever lies above it, and at all heads where no token reads another (attention writes nothing). Elsewhere it is not sure.
func TestLowerThresholdsLeaveNoLater(t *testing.T) {
	be, m := backendtest.Go(t), small(t, withExits, "main.layers=4")
	store := shaken(be, m)
	thresholds := []float64{0.5, 0.52, 0.55, 0.6, 0.7, 0.8, 0.9, 0.99, 1.1}
	x := newExiting(t, be, store, m)
	for k := 1; k < len(thresholds); k++ {
		lower, higher := x.at(thresholds[k-1]), x.at(thresholds[k])
		for i := range lower.depth {
			require.True(t, higher.depth[i] > 1 || lower.depth[i] == 1)
		}
	}
	for i := range m.Config.Main.Layers {
		for _, kind := range []string{"weights", "bias"} {
			v := store.GetVariable(fmt.Sprintf("/main/layer_%d/attention/output/%s", i, kind))
			setValue(v, make([]float64, v.Shape().Size()))
		}
	}
	depths := map[int32]bool{}
	for k := 1; k < len(thresholds); k++ {
		lower, higher := x.at(thresholds[k-1]), x.at(thresholds[k])
		for i := range lower.depth {
			require.LessOrEqual(t, lower.depth[i], higher.depth[i], "token %d from %g to %g", i, thresholds[k-1], thresholds[k])
			depths[higher.depth[i]] = true
		}
	}
	require.Greater(t, len(depths), 2, "tokens leave at more than two depths")
}

// With all weight on the last head the loss, and each weight's gradient, is the baseline's: to the bit in pure Go. The lower heads are
// there, and are not taught.
func TestWeightOnTheLastHeadIsTheBaseline(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		sets := []string{"", "objective.clm=mixture_flow", "main.norm=pre training.activation_checkpointing=true", "main.feed_forward=moe"}
		if be != backendtest.Go(t) {
			sets = sets[:1] // which compiles for seconds
		}
		for _, set := range sets {
			with := strings.Fields(set)
			base, m := small(t, with...), small(t, append(with, withExits, "objective.options.early_weight=0")...)
			store := shaken(be, m)
			require.NotNil(t, store.GetVariable("/main/rtd_1/output/weights"), "the heads are built")
			losses, want := gradients(be, store, base, total)
			asked := []func(p *metro.Pass) *Node{total, term("early_rtd")}
			if be != backendtest.Go(t) {
				asked = asked[:1]
			}
			other, got := gradients(be, store, m, asked...)
			nearly(t, be, losses, other[:1], set)
			for path, g := range got[0] {
				nearly(t, be, want[0][path], g, "%s %s", set, path)
				if strings.HasPrefix(path, "/main/rtd_") {
					require.Zero(t, norm(g), path)
				}
				if strings.HasPrefix(path, "/main/rtd_") && len(got) > 1 {
					require.NotZero(t, norm(got[1][path]), "%s: the lower heads have a loss", path)
				}
			}
		}
	})
}

// The weights are objective.rtd_weight divided in proportion to depth to the power; they are inputs of the graph.
func TestWeightsOfHeads(t *testing.T) {
	be := backendtest.Go(t)
	for _, test := range []struct {
		set  string
		want []float64 // of the heads, the last among them
	}{
		{"", []float64{12.5, 25, 37.5, 50}},
		{"objective.options.power=0", []float64{31.25, 31.25, 31.25, 31.25}},
		{"objective.options.early_weight=0", []float64{0, 0, 0, 125}},
		{"objective.options.early_weight=2 objective.options.layers=2", []float64{0, 62.5, 0, 62.5}},
	} {
		m := small(t, append([]string{withExits, "main.layers=4", "objective.rtd_weight=125", "objective.generator_weight=0", "objective.clm_weight=0"}, strings.Fields(test.set)...)...)
		store := shaken(be, m)
		var losses []func(p *metro.Pass) *Node
		for layer := 1; layer <= 3; layer++ {
			losses = append(losses, func(p *metro.Pass) *Node {
				logits := p.Built(fmt.Sprintf("RTDLogits_%d", layer))
				if logits == nil {
					return ZerosLike(p.Loss)
				}
				return metro.RTDLoss(logits, p.Replaced(), p.NonPad)
			})
		}
		losses = append(losses, term("rtd"))
		out := call(be, store, m, smallBatch(), func(p *metro.Pass) (nodes []*Node) {
			for _, loss := range losses {
				nodes = append(nodes, loss(p))
			}
			return append(nodes, p.Loss)
		})
		sum := 0.0
		for i, w := range test.want {
			sum += w * number(out[i])
		}
		require.InDelta(t, sum, number(out[4]), 1e-9, test.set)
		require.Equal(t, small(t, withExits, "main.layers=4").Config.GraphKey() == m.Config.GraphKey(), !strings.Contains(test.set, "layers"), test.set)
	}
}

func TestSettingsOfExitsThatDoNotGoTogether(t *testing.T) {
	for _, test := range []struct{ set, want string }{
		{"main.layers=1", "objective.name=rtd_clm_exits puts RTD heads below the last layer, and main.layers=1 has none below; set main.layers to 2 or more, or objective.name=rtd_clm"},
		{"objective.options.layers=1,9", `objective.options.layers must be "all", or different layers below the last, from 1 to`},
		{"objective.options.layers=1,1", "objective.options.layers must be"},
		{"objective.options.layers=some", "objective.options.layers must be"},
		{"objective.options.power=9", "objective.options.power must be in [0, 8], it is 9"},
		{"objective.clm=without_copy", "objective.clm=without_copy trains none; set objective.clm=simplified"},
	} {
		c := tinyOf1800()
		err := c.SetAll(append(strings.Fields(test.set), withExits)...)
		if err == nil {
			err = c.Validate()
		}
		require.ErrorContains(t, err, test.want, test.set)
	}
	require.Panics(t, func() { small(t).EarlyParts() })
	require.Nil(t, small(t).Config.ExitLayers())
	require.Equal(t, []int{1, 3}, small(t, withExits, "main.layers=4", "objective.options.layers=3, 1").Config.ExitLayers())
}
