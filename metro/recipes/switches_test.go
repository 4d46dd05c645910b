// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/layers"
	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/recipes"
	"metrolab/metro/training"
)

// configured makes assignments, with commas between, and validates.
func configured(t *testing.T, c metro.Config, assignments string) metro.Config {
	t.Helper()
	for a := range strings.SplitSeq(assignments, ", ") {
		if a != "" {
			require.NoError(t, c.Set(a))
		}
	}
	require.NoError(t, c.Validate(), assignments)
	return c
}

// modelOf is a model over 40 tokens with even frequencies.
func modelOf(c metro.Config) metro.Model {
	const vocab = 40
	return metro.Model{
		Config: c, Vocab: vocab, LogUnigram: make([]float32, vocab), LogUniform: make([]float32, vocab),
		Spelling: layers.Spelling{Bytes: make([][]byte, vocab)},
	}
}

// alongside is what else has to be set for a value to make sense.
var alongside = map[string]string{
	"replacements.source=frozen": "sharing=none, replacements.checkpoint=DIR",
	"replacements.source=stored": "replacements.checkpoint=DIR",

	"objective.name=rtd_clm_exits": "main.layers=2, generator.layers=2",
}

// Each value that has a name is valid alone on the default recipe, and its graph builds.
func TestEveryChoiceBuilds(t *testing.T) {
	be := backendtest.Go(t)
	for path, values := range metro.Choices() {
		if path == "task.adaptation" {
			continue // the graphs of tasks are package tasks'
		}
		for _, value := range values {
			set := path + "=" + value
			c := configured(t, recipes.Micro(), set+", "+alongside[set])
			store, err := training.InitialVariables(be, modelOf(c))
			require.NoError(t, err, set)
			sameAsDrawn(t, be, modelOf(c), store)
		}
	}
}

// The same of the switches and shorthands whose values have no names.
func TestEverySwitchBuilds(t *testing.T) {
	be := backendtest.Go(t)
	sets := []string{
		"embeddings.width=8", "embeddings.token_types=2", "generator.width_ratio=0.5", "generator.layers=2", "generator.dropout=0.1, replacements.dropout=eval",
		"generator.dropout=0.1, replacements.dropout=train", "positions.absolute=false", "positions.per_layer=true",
		"positions.bins=64", "positions.bins=128, positions.max_distance=256",
		"masking.rate=0.25", "masking.rule=85/15/0", "masking.rule=80/10/10", "masking.with_replacement=true",
		"masking.with_replacement=true, masking.electra_collisions=true",
		"replacements.disallow_correct=true", "replacements.temperature=2", "objective.rtd_zero_init=false",
		"optimizer.bias_correction=false", "optimizer.layer_decay=0.8", "optimizer.groups=generator: lr=0.5 decay=0",
		"training.accumulate=2", "training.activation_checkpointing=true",
		"training.generator_steps=10, sharing=none", "training.generator_steps=10, training.copy_generator=true, sharing=none",
		"training.prefix_steps=10, training.prefix_layers=1, main.layers=2",
	}
	for _, rule := range metro.SizingRules() {
		sets = append(sets, "generator.size="+rule)
	}
	for _, set := range sets {
		m := modelOf(configured(t, recipes.Micro(), set))
		store, err := training.InitialVariables(be, m)
		require.NoError(t, err, set)
		sameAsDrawn(t, be, m, store)
	}
}

// The inventory that a config gives is exactly what its graph reads, however objectives, forms, sources and sharing meet.
func TestEveryPairHasItsInventory(t *testing.T) {
	be := backendtest.Go(t)
	choices := metro.Choices()
	for _, objective := range choices["objective.name"] {
		for i, sharing := range choices["sharing"] {
			form := choices["objective.clm"][i%len(choices["objective.clm"])]
			if form == metro.CLMWithoutCopy && (objective == "rtd_clm_exits" || objective == "rtd_clm_mist") {
				form = metro.CLMSimplified // they ask the head that this form does not train
			}
			for _, more := range []string{"", "replacements.source=unigram", "embeddings.token_types=2, embeddings.width=8, main.norm=pre, generator.norm=pre, positions.per_layer=true"} {
				set := "objective.name=" + objective + ", sharing=" + sharing + ", objective.clm=" + form + ", " + more + ", " + alongside["objective.name="+objective]
				_, err := training.InitialVariables(be, modelOf(configured(t, recipes.Micro(), set)))
				require.NoError(t, err, set)
			}
		}
	}
}

// sameAsDrawn asserts that the variables that an inventory made are those that the graph alone makes, to the bit.
func sameAsDrawn(t *testing.T, be compute.Backend, m metro.Model, made *model.Store) {
	t.Helper()
	drawn := model.NewStore()
	drawn.SetParam(layers.ParamSeed, m.Config.Seed)
	w := training.NewPretraining(m)
	g := graph.NewGraph(be, "drawn")
	defer g.Finalize()
	model.SetStore(g, drawn)
	parts, n := w.Inputs()
	in := make([]*graph.Node, len(parts))
	for i, shape := range parts {
		in[i] = graph.Parameter(g, fmt.Sprint("input ", i), shape)
	}
	scalars := graph.Parameter(g, "scalars", shapes.Make(dtypes.Float32, n))
	w.Forward(drawn.RootScope(), in, scalars, nil, nil)
	require.Equal(t, drawn.NumVariables(), made.NumVariables())
	for v := range drawn.IterVariables() {
		other := made.GetVariable(v.Path())
		require.NotNil(t, other, v.Path())
		require.Equal(t, tensors.MustCopyFlatData[float32](v.MustValue()), tensors.MustCopyFlatData[float32](other.MustValue()), v.Path())
		require.Equal(t, layers.RoleOf(drawn, v), layers.RoleOf(made, other), v.Path())
	}
}

// cut leaves of a recipe what it is made of and takes its size: width 16 and 2 layers at most, beside a generator of its
// proportions.
func cut(c metro.Config) metro.Config {
	shrink := func(e *metro.Encoder, full int) {
		ratio := 1.0
		if e.Width < full/2 {
			ratio = 0.5
		}
		e.Layers, e.Heads = min(e.Layers, 2), 2
		e.Width, e.FFN = int(16*ratio), int(32*ratio)
	}
	full := c.Main.Width
	shrink(&c.Main, full)
	shrink(&c.Generator, full)
	if c.Embeddings.Width > 0 {
		c.Embeddings.Width = 8
	}
	if c.Replacements.Source == metro.SourceFrozen {
		c.Replacements.Checkpoint = "DIR"
	}
	c.Data.SeqLen = 16
	c.Optimizer.LearningRate, c.Optimizer.WarmupSteps = 0.01, 0
	c.Training.Steps, c.Training.BatchSize, c.Evaluation.Rows = 10, 8, 8
	return c
}

// What each recipe is made of works together: cut to a size that fits a test, it takes three steps, and its loss on their
// batch falls.
func TestRecipesTrain(t *testing.T) {
	for _, r := range recipes.All() {
		c := cut(r.Config())
		require.NoError(t, c.Validate(), r.Name)
		m := modelOf(c)
		w := training.NewPretraining(m)
		program := training.NewProgram(backendtest.Go(t), w)
		require.NoError(t, program.Start(w))
		batch := randomBatch(c, int32(m.Vocab))
		before := validationLoss(t, program, w, batch)
		for step := 1; step <= 3; step++ {
			out, err := program.Step(w.Host(batch), step)
			require.NoError(t, err, r.Name)
			_, norm, err := out.Tally()
			require.NoError(t, err)
			require.Positive(t, norm)
		}
		require.Less(t, validationLoss(t, program, w, batch), before, r.Name)
	}
}

func validationLoss(t *testing.T, program *training.Program, w *training.Pretraining, batch data.Batch) float64 {
	out, err := w.Validate(program, batch)
	require.NoError(t, err)
	tally, _, err := out.Tally()
	require.NoError(t, err)
	return tally.Metric("loss")
}

// randomBatch is a batch of c of random ordinary tokens, masked by [MASK], id 4.
func randomBatch(c metro.Config, vocab int32) data.Batch {
	rng := rand.New(rand.NewPCG(1, 2))
	rows, s, p := c.Training.BatchSize, c.Data.SeqLen, c.MaskedPositions()
	b := data.Batch{
		Tokens: make([]int32, rows*s), Positions: make([]int32, rows*p), Weights: make([]float32, rows*p), Uniforms: make([]float32, rows*p),
		Rows: make([]float32, rows),
	}
	for i := range b.Tokens {
		b.Tokens[i] = 5 + rng.Int32N(vocab-5)
	}
	for _, noise := range [][]float32{b.Uniforms, b.Rows} {
		for i := range noise {
			noise[i] = float32(rng.Uint32()>>9) / (1 << 23)
		}
	}
	b.Masked = slices.Clone(b.Tokens)
	for i := range rows {
		positions := b.Positions[i*p : (i+1)*p]
		data.MaskPositions(rng, b.Tokens[i*s:(i+1)*s], c.Masking.Rate, func(int32) bool { return true }, positions, b.Weights[i*p:(i+1)*p])
		for _, at := range positions {
			b.Masked[i*s+int(at)] = 4
		}
	}
	return b
}
