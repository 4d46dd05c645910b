// SPDX-License-Identifier: Apache-2.0

package training

import (
	"fmt"
	"math"
	"math/rand/v2"
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
	"metrolab/metro/recipes"
)

// hostAdamW is one variable's AdamW in plain Go.
type hostAdamW struct{ w, m, v []float64 }

func (a *hostAdamW) step(gradient []float64, scale, rate float64, t int, decay bool, o metro.Optimizer) {
	for i, g := range gradient {
		g *= scale
		a.m[i] = o.Beta1*a.m[i] + (1-o.Beta1)*g
		a.v[i] = o.Beta2*a.v[i] + (1-o.Beta2)*g*g
		first := a.m[i] / (1 - math.Pow(o.Beta1, float64(t)))
		second := a.v[i] / (1 - math.Pow(o.Beta2, float64(t)))
		update := first / (math.Sqrt(second) + o.Epsilon)
		if decay {
			update += o.WeightDecay * a.w[i]
		}
		a.w[i] -= rate * update
	}
}

// weighted is the loss of the tests: Σ c·(w−target)²/2 over all variables, whose gradient c·(w−target) needs no graph.
// Far
// from the targets the gradient is clipped, near them it is not.
type weighted struct{ targets, curvatures map[string][]float64 }

var adamWVariables = map[string][]int{"weights": {3, 4}, "bias": {4}, "gain": {2}, "offset": {5}, "output_bias": {3}, "relative_position_table": {2, 2}}

func newWeighted() weighted {
	rng := rand.New(rand.NewPCG(1, 2))
	l := weighted{map[string][]float64{}, map[string][]float64{}}
	for _, name := range []string{"bias", "gain", "offset", "output_bias", "relative_position_table", "weights"} {
		for range size(adamWVariables[name]) {
			l.targets[name] = append(l.targets[name], rng.NormFloat64())
			l.curvatures[name] = append(l.curvatures[name], math.Exp(rng.NormFloat64()))
		}
	}
	return l
}

func (l weighted) graph(scope *model.Scope, g *Graph) *Node {
	loss := Scalar(g, dtypes.Float64, 0)
	for name, dims := range adamWVariables {
		w := layers.Param(scope.At("room"), g, name, layers.InitNormal(1), dims...)
		target := Const(g, tensors.FromFlatDataAndDimensions(l.targets[name], dims...))
		curvature := Const(g, tensors.FromFlatDataAndDimensions(l.curvatures[name], dims...))
		loss = Add(loss, MulScalar(ReduceAllSum(Mul(curvature, Square(Sub(w, target)))), 0.5))
	}
	return loss
}

func size(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// Fifty steps in the graph, in float64, against plain Go: weights and both moments of every kind of variable, with and
// without clipping and decay.
func TestAdamWAgainstPlainGo(t *testing.T) {
	for _, o := range []metro.Optimizer{
		{Beta1: 0.9, Beta2: 0.98, Epsilon: 1e-6, WeightDecay: 0.1, ClipNorm: 4},
		{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 0, ClipNorm: 0},
		{Beta1: 0, Beta2: 0.5, Epsilon: 1e-3, WeightDecay: 1, ClipNorm: 8},
	} {
		c := metro.Config{Optimizer: o, Training: metro.Training{Steps: 50}}
		c.Optimizer.LayerDecay = 1
		c.Optimizer.LearningRate, c.Optimizer.WarmupSteps = 0.1, 10
		t.Run(fmt.Sprintf("decay %g, clip %g", o.WeightDecay, o.ClipNorm), func(t *testing.T) { compareAdamW(t, c) })
	}
}

func compareAdamW(t *testing.T, c metro.Config) {
	o, l, store := c.Optimizer, newWeighted(), model.NewStore()
	store.SetParam(layers.ParamDType, dtypes.Float64)
	exec, err := model.NewExec(backendtest.Go(t), store, func(scope *model.Scope, in []*Node) []*Node {
		loss := l.graph(scope, in[0].Graph())
		variables := sorted(store, func(v *model.Variable) bool { return !strings.HasPrefix(v.Path(), momentScope) })
		rates := Stack([]*Node{in[0], in[1], in[2], in[0], in[1], in[2]}, 0)
		return []*Node{adamW(store, variables, gradients(loss, variables), rates, c)}
	})
	require.NoError(t, err)
	values := func(path string) []float64 {
		return tensors.MustCopyFlatData[float64](store.GetVariable(path).MustValue())
	}

	host, clipped := map[string]*hostAdamW{}, 0
	model.MustNewExec(backendtest.Go(t), store, func(scope *model.Scope, in []*Node) []*Node { // makes the variables
		return []*Node{l.graph(scope, in[0].Graph())}
	}).MustCall(1.0)
	for name, dims := range adamWVariables {
		host[name] = &hostAdamW{values("/room/" + name), make([]float64, size(dims)), make([]float64, size(dims))}
	}
	for step := 1; step <= c.Training.Steps; step++ {
		slopes, sum := map[string][]float64{}, 0.0
		for name, a := range host {
			g := make([]float64, len(a.w))
			for i := range g {
				g[i] = l.curvatures[name][i] * (a.w[i] - l.targets[name][i])
				sum += g[i] * g[i]
			}
			slopes[name] = g
		}
		norm, scale := math.Sqrt(sum), 1.0
		if o.ClipNorm > 0 && norm > o.ClipNorm {
			scale = o.ClipNorm / (norm + 1e-6)
			clipped++
		}
		rate := LearningRate(c, step)
		correction := func(beta float64) float64 { return 1 / (1 - math.Pow(beta, float64(step))) }
		out, err := exec.Call(rate, correction(o.Beta1), correction(o.Beta2))
		require.NoError(t, err)
		require.InEpsilon(t, norm, tensors.ToScalar[float64](out[0]), 1e-9, "the norm is the one before clipping, step %d", step)
		for name, a := range host {
			a.step(slopes[name], scale, rate, step, name == "weights" || name == "relative_position_table", o)
			require.InDeltaSlice(t, a.w, values("/room/"+name), 1e-9, "%s after step %d", name, step)
			require.InDeltaSlice(t, a.m, values(momentScope+"m/room/"+name), 1e-9, "m of %s after step %d", name, step)
			require.InDeltaSlice(t, a.v, values(momentScope+"v/room/"+name), 1e-9, "v of %s after step %d", name, step)
		}
	}
	if o.ClipNorm > 0 {
		require.True(t, clipped > 0 && clipped < c.Training.Steps, "clipped %d steps: the test should see both", clipped)
	}
}

// Every variable of a model with all parts in it, and whether it decays. A new kind of variable has to be decided here.
func TestWhatDecays(t *testing.T) {
	c := recipes.Micro()
	c.Generator.Width, c.Generator.Heads = 8, 2
	c.Sharing, c.Objective.GeneratorHead, c.Objective.RTDHead = metro.SharingNone, metro.GeneratorHeadNorm, metro.RTDHeadProjected
	store, err := InitialVariables(backendtest.Go(t), metro.Model{Config: c, Vocab: 20})
	require.NoError(t, err)
	want := map[string]bool{"/main/clm/output_bias": false, "/generator/head/output_bias": false}
	add := func(scope string, names ...string) {
		for _, name := range names {
			want[scope+name] = name == "weights" || strings.HasSuffix(name, "_embedding") || strings.HasSuffix(name, "_table")
		}
	}
	for _, room := range []string{"/main/", "/generator/"} {
		add(room, "relative_position_table")
		add(room+"embedding_norm/", "gain", "offset")
		for _, dense := range []string{"attention/query/", "attention/key/", "attention/value/", "attention/output/", "ffn_in/", "ffn_out/"} {
			add(room+"layer_0/"+dense, "weights", "bias")
		}
		add(room+"layer_0/attention_norm/", "gain", "offset")
		add(room+"layer_0/ffn_norm/", "gain", "offset")
	}
	add("/shared/", "token_embedding", "position_embedding")
	add("/generator/", "token_embedding", "position_embedding")
	add("/generator/embedding_projection/", "weights", "bias")
	add("/generator/head/transform/", "weights", "bias")
	add("/generator/head/norm/", "gain", "offset")
	add("/main/rtd/transform/", "weights", "bias")
	add("/main/rtd/output/", "weights", "bias")
	got := map[string]bool{}
	for v := range store.IterVariables() {
		got[v.Path()] = decays(v)
	}
	require.Equal(t, want, got)
}

// The step on every backend in float32: the same numbers as plain Go after one step, where m and v are the gradient's
// and the update is its sign.
func TestOptimizeFirstStep(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		c := schedule32()
		store := model.NewStore()
		exec, err := model.NewExec(be, store, func(scope *model.Scope, in []*Node) []*Node {
			w := layers.Param(scope, in[0], "weights", layers.InitOnes, 4)
			return []*Node{Optimize(store, ReduceAllSum(Mul(w, in[0])), in[1], metro.Model{Config: c})}
		})
		require.NoError(t, err)
		out, err := exec.Call([]float32{3, -4, 1e-3, 0}, Rates(c, 1))
		require.NoError(t, err)
		require.InDelta(t, 5, float64(tensors.ToScalar[float32](out[0])), 1e-5)
		got := tensors.MustCopyFlatData[float32](store.GetVariable("/weights").MustValue())
		for i, want := range []float64{1 - 0.1*(1+0.5), 1 - 0.1*(-1+0.5), 1 - 0.1*(1+0.5), 1 - 0.1*0.5} {
			require.InDelta(t, want, float64(got[i]), 1e-4)
		}
	})
}

func schedule32() metro.Config {
	return metro.Config{
		Optimizer: metro.Optimizer{LearningRate: 0.1, BiasCorrection: true, LayerDecay: 1, Beta1: 0.9, Beta2: 0.98, Epsilon: 1e-9, WeightDecay: 0.5, WarmupSteps: 1},
		Training:  metro.Training{Steps: 10},
	}
}
