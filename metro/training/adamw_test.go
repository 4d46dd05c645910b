// SPDX-License-Identifier: Apache-2.0

package training

import (
	"fmt"
	"math"
	"math/rand/v2"
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

// hostAdamW is one variable's AdamW in plain Go.
type hostAdamW struct{ w, m, v []float64 }

func (a *hostAdamW) step(gradient []float64, scale, rate float64, t int, decay bool, o metro.Optimizer) {
	correction1, correction2 := corrections(o, t)
	for i, g := range gradient {
		g *= scale
		a.m[i] = o.Beta1*a.m[i] + (1-o.Beta1)*g
		a.v[i] = o.Beta2*a.v[i] + (1-o.Beta2)*g*g
		update := a.m[i] * correction1 / (math.Sqrt(a.v[i]*correction2) + o.Epsilon)
		if decay {
			update += o.WeightDecay * a.w[i]
		}
		a.w[i] -= rate * update
	}
}

func corrections(o metro.Optimizer, t int) (first, second float64) {
	if !o.BiasCorrection {
		return 1, 1
	}
	return 1 / (1 - math.Pow(o.Beta1, float64(t))), 1 / (1 - math.Pow(o.Beta2, float64(t)))
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
// without clipping, decay and bias correction.
func TestAdamWAgainstPlainGo(t *testing.T) {
	for _, o := range []metro.Optimizer{
		{Beta1: 0.9, Beta2: 0.98, Epsilon: 1e-6, WeightDecay: 0.1, ClipNorm: 4, BiasCorrection: true},
		{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-6, WeightDecay: 0.01, ClipNorm: 1},
		{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 0, ClipNorm: 0, BiasCorrection: true},
		{Beta1: 0, Beta2: 0.5, Epsilon: 1e-3, WeightDecay: 1, ClipNorm: 8, BiasCorrection: true},
	} {
		c := metro.Config{Optimizer: o, Training: metro.Training{Steps: 50}}
		c.Optimizer.LayerDecay = 1
		c.Optimizer.LearningRate, c.Optimizer.WarmupSteps = 0.1, 10
		t.Run(fmt.Sprintf("decay %g, clip %g, correction %t", o.WeightDecay, o.ClipNorm, o.BiasCorrection), func(t *testing.T) { compareAdamW(t, c) })
	}
}

func compareAdamW(t *testing.T, c metro.Config) {
	o, l, store := c.Optimizer, newWeighted(), model.NewStore()
	store.SetParam(layers.ParamDType, dtypes.Float64)
	exec, err := model.NewExec(backendtest.Go(t), store, func(scope *model.Scope, in []*Node) []*Node {
		loss := l.graph(scope, in[0].Graph())
		variables := learning(store, metro.Model{Config: c}.ReadBy(loss.Graph(), store))
		rates := Stack([]*Node{in[0], in[1], in[2], in[0], in[1], in[2]}, 0)
		return []*Node{update(store, variables, gradients(loss, variables), rates, c)}
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
		rate := c.LearningRate(step)
		correction1, correction2 := corrections(o, step)
		out, err := exec.Call(rate, correction1, correction2)
		require.NoError(t, err)
		require.InEpsilon(t, norm, tensors.ToScalar[float64](out[0]), 1e-9, "the norm is the one before clipping, step %d", step)
		for name, a := range host {
			a.step(slopes[name], scale, rate, step, name == "weights" || name == "relative_position_table", o)
			require.InDeltaSlice(t, a.w, values("/room/"+name), 1e-9, "%s after step %d", name, step)
			require.InDeltaSlice(t, a.m, values("/adamw/m/room/"+name), 1e-9, "m of %s after step %d", name, step)
			require.InDeltaSlice(t, a.v, values("/adamw/v/room/"+name), 1e-9, "v of %s after step %d", name, step)
		}
	}
	if o.ClipNorm > 0 {
		require.True(t, clipped > 0 && clipped < c.Training.Steps, "clipped %d steps: the test should see both", clipped)
	}
}

// The step on every backend in float32: the same numbers as plain Go after one step, where m and v are the gradient's
// and the update is its sign.
func TestOptimizeFirstStep(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		c := schedule32()
		store := model.NewStore()
		exec, err := model.NewExec(be, store, func(scope *model.Scope, in []*Node) []*Node {
			w := layers.Param(scope, in[0], "weights", layers.InitOnes, 4)
			return []*Node{Optimize(store, ReduceAllSum(Mul(w, in[0])), in[1], metro.Model{Config: c}.ReadBy(w.Graph(), store), c)}
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

// The first step on a gradient of 1 at a rate of 1: 0.1/(√0.001+1e-6) = 3.162178 as ELECTRA's code has it, without bias
// correction, and 1/(1+1e-6) with it.
func TestFirstStepWithoutBiasCorrection(t *testing.T) {
	for _, test := range []struct {
		correction bool
		want       float64
	}{{false, 3.162178}, {true, 0.999999}} {
		c := metro.Config{Training: metro.Training{Steps: 10}, Optimizer: metro.Optimizer{
			LearningRate: 1, FinalFraction: 1, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-6, BiasCorrection: test.correction, LayerDecay: 1,
		}}
		store := model.NewStore()
		store.SetParam(layers.ParamDType, dtypes.Float64)
		exec, err := model.NewExec(backendtest.Go(t), store, func(scope *model.Scope, rates *Node) *Node {
			w := layers.Param(scope, rates, "weights", layers.InitOnes, 1)
			return Optimize(store, ReduceAllSum(w), rates, metro.Model{Config: c}.ReadBy(w.Graph(), store), c)
		})
		require.NoError(t, err)
		_, err = exec.Call1(doubles(Rates(c, 1)))
		require.NoError(t, err)
		got := tensors.MustCopyFlatData[float64](store.GetVariable("/weights").MustValue())
		require.InDelta(t, 1-test.want, got[0], 5e-7)
	}
}

func doubles(values []float32) []float64 {
	wide := make([]float64, len(values))
	for i, v := range values {
		wide[i] = float64(v)
	}
	return wide
}

func schedule32() metro.Config {
	return metro.Config{
		Optimizer: metro.Optimizer{LearningRate: 0.1, BiasCorrection: true, LayerDecay: 1, Beta1: 0.9, Beta2: 0.98, Epsilon: 1e-9, WeightDecay: 0.5, WarmupSteps: 1},
		Training:  metro.Training{Steps: 10},
	}
}
