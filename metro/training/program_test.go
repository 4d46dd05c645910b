// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/training"
)

// vocab is that of programs which run on random tokens.
const vocab = 40

// assigned is the micro recipe with assignments made, on a beat of 10 steps.
func assigned(t *testing.T, assignments ...string) metro.Config {
	t.Helper()
	c := micro(10)
	c.Training.LogEvery, c.Training.EvalEvery, c.Training.CheckpointEvery = 10, 10, 10
	for _, a := range assignments {
		require.NoError(t, c.Set(a))
	}
	require.NoError(t, c.Validate())
	return c
}

// stepper is a program that pretrains on the batches of a test.
type stepper struct {
	*training.Program
	workload *training.Pretraining
}

func newStepper(be compute.Backend, m metro.Model) stepper {
	w := training.NewPretraining(m)
	return stepper{training.NewProgram(be, w), w}
}

func (s stepper) Step(b data.Batch, step int) (training.StepOutput, error) {
	return s.Program.Step(s.workload.Host(b), step)
}

func (s stepper) Validate(b data.Batch) (training.StepOutput, error) {
	return s.workload.Validate(s.Program, b)
}

func (s stepper) Detect(rows []int32) ([]float32, error) { return s.workload.Detect(s.Program, rows) }

// programs are those that tests have compiled, by backend and graph.
var programs = map[string]*training.Program{}

// started is a program of c at its first values. It is the same one at every call for the same graph.
func started(t *testing.T, be compute.Backend, c metro.Config) stepper {
	t.Helper()
	s := newStepper(be, metro.Model{Config: c, Vocab: vocab, LogUnigram: make([]float32, vocab), LogUniform: make([]float32, vocab)})
	key := kind(be) + c.GraphKey()
	if p, ok := programs[key]; ok {
		s.Program = p
	}
	programs[key] = s.Program
	require.NoError(t, s.Start(s.workload))
	return s
}

// stepped runs a program for some steps, on random tokens, and returns the last step's tally and gradient norm.
func stepped(t *testing.T, p stepper, c metro.Config, from, to int) (tally metro.Tally, norm float64) {
	t.Helper()
	for step := from; step <= to; step++ {
		out, err := p.Step(randomBatch(c, vocab, uint64(step)), step)
		require.NoError(t, err)
		tally, norm, err = out.Tally()
		require.NoError(t, err)
		out.Release()
	}
	return tally, norm
}

// variables reads what a checkpoint would hold, by path.
func variables(t *testing.T, p stepper) map[string][]float32 {
	t.Helper()
	all := map[string][]float32{}
	for _, v := range p.Variables() {
		value, err := v.Value()
		require.NoError(t, err)
		all[v.Path()], err = tensors.CopyFlatData[float32](value)
		require.NoError(t, err)
	}
	return all
}

// furthest returns the largest difference between two sets of the same variables, and where it is.
func furthest(t *testing.T, a, b map[string][]float32) (distance float64, path string) {
	t.Helper()
	require.Len(t, b, len(a))
	for name, x := range a {
		require.Len(t, b[name], len(x), name)
		for i := range x {
			if d := math.Abs(float64(x[i] - b[name][i])); d > distance || d != d {
				distance, path = d, name
			}
		}
	}
	return distance, path
}

// lean are the assignments of a model that XLA compiles in half the time: one encoder, without a relative bias. Where a test
// is about the step and not about the model, XLA gets this and pure Go the recipe.
func lean(be compute.Backend, others ...string) []string {
	if kind(be) == "go" {
		return others
	}
	return append(others, "objective.name=mlm", "positions.relative=none")
}

// A group's variables move as it says, and no others: not at all at a rate of 0, twice as far at 2, and further towards 0
// by the difference of the decays.
func TestGroupsMoveTheirVariables(t *testing.T) {
	be := backendtest.Go(t)
	const plain = "optimizer.warmup_steps=0"
	base := assigned(t, plain)
	before := variables(t, started(t, be, base))
	after := func(groups string) map[string][]float32 {
		c := assigned(t, plain, "optimizer.groups="+groups)
		p := started(t, be, c)
		require.Equal(t, before, variables(t, p), "the same first values")
		stepped(t, p, c, 1, 1)
		return variables(t, p)
	}
	want := after("")
	got := after("main/rtd/output: lr=0; main/layer_0/ffn_in: lr=2; shared: decay=0.51; /generator/head/: lr=0.5 decay=0")
	rate := base.LearningRate(1)
	moved := 0
	for path, w := range before {
		for i, start := range w {
			step := float64(want[path][i] - start)
			switch path {
			case "/main/rtd/output/weights", "/main/rtd/output/bias":
				require.Equal(t, start, got[path][i], path)
				require.NotZero(t, step)
				continue
			case "/main/layer_0/ffn_in/weights", "/main/layer_0/ffn_in/bias":
				step *= 2
				moved++
			case "/shared/token_embedding", "/shared/position_embedding":
				step -= rate * (0.51 - base.Optimizer.WeightDecay) * float64(start)
			case "/generator/head/transform/weights":
				step = (step + rate*base.Optimizer.WeightDecay*float64(start)) / 2
			case "/generator/head/transform/bias", "/generator/head/norm/gain", "/generator/head/norm/offset", "/generator/head/output_bias":
				step /= 2
			default:
				require.Equal(t, want[path][i], got[path][i], path)
				continue
			}
			require.InDelta(t, step, float64(got[path][i]-start), 3e-7, path)
		}
	}
	require.Equal(t, base.Main.Width*base.Main.FFN+base.Main.FFN, moved)
}

// A step in parts is the step: on full rows, where every part weighs the same.
func TestAccumulateEqualsWhole(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		const steps = 5
		c := assigned(t, lean(be, "main.dropout=0")...)
		whole := started(t, be, c)
		first, norm := stepped(t, whole, c, 1, 1)
		stepped(t, whole, c, 2, steps)
		want, batch := variables(t, whole), randomBatch(c, vocab, 99)
		parts := []string{"2", "4"}
		if kind(be) != "go" {
			parts = parts[:1]
		}
		for _, k := range parts {
			c := assigned(t, lean(be, "main.dropout=0", "training.accumulate="+k)...)
			p := started(t, be, c)
			tally, gotNorm := stepped(t, p, c, 1, 1)
			sameTally(t, first, tally)
			require.InEpsilon(t, norm, gotNorm, 1e-5)
			stepped(t, p, c, 2, steps)
			distance, path := furthest(t, want, variables(t, p))
			require.Less(t, distance, 1e-5, "%s parts: %s", k, path)

			if kind(be) != "go" {
				continue // what follows is the host's work
			}
			validation, err := whole.Validate(batch)
			require.NoError(t, err)
			got, err := p.Validate(batch)
			require.NoError(t, err)
			sameOutputs(t, validation, got)
			scores, err := whole.Detect(batch.Tokens)
			require.NoError(t, err)
			gotScores, err := p.Detect(batch.Tokens)
			require.NoError(t, err)
			require.Len(t, gotScores, len(batch.Tokens))
			require.InDeltaSlice(t, scores, gotScores, 1e-4)
		}
	})
}

// sameTally asserts that two tallies are of the same counts and, but for rounding, the same sums. A mean over batches has
// one below for each part.
func sameTally(t *testing.T, want, got metro.Tally) {
	t.Helper()
	require.Equal(t, want.Names, got.Names)
	require.Equal(t, want.Tokens, got.Tokens)
	for i, name := range want.Names {
		w, g := want.Metric(name), got.Metric(name)
		require.True(t, math.IsNaN(w) && math.IsNaN(g) || math.Abs(w-g) < 1e-5*max(1, math.Abs(w)), "%s: %g and %g", name, w, g)
		if want.Counts[i] != 1 {
			require.Equal(t, want.Counts[i], got.Counts[i], "count of %s", name)
		}
	}
}

// sameOutputs asserts that two validations saw the same, token for token.
func sameOutputs(t *testing.T, want, got training.StepOutput) {
	t.Helper()
	a, _, err := want.Tally()
	require.NoError(t, err)
	b, _, err := got.Tally()
	require.NoError(t, err)
	for _, name := range []string{"loss", "generator_loss", "rtd_loss", "clm_loss", "lm_loss"} {
		x, y := a.Metric(name), b.Metric(name)
		require.True(t, math.IsNaN(x) && math.IsNaN(y) || math.Abs(x-y) < 1e-4*max(1, x), "%s: %g and %g", name, x, y)
	}
	all := func(int32) bool { return true }
	logits, replaced, err := want.Detections(all)
	require.NoError(t, err)
	gotLogits, gotReplaced, err := got.Detections(all)
	require.NoError(t, err)
	require.Equal(t, replaced, gotReplaced)
	require.Len(t, gotLogits, len(logits))
	for i := range logits {
		require.InDelta(t, logits[i], gotLogits[i], 1e-4)
	}
}

// Layers that are computed again for the gradient give the same gradient to the last bit, with dropout on: the masks are
// the same. (That this holds on XLA, but for rounding, is a test of package layers.)
func TestActivationCheckpointingChangesNothing(t *testing.T) {
	const steps = 5
	c := assigned(t, "main.dropout=0.1", "main.layers=2")
	p := started(t, backendtest.Go(t), c)
	stepped(t, p, c, 1, steps)
	c.Training.ActivationCheckpointing = true
	again := started(t, backendtest.Go(t), c)
	stepped(t, again, c, 1, steps)
	distance, path := furthest(t, variables(t, p), variables(t, again))
	require.Zero(t, distance, path)
}

// Products of bfloat16 train like those of float32, and so do states, with weights and moments that stay float32.
func TestBFloat16Trains(t *testing.T) {
	be := backendtest.XLA(t)
	losses := map[string]float64{}
	const full, products, states = "training.matmul=float32", "training.matmul=bfloat16", "training.activations=bfloat16"
	for _, precision := range []string{full, products, states} {
		settings := []string{precision}
		if precision == states {
			settings = []string{products, states}
		}
		c := assigned(t, lean(be, append(settings, "main.dropout=0", "optimizer.warmup_steps=0", "optimizer.learning_rate=1e-2", "training.steps=40")...)...)
		p := started(t, be, c)
		first, _ := stepped(t, p, c, 1, 1)
		var last metro.Tally
		for step := 2; step <= 20; step++ {
			out, err := p.Step(randomBatch(c, vocab, 1), step) // the same rows again and again
			require.NoError(t, err)
			last, _, err = out.Tally()
			require.NoError(t, err)
		}
		losses[precision] = last.Metric("loss")
		require.Less(t, losses[precision], 0.8*first.Metric("loss"), precision)
		variables(t, p) // float32, or they could not be read
	}
	for _, precision := range []string{products, states} {
		require.InEpsilon(t, losses[full], losses[precision], 0.03, precision)
		require.NotEqual(t, losses[full], losses[precision], precision)
	}
	require.NotEqual(t, losses[products], losses[states])
}
