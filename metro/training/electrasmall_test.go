// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/recipes"
)

// electraSmall is the shape of ELECTRA-small on two rows of 128.
func electraSmall() metro.Config {
	c := recipes.MetroBase()
	c.Data = metro.Data{VocabSize: 30_522, Lowercase: true, SeqLen: 128}
	c.Main.Layers, c.Main.Width, c.Main.Heads, c.Main.FFN = 12, 256, 4, 1024
	c.Generator.Layers, c.Generator.Width, c.Generator.Heads, c.Generator.FFN = 12, 64, 1, 256
	c.Optimizer.WarmupSteps, c.Training.Steps, c.Training.BatchSize, c.Evaluation.Rows = 0, 10, 2, 2
	return c
}

// randomBatch is a batch of c of random ordinary tokens, full rows, another for every seed.
func randomBatch(c metro.Config, vocab int32, seed uint64) data.Batch {
	rng := rand.New(rand.NewPCG(1, seed))
	var b data.Batch
	for range c.Training.BatchSize {
		row := make([]int32, c.Data.SeqLen)
		for i := range row {
			row[i] = 5 + rng.Int32N(vocab-5)
		}
		masked := append([]int32(nil), row...)
		for _, at := range rng.Perm(len(row))[:c.MaskedPositions()] {
			masked[at] = 4
			b.Positions, b.Weights = append(b.Positions, int32(at)), append(b.Weights, 1)
			b.Uniforms = append(b.Uniforms, float32(rng.Uint32()>>9)/(1<<23))
		}
		b.Rows = append(b.Rows, 0.5)
		b.Tokens, b.Masked = append(b.Tokens, row...), append(b.Masked, masked...)
	}
	return b
}

// A graph of a realistic size ends: with its operations run in parallel, the pure-Go backend waits for itself forever
// from a certain size on, and small models do not show it. What the step computes is checked at its start: RTD at ln 2,
// the language models at ln V.
func TestStepOfElectraSmallEnds(t *testing.T) {
	const vocab, patience = 30_522, 5 * time.Minute
	c, be := electraSmall(), backendtest.Go(t)
	program := newStepper(be, metro.Model{Config: c, Vocab: vocab})
	require.NoError(t, program.Start(program.workload))

	type result struct {
		tally metro.Tally
		norm  float64
		err   error
	}
	done := make(chan result, 1)
	go func() {
		out, err := program.Step(randomBatch(c, vocab, 2), 1)
		if err != nil {
			done <- result{err: err}
			return
		}
		tally, norm, err := out.Tally()
		done <- result{tally, norm, err}
	}()
	select {
	case r := <-done:
		require.NoError(t, r.err)
		require.InDelta(t, math.Ln2, r.tally.Metric("rtd_loss"), 1e-5)
		require.InDelta(t, math.Log(vocab), r.tally.Metric("generator_loss"), 0.2)
		require.InDelta(t, math.Log(vocab), r.tally.Metric("clm_loss"), 0.2)
		require.EqualValues(t, 2*128, r.tally.Tokens)
		require.Greater(t, r.norm, 0.0)
		require.False(t, math.IsInf(r.norm, 0) || math.IsNaN(r.norm))
	case <-time.After(patience):
		t.Fatalf("a step of ELECTRA-small's size has not ended after %s: the pure-Go backend hangs; it must run with ops_sequential (%s)", patience, be.Description())
	}
}
