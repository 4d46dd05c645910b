// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/plan"
	"metrolab/metro/recipes"
)

var h100 = plan.Device{Name: "h100", Memory: 80e9, Peak: 989e12, Compiler: plan.XLACUDA}

func ExampleMake() {
	p, err := plan.Make(plan.Request{Config: recipes.MetroBase(), Device: h100, Devices: 64, MFU: 0.4})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.1f million weights, %.2f GB of state, %.1f days\n", float64(p.Parameters.Total())/1e6, p.Memory.State.Total()/1e9, p.Days)
	// Output: 139.6 million weights, 1.68 GB of state, 0.0 days
}

func request(c metro.Config) plan.Request {
	return plan.Request{Config: c, Device: h100, Devices: 8, MFU: 0.5}
}

// Time is operations by speed, and devices share it.
func TestDays(t *testing.T) {
	c := recipes.MetroBase()
	p, err := plan.Make(request(c))
	require.NoError(t, err)
	flops, err := c.FLOPs(c.Data.VocabSize)
	require.NoError(t, err)
	require.InEpsilon(t, flops.Total()*float64(c.Training.Steps)/(8*989e12*0.5)/86400, p.Days, 1e-12)
	require.Equal(t, 256, p.Rows)
	r := request(c)
	r.Devices = 16
	half, err := plan.Make(r)
	require.NoError(t, err)
	require.InEpsilon(t, p.Days/2, half.Days, 1e-12)
	require.Less(t, half.Memory.Activations, p.Memory.Activations)
	require.Equal(t, p.Memory.Weights, half.Memory.Weights)
}

// Steps on prefixes cost what they compute.
func TestDaysOfPrefixes(t *testing.T) {
	c := recipes.MetroBase()
	c.Training.PrefixSteps, c.Training.PrefixLayers = 1000, 3
	p, err := plan.Make(request(c))
	require.NoError(t, err)
	mean, err := c.PrefixFLOPs(c.Data.VocabSize)
	require.NoError(t, err)
	whole := p.FLOPs.Total()
	require.InEpsilon(t, 1000*mean+float64(c.Training.Steps-1000)*whole, p.Run, 1e-3)
	require.Less(t, mean, 0.6*whole)
	require.InEpsilon(t, p.Run/(8*989e12*0.5)/86400, p.Days, 1e-12)
}

// What is switched on costs what it should, and nothing else.
func TestMemoryByPart(t *testing.T) {
	of := func(sharded plan.Sharding, set ...string) plan.Memory {
		c := recipes.MetroBase()
		require.NoError(t, c.SetAll(set...))
		r := request(c)
		r.Sharded = sharded
		p, err := plan.Make(r)
		require.NoError(t, err)
		require.Equal(t, 4*float64(p.Parameters.Total()), p.Memory.Weights*map[bool]float64{true: 8, false: 1}[sharded == plan.ShardedWeights])
		return p.Memory
	}
	plain := of(plan.Replicated)
	require.Equal(t, 2*plain.Weights, plain.Optimizer)
	require.Equal(t, plain.Weights, plain.Gradients)
	require.Zero(t, plain.Accumulated+plain.Averages+plain.Gathered)
	require.Equal(t, plain.Weights, of(plan.Replicated, "training.ema=0.999").Averages)
	parts := of(plan.Replicated, "training.accumulate=4")
	require.Equal(t, plain.Weights, parts.Accumulated)
	require.Less(t, parts.Activations, plain.Activations/3)
	require.Less(t, of(plan.Replicated, "training.activation_checkpointing=true").Activations, plain.Activations/2)
	require.Less(t, of(plan.Replicated, "training.matmul=bfloat16").Activations, plain.Activations)
	frozen := of(plan.Replicated, "replacements.source=frozen", "replacements.checkpoint=elsewhere", "sharing=none")
	require.Less(t, frozen.Gradients, frozen.Weights)

	first, second, third := of(plan.ShardedOptimizer), of(plan.ShardedGradients), of(plan.ShardedWeights)
	require.Equal(t, plain.Optimizer/8, first.Optimizer)
	require.Equal(t, plain.Gradients, first.Gradients)
	require.Equal(t, plain.Gradients/8, second.Gradients)
	require.Equal(t, plain.Weights/8, third.Weights)
	require.Equal(t, 4*float64(recipes.MetroBase().Data.VocabSize*768), third.Gathered)
	require.Less(t, third.Total(), second.Total())
	var sum float64
	for _, part := range third.Parts() {
		sum += part.Bytes
	}
	require.InEpsilon(t, third.Total(), sum, 1e-12)
}

// Every recipe and every size for planning can be planned.
func TestAllSizes(t *testing.T) {
	for _, r := range append(recipes.All(), recipes.Shapes()...) {
		_, c, assumed, err := recipes.ForPlanning(r.Name)
		require.NoError(t, err, r.Name)
		require.Equal(t, r.Config().Training.Steps == 0, len(assumed) > 0, r.Name)
		if c.Replacements.Source == metro.SourceFrozen {
			c.Replacements.Checkpoint = "elsewhere"
		}
		p, err := plan.Make(plan.Request{Config: c, Device: h100, Devices: 1, MFU: 0.5})
		require.NoError(t, err, r.Name)
		require.Positive(t, p.Memory.Activations, r.Name)
		require.Positive(t, p.Days, r.Name)
	}
	_, c, _, err := recipes.ForPlanning("metro-xxl-wide")
	require.NoError(t, err)
	p, err := plan.Make(plan.Request{Config: c, Device: h100, Devices: 256, MFU: 0.5})
	require.NoError(t, err)
	require.InDelta(t, 5.83e9, float64(p.Parameters.Encoder), 0.03e9)
}

func TestWhatCannotBePlanned(t *testing.T) {
	for want, change := range map[string]func(r *plan.Request){
		"0 devices train nothing":                               func(r *plan.Request) { r.Devices = 0 },
		"the utilization must be above 0 and at most 1":         func(r *plan.Request) { r.MFU = 40 },
		"the peak of h100 must be above 0":                      func(r *plan.Request) { r.Device.Peak = 0 },
		"training.batch_size=2048 is not divided by 7 devices":  func(r *plan.Request) { r.Devices = 7 },
		"a multiple of 48":                                      func(r *plan.Request) { r.Config.Training.Accumulate = 6 },
		"main.width":                                            func(r *plan.Request) { r.Config.Main.Width = 0 },
		"it trains a task, or has parts that metrolab does not": func(r *plan.Request) { r.Config.Task.Name, r.Config.Training.InitFrom = "probe", "elsewhere" },
	} {
		r := request(recipes.MetroBase())
		change(&r)
		_, err := plan.Make(r)
		require.ErrorContains(t, err, want)
		require.True(t, usererr.Is(err), want)
	}
	_, err := plan.ParseSharding("zero")
	require.ErrorContains(t, err, `there is no sharding "zero"; there are none, optimizer, gradients, weights`)
}

// A utilization that was measured at one shape gives the time of another of like width, of metro bench step's rows in
// docs/performance.md: tokens a processor second, of steps of so many rows.
func TestTimeIsThatOfMeasuredRuns(t *testing.T) {
	type measured struct {
		recipe, rows, length string
		tokens               float64 // a processor second
	}
	for _, pair := range [][2]measured{
		{{"metro-base", "4", "128", 55.7}, {"metro-base", "1", "512", 51}},
		{{"electra-small", "16", "128", 703}, {"mini", "32", "64", 2058}},
	} {
		seconds := func(m measured, utilization float64) (planned, took float64) {
			c, err := recipes.Get(m.recipe)
			require.NoError(t, err)
			require.NoError(t, c.SetAll("training.batch_size="+m.rows, "data.seq_len="+m.length))
			p, err := plan.Make(plan.Request{Config: c, Device: plan.CPU(), Devices: 1, MFU: utilization})
			require.NoError(t, err)
			return p.Seconds, p.Tokens / float64(c.Training.Steps) / m.tokens
		}
		atPeak, took := seconds(pair[0], 1)
		utilization := atPeak / took
		planned, took := seconds(pair[1], utilization)
		t.Logf("%.2f of the peak at %v; %v planned with %.2f s a step, measured %.2f s", utilization, pair[0], pair[1], planned, took)
		require.InEpsilon(t, took, planned, 0.15)
	}
}
