// SPDX-License-Identifier: Apache-2.0

package training

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
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

// torchAdamW is testdata/adamw_torch.json: 50 steps of torch.optim.AdamW with clip_grad_norm_ and
// get_linear_schedule_with_warmup, in float64, on gradients that are given. scripts/parity wrote it; its first field says
// what the others are.
type torchAdamW struct {
	About     string                 `json:"about"`
	Steps     int                    `json:"steps"`
	Warmup    int                    `json:"warmup"`
	Peak      float64                `json:"peak"`
	Shapes    map[string][]int       `json:"shapes"`
	Decays    []string               `json:"decays"`
	Start     map[string][]float64   `json:"start"`
	Gradients []map[string][]float64 `json:"gradients"`
	Rates     []float64              `json:"rates"`
	Cases     []struct {
		Beta1       float64                `json:"beta1"`
		Beta2       float64                `json:"beta2"`
		Epsilon     float64                `json:"epsilon"`
		WeightDecay float64                `json:"weight_decay"`
		Clip        float64                `json:"clip"`
		Norms       []float64              `json:"norms"`
		Values      []map[string][]float64 `json:"values"`
	} `json:"cases"`
}

func readTorchAdamW(t *testing.T) (f torchAdamW) {
	t.Helper()
	text, err := os.ReadFile("testdata/adamw_torch.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &f))
	require.Len(t, f.Gradients, f.Steps)
	require.GreaterOrEqual(t, len(f.Cases), 2)
	return f
}

func (f torchAdamW) config(i int) metro.Config {
	o := f.Cases[i]
	return metro.Config{Training: metro.Training{Steps: f.Steps}, Optimizer: metro.Optimizer{
		LearningRate: f.Peak, Schedule: metro.ScheduleThen, WarmupSteps: f.Warmup, Beta1: o.Beta1, Beta2: o.Beta2, Epsilon: o.Epsilon,
		BiasCorrection: true, WeightDecay: o.WeightDecay, ClipNorm: o.Clip, LayerDecay: 1,
	}}
}

// Our warm-up counts the step itself, as the fixture's schedule does, and our fall the steps before it: a step later.
func TestLearningRateAgainstTorch(t *testing.T) {
	f := readTorchAdamW(t)
	for step := 1; step <= f.Steps; step++ {
		advanced := step
		if step > f.Warmup {
			advanced--
		}
		require.InDelta(t, f.Rates[advanced-1], f.config(0).LearningRate(step), 1e-15, "step %d", step)
	}
}

// The whole trajectory: in float64, where the only difference is that [Rates] are float32, and in float32 on every backend.
func TestAdamWAgainstTorch(t *testing.T) {
	f := readTorchAdamW(t)
	for i := range f.Cases {
		t.Run(fmt.Sprintf("case %d, float64", i), func(t *testing.T) {
			f.compare(t, i, backendtest.Go(t), dtypes.Float64, 1e-7)
		})
	}
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) { f.compare(t, 0, be, dtypes.Float32, 2e-6) })
}

func (f torchAdamW) compare(t *testing.T, which int, be compute.Backend, dtype dtypes.DType, tolerance float64) {
	c, names, store := f.config(which), slices.Sorted(maps.Keys(f.Shapes)), model.NewStore()
	store.SetParam(layers.ParamDType, dtype)
	exec, err := model.NewExec(be, store, func(scope *model.Scope, in []*Node) *Node {
		loss := Scalar(in[0].Graph(), dtype, 0)
		for i, name := range names {
			start := func(_ *rand.Rand, values []float64, _ []int) { copy(values, f.Start[name]) }
			w := layers.Param(scope.At("main"), in[0], name, start, f.Shapes[name]...)
			loss = Add(loss, ReduceAllSum(Mul(w, ConvertDType(in[1+i], dtype)))) // whose gradient is the input
			require.Equal(t, slices.Contains(f.Decays, name), layers.RoleOf(store, store.GetVariable("/main/"+name)).Decays(), name)
		}
		return Optimize(store, loss, ConvertDType(in[0], dtype), metro.Model{Config: c}.ReadBy(loss.Graph(), store), c)
	})
	require.NoError(t, err)
	for step := range f.Steps {
		rates := Rates(c, step+1)
		rates[0], rates[3] = float32(f.Rates[step]), float32(f.Rates[step]) // the fixture's own; see TestLearningRateAgainstTorch
		in := []any{doubles(rates)}
		for _, name := range names {
			in = append(in, tensors.FromFlatDataAndDimensions(f.Gradients[step][name], f.Shapes[name]...))
		}
		out, err := exec.Call1(in...)
		require.NoError(t, err)
		require.InEpsilon(t, f.Cases[which].Norms[step], number(out), tolerance, "norm of step %d", step+1)
		for _, name := range names {
			got := numbers(store.GetVariable("/main/" + name).MustValue())
			require.InDeltaSlice(t, f.Cases[which].Values[step][name], got, tolerance, "%s after step %d", name, step+1)
		}
	}
}

// numbers reads a float tensor of either width.
func numbers(x *tensors.Tensor) []float64 {
	if x.DType() == dtypes.Float32 {
		return doubles(tensors.MustCopyFlatData[float32](x))
	}
	return tensors.MustCopyFlatData[float64](x)
}

func number(x *tensors.Tensor) float64 { return numbers(x)[0] }
