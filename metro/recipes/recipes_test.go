// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/recipes"
	"metrolab/metro/training"
)

func TestNamesAreSortedBySize(t *testing.T) {
	require.Equal(t, []string{"micro", "tiny", "mini", "base"}, recipes.Names())
}

func TestGet(t *testing.T) {
	for _, name := range recipes.Names() {
		c, err := recipes.Get(name)
		require.NoError(t, err)
		c.Main.Layers = -1 // a copy: nobody else's recipe changes
		again, err := recipes.Get(name)
		require.NoError(t, err)
		require.Positive(t, again.Main.Layers)
		require.Zero(t, again.Seed)
	}
	_, err := recipes.Get("Tiny")
	require.True(t, usererr.Is(err), "%v", err)
	require.EqualError(t, err, `there is no recipe "Tiny"; there are micro, tiny, mini, base`)
}

// parameters counts what a model of this config learns, from the published shapes: a dense map of in·out + out, a gain
// and an offset a normalisation, four maps of attention and two of feed-forward a layer.
func parameters(c metro.Config, vocab int) (total, main int) {
	dense := func(in, out int) int { return in*out + out }
	norm := func(width int) int { return 2 * width }
	e := c.Main.Width // of the tables
	encoder := func(x metro.Encoder) int {
		layer := 4*dense(x.Width, x.Width) + dense(x.Width, x.FFN) + dense(x.FFN, x.Width) + 2*norm(x.Width)
		n := norm(e) + x.Layers*layer
		if x.Width != e {
			n += dense(e, x.Width)
		}
		if c.Positions.Relative != metro.RelativeNone {
			n += c.Positions.Bins * x.Heads
		}
		return n
	}
	tables := (vocab + c.Data.SeqLen) * e
	main = tables + encoder(c.Main)
	total = main + encoder(c.Generator) + dense(c.Generator.Width, e) + vocab + dense(c.Main.Width, 1) + vocab
	if c.Objective.GeneratorHead == metro.GeneratorHeadNorm {
		total += norm(e)
	}
	if c.Objective.RTDHead == metro.RTDHeadProjected {
		total += dense(c.Main.Width, c.Main.Width)
	}
	if c.Sharing == metro.SharingNone {
		total += tables
	}
	return total, main
}

// Every recipe but base builds its graph, and each switch changes the number of weights as it should.
func TestRecipesBuild(t *testing.T) {
	be := backendtest.Go(t)
	for _, name := range recipes.Names() {
		if name == "base" {
			continue // 140 M first values; its shapes are counted below
		}
		for _, set := range []string{
			"seed=1", "sharing=none", "positions.relative=none", "objective.generator_head=norm", "objective.rtd_head=linear",
			"generator.width=8",
		} {
			c, err := recipes.Get(name)
			require.NoError(t, err)
			require.NoError(t, c.Set(set))
			require.NoError(t, c.Validate())
			store, err := training.InitialVariables(be, metro.Model{Config: c, Vocab: c.Data.VocabSize})
			require.NoError(t, err, "%s with %s", name, set)
			want, _ := parameters(c, c.Data.VocabSize)
			require.EqualValues(t, want, store.NumParameters(), "%s with %s", name, set)
		}
	}
}

// Every recipe but base takes steps, on batches of two rows, and its loss falls on them.
func TestRecipesTrain(t *testing.T) {
	for _, name := range recipes.Names() {
		if name == "base" {
			continue
		}
		c, err := recipes.Get(name)
		require.NoError(t, err)
		require.NoError(t, c.Set("training.batch_size=2"))
		require.NoError(t, c.Set("optimizer.warmup_steps=1"))
		program, err := training.NewProgram(backendtest.Go(t), metro.Model{Config: c, Vocab: c.Data.VocabSize})
		require.NoError(t, err)
		require.NoError(t, program.Start(c))
		batch, losses := randomBatch(c), []float64{}
		for step := 1; step <= 3; step++ {
			out, err := program.Step(batch, step)
			require.NoError(t, err)
			tally, norm, err := out.Tally()
			require.NoError(t, err)
			require.Positive(t, norm)
			losses = append(losses, tally.GeneratorLoss+tally.CLMLoss)
		}
		require.Less(t, losses[2], losses[0], "%s: %v", name, losses)
	}
}

func randomBatch(c metro.Config) data.Batch {
	rng := rand.New(rand.NewPCG(1, 2))
	rows, s, p := c.Training.BatchSize, c.Data.SeqLen, c.MaskedPositions()
	b := data.Batch{
		Tokens: make([]int32, rows*s), Positions: make([]int32, rows*p), Weights: make([]float32, rows*p), Uniforms: make([]float32, rows*p),
	}
	for i := range b.Tokens {
		b.Tokens[i] = 5 + rng.Int32N(20)
	}
	b.Masked = slices.Clone(b.Tokens)
	for i := range rows {
		positions := b.Positions[i*p : (i+1)*p]
		data.MaskPositions(rng, b.Tokens[i*s:(i+1)*s], c.Objective.MaskRate, func(int32) bool { return true }, positions, b.Weights[i*p:(i+1)*p])
		for _, at := range positions {
			b.Masked[i*s+int(at)] = 4
		}
	}
	return b
}

// The size of base, from its shapes: the main model is as large as BERT base, 110 M, and the generator adds 29 M.
func TestBaseSize(t *testing.T) {
	total, main := parameters(recipes.Base(), 32_768)
	require.Equal(t, 110_615_424, main)
	require.Equal(t, 139_627_265, total)
}
