// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/recipes"
	"metrolab/metro/training"
)

// trainVocab is small enough for a generator to learn something within 100 steps: tokens 5 … 16 follow one another.
const trainVocab = 17

// micro is the recipe on rows of 8.
func micro(t *testing.T, assignments string) metro.Model {
	t.Helper()
	c := recipes.Micro()
	c.Data.SeqLen, c.Masking.Rate, c.Optimizer.LearningRate = 8, 0.25, 1e-2
	for _, a := range strings.Fields(assignments) {
		require.NoError(t, c.Set(a))
	}
	require.NoError(t, c.Validate())
	return metro.Model{Config: c, Vocab: trainVocab}
}

// chain is the batch of a step: rows that count upwards from anywhere, with a step of 1 or 2, two positions masked.
func chain(c metro.Config, step int) []any {
	rng := rand.New(rand.NewPCG(11, uint64(step)))
	n, s, p := c.Training.BatchSize, c.Data.SeqLen, c.MaskedPositions()
	tokens, positions := make([]int32, n*s), make([]int32, n*p)
	weights, uniforms, rows := make([]float32, n*p), make([]float32, n*p), make([]float32, n)
	masked := make([]int32, n*s)
	for i := range n {
		from, by := rng.Int32N(12), 1+rng.Int32N(2)
		for k := range s {
			tokens[i*s+k] = 5 + (from+int32(k)*by)%12
		}
		tokens[i*s], rows[i] = 2, rng.Float32()
		copy(masked[i*s:], tokens[i*s:(i+1)*s])
		for slot, at := range rng.Perm(s - 1)[:p] {
			positions[i*p+slot], weights[i*p+slot], uniforms[i*p+slot] = int32(at+1), 1, rng.Float32()
			masked[i*s+at+1] = 4
		}
	}
	return []any{
		tensors.FromFlatDataAndDimensions(tokens, n, s), tensors.FromFlatDataAndDimensions(masked, n, s),
		tensors.FromFlatDataAndDimensions(positions, n, p), tensors.FromFlatDataAndDimensions(weights, n, p),
		tensors.FromFlatDataAndDimensions(uniforms, n, p), rows,
	}
}

// trainer is a training step of one model, by several objectives: an input of zeros and a one says which counts.
type trainer struct {
	store  *model.Store
	first  map[string]*tensors.Tensor // values of the variables
	step   *model.Exec
	config metro.Config
}

// newTrainer builds the losses that the assignments of others ask for on the pass of m, and so with its weights.
func newTrainer(t *testing.T, be compute.Backend, m metro.Model, others ...metro.Model) *trainer {
	t.Helper()
	r := &trainer{store: model.NewStore(), first: map[string]*tensors.Tensor{}, config: m.Config}
	for _, m := range append(others, m) {
		fresh, err := training.InitialVariables(be, m)
		require.NoError(t, err)
		for v := range fresh.IterVariables() {
			r.first[v.Path()], err = v.MustValue().LocalClone()
			require.NoError(t, err)
		}
	}
	r.step = model.MustNewExec(be, r.store, func(scope *model.Scope, in []*Node) []*Node {
		rates, chosen := in[6], in[7]
		p := forward(m, scope, in[:6])
		losses := []*Node{p.Loss}
		for _, other := range others {
			losses = append(losses, weighted(p.TermsOf(other.Config.Objective)))
		}
		loss := ReduceAllSum(Mul(Stack(losses, 0), chosen))
		training.Optimize(scope.Store(), loss, rates, m.ReadBy(loss.Graph(), scope.Store()), m.Config)
		return []*Node{Identity(loss)}
	})
	return r
}

// train starts anew, trains by one of the losses and returns its means over the first and the last ten of 100 steps.
func (r *trainer) train(t *testing.T, chosen []float32) (before, after float64) {
	t.Helper()
	for _, v := range variables(r.store) {
		value, ok := r.first[v.Path()]
		if !ok { // a moment
			value = tensors.FromShape(v.Shape())
		}
		value, err := value.LocalClone()
		require.NoError(t, err)
		require.NoError(t, v.SetValue(value))
	}
	for step := 1; step <= 100; step++ {
		loss := r.step.MustCall(append(chain(r.config, step), training.Rates(r.config, step), chosen)...)[0]
		if step <= 10 {
			before += float64(tensors.ToScalar[float32](loss)) / 10
		}
		if step > 90 {
			after += float64(tensors.ToScalar[float32](loss)) / 10
		}
	}
	return before, after
}

// Each objective, in each form, learns: its loss falls over 100 steps. XLA gets them all as one graph, which compiles in
// a fraction of the time, and trains by one after the other with it.
func TestEachObjectiveTrains(t *testing.T) {
	falls := func(t *testing.T, r *trainer, chosen []float32) {
		before, after := r.train(t, chosen)
		require.Less(t, after, 0.9*before)
	}
	t.Run("go", func(t *testing.T) {
		for _, o := range everyObjective {
			t.Run(o.set, func(t *testing.T) {
				falls(t, newTrainer(t, backendtest.Go(t), micro(t, o.set)), []float32{1})
			})
		}
	})
	t.Run("xla", func(t *testing.T) {
		var models []metro.Model
		for _, o := range everyObjective {
			models = append(models, micro(t, o.set+" main.layers=2 "+twiceTheRows))
		}
		all := newTrainer(t, backendtest.XLA(t), models[0], models[1:]...)
		for i, o := range everyObjective {
			chosen := make([]float32, len(models))
			chosen[i] = 1
			t.Run(o.set, func(t *testing.T) { falls(t, all, chosen) })
		}
	})
}
