// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/recipes"
	"metrolab/metro/training"
)

// watched is a workload that remembers the graphs that are built of it, with what they hold.
type watched struct {
	*training.Pretraining
	built []built
}

type built struct {
	graph *Graph
	out   training.Output
	micro *metro.MicroBatch
}

func (w *watched) Forward(scope *model.Scope, in []*Node, scalars, key *Node, micro *metro.MicroBatch) training.Output {
	out := w.Pretraining.Forward(scope, in, scalars, key, micro)
	w.built = append(w.built, built{out.Loss.Graph(), out, micro})
	return out
}

// The parts add up to the matrix products of the compiled step, forward and backward, to the last one: for every objective,
// and every switch that adds or takes away a product.
func TestFLOPsAreThoseOfTheProgram(t *testing.T) {
	for _, changes := range []string{
		"",
		"objective.name=mlm",
		"objective.name=replace_mlm",
		"objective.name=rtd_masked",
		"objective.name=rtd",
		"objective.name=all_token_lm",
		"objective.name=rtd_clm_scl",
		"objective.name=rtd_clm_mist",
		"objective.name=rtd_clm_mist objective.options.form=target_only objective.options.targets=shuffled objective.clm=without_copy",
		"objective.name=rtd_clm_mist objective.options.form=mix positions.rows=32 training.accumulate=2",
		"objective.name=rtd_clm_mist objective.options.form=mix positions.rows=32 training.activation_checkpointing=true main.norm=pre positions.per_layer=true optimizer.name=muon",
		"objective.name=rtd_clm_mist objective.options.form=mix positions.rows=32 main.feed_forward=moe sharing=all generator.feed_forward=moe generator.size=same",
		"objective.clm=without_copy",
		"objective.name=rtd_clm_exits main.layers=3",
		"objective.name=rtd_clm_exits objective.rtd_head=linear main.layers=4 objective.options.layers=1,3 training.accumulate=2",
		"objective.name=rtd_clm_exits training.activation_checkpointing=true main.norm=pre",
		"objective.clm=mixture_flow",
		"objective.rtd_head=linear",
		"objective.generator_head=norm",
		"embeddings.width=8",
		"main.layer_sharing=feed_forward generator.layers=2 generator.layer_sharing=all",
		"main.layer_sharing=all training.activation_checkpointing=true main.norm=pre optimizer.name=muon",
		"main.layer_sharing=feed_forward generator.layer_sharing=feed_forward sharing=all generator.size=same training.activation_checkpointing=true",
		"embeddings.kind=bytes",
		"embeddings.kind=bytes embeddings.width=8 sharing=none embeddings.options.pool=all",
		"embeddings.kind=bytes sharing=gdes embeddings.options.byte_width=24 embeddings.options.bytes=5",
		"embeddings.kind=bytes sharing=none replacements.source=frozen replacements.checkpoint=elsewhere",
		"embeddings.kind=bytes sharing=token objective.name=rtd_clm_scl training.accumulate=2",
		"embeddings.kind=bytes objective.name=mlm",
		"generator.size=narrow_quarter",
		"generator.size=same sharing=all",
		"sharing=none",
		"sharing=gdes",
		"positions.relative=none",
		"positions.relative=t5 positions.per_layer=true",
		"main.norm=pre generator.norm=pre",
		"replacements.source=unigram",
		"replacements.source=frozen replacements.checkpoint=elsewhere sharing=none",
		"generator.dropout=0.1 replacements.dropout=eval",
		"generator.dropout=0.1 replacements.dropout=train main.dropout=0.1",
		"training.activation_checkpointing=true",
		"training.activation_checkpointing=true main.norm=pre generator.norm=pre",
		"training.accumulate=2",
		"training.accumulate=2 objective.name=rtd_clm_scl",
		"training.accumulate=2 objective.name=rtd_clm_scl generator.dropout=0.1 replacements.dropout=eval",
		"optimizer.name=muon",
		"optimizer.name=muon sharing=gdes generator.size=narrow_quarter",
		"optimizer.name=muon replacements.source=frozen replacements.checkpoint=elsewhere sharing=none",
		"masking.with_replacement=true replacements.disallow_correct=true",
		"main.feed_forward=moe generator.feed_forward=moe",
		"main.feed_forward=moe main.feed_forward_options.top_k=2 main.feed_forward_options.group_rows=0",
		"main.feed_forward=moe generator.feed_forward=moe generator.dropout=0.1 replacements.dropout=eval training.accumulate=2 objective.name=rtd_clm_scl",
		"main.feed_forward=moe training.activation_checkpointing=true",
		"main.feed_forward=moe training.activation_checkpointing=true main.norm=pre",
		"main.feed_forward=moe generator.feed_forward=moe sharing=all optimizer.name=muon generator.size=same",
		"generator.feed_forward=moe replacements.source=frozen replacements.checkpoint=elsewhere sharing=none",
	} {
		t.Run(changes, func(t *testing.T) {
			c := recipes.Micro()
			c.Data.VocabSize, c.Training.BatchSize, c.Main.Layers = 50, 4, 2
			require.NoError(t, c.SetAll(strings.Fields(changes)...))
			require.NoError(t, c.Validate())
			counted, err := c.FLOPs(c.Data.VocabSize)
			require.NoError(t, err)

			d, err := synthetic(c, t.TempDir())
			require.NoError(t, err)
			defer d.Close()
			w := &watched{Pretraining: training.NewPretrainingOn(modelOn(c, d), d)}
			p := training.NewProgram(backendtest.Go(t), w)
			defer p.Close()
			require.NoError(t, p.Start(w))
			w.built = nil // what Start has built is never compiled
			batch, err := w.Batch(0)
			require.NoError(t, err)
			_, err = p.Step(batch, 1)
			require.NoError(t, err)
			require.Equal(t, programDots(p, w), counted.Total(), "%+v", counted)
			for _, part := range counted.Parts() {
				require.GreaterOrEqual(t, part.Value, 0.0, part.Name)
			}
		})
	}
}

// Prefix is a prefix of the workload, watched as well.
func (w *watched) Prefix(d int) training.Workload {
	return &watchedPrefix{watched{Pretraining: w.Pretraining.Prefix(d).(*training.Pretraining)}, w}
}

type watchedPrefix struct {
	watched
	whole *watched
}

func (w *watchedPrefix) Forward(scope *model.Scope, in []*Node, scalars, key *Node, micro *metro.MicroBatch) training.Output {
	out := w.watched.Forward(scope, in, scalars, key, micro)
	w.whole.built = append(w.whole.built, w.built...)
	return out
}

// A step on a prefix takes the operations of its own graph, to the last one: those of layers that rest are forward alone, and what is
// above the prefix is not computed. A run takes those of the prefixes that it draws.
func TestFLOPsOfPrefixesAreThoseOfTheProgram(t *testing.T) {
	for _, changes := range []string{
		"objective.name=all_token_lm sharing=token main.norm=pre",
		"objective.name=rtd_clm_scl training.accumulate=2 generator.dropout=0.1 replacements.dropout=eval",
		"objective.name=rtd_clm_mist objective.options.form=mix positions.rows=32 optimizer.name=muon replacements.source=unigram",
		"sharing=gdes embeddings.width=8 positions.relative=t5 positions.per_layer=true",
		"sharing=token_position_norm generator.size=narrow_quarter",
		"sharing=token_position_norm training.activation_checkpointing=true embeddings.kind=bytes generator.layers=2 generator.layer_sharing=all",
		"sharing=gdes embeddings.kind=bytes objective.name=rtd_clm_scl training.accumulate=2",
		"sharing=all generator.layers=3 generator.dropout=0.1 replacements.dropout=eval main.feed_forward=moe generator.feed_forward=moe",
		"training.activation_checkpointing=true main.norm=pre main.feed_forward=moe sharing=none replacements.source=frozen replacements.checkpoint=elsewhere",
	} {
		t.Run(changes, func(t *testing.T) {
			c := recipes.Micro()
			c.Data.VocabSize, c.Training.BatchSize, c.Main.Layers = 50, 4, 3
			require.NoError(t, c.SetAll(append(strings.Fields(changes), "training.prefix_steps=20", "training.prefix_layers=1")...))
			require.NoError(t, c.Validate())
			d, err := synthetic(c, t.TempDir())
			require.NoError(t, err)
			defer d.Close()
			w := &watched{Pretraining: training.NewPretrainingOn(modelOn(c, d), d)}
			p := training.NewProgram(backendtest.Go(t), w)
			defer p.Close()
			require.NoError(t, p.Start(w))
			batch, err := w.Batch(0)
			require.NoError(t, err)
			depths := map[int]float64{}
			sum := 0.0
			for step := 1; step <= 22; step++ {
				counted, err := c.StepFLOPs(c.Data.VocabSize, step)
				require.NoError(t, err)
				depth := c.PrefixAt(step)
				if _, known := depths[depth]; !known {
					w.built = nil
					_, err = p.Step(batch, step)
					require.NoError(t, err)
					depths[depth] = programDots(p, w)
				}
				require.Equal(t, depths[depth], counted.Total(), "step %d, %d layers: %+v", step, depth, counted)
				sum += counted.Total()
				run, err := c.RunFLOPs(c.Data.VocabSize, step)
				require.NoError(t, err)
				require.Equal(t, sum, run)
			}
			require.Len(t, depths, 4, "three prefixes and the whole")
			mean, err := c.PrefixFLOPs(c.Data.VocabSize)
			require.NoError(t, err)
			require.InEpsilon(t, (depths[1]+depths[2]+depths[3])/3, mean, 1e-12)
			require.Less(t, mean, depths[0])
		})
	}
}

// programDots adds up the matrix products of the graphs of one step.
func programDots(p *training.Program, w *watched) (sum float64) {
	for _, b := range w.built {
		roots := b.out.More
		switch {
		case b.micro != nil && b.micro.Index == nil: // the first pass leaves what it was asked for, and nothing else
			roots = b.micro.Asked()
		default:
			roots = append(roots, b.out.Tally)
			for v := range p.Store().IterVariables() {
				if v.InUseByGraph(b.graph) {
					roots = append(roots, v.NodeValue(b.graph))
				}
			}
		}
		sum += float64(w.Model().Config.Training.Accumulate) * dots(roots)
	}
	return sum
}

// dots adds up the operations of the matrix products that roots depend on.
func dots(roots []*Node) (sum float64) {
	seen := map[*Node]bool{}
	var walk func(n *Node)
	walk = func(n *Node) {
		if seen[n] {
			return
		}
		seen[n] = true
		if n.Type() == NodeTypeDotGeneral {
			sum += 2 * float64(n.Shape().Size()) * float64(contracted(n))
		}
		for _, input := range n.Inputs() {
			walk(input)
		}
	}
	for _, root := range roots {
		walk(root)
	}
	return sum
}

var contractingAxes = regexp.MustCompile(`lhsContractingAxes=\[([\d ]*)\]`)

// contracted is the number of products that one number of a matrix product is the sum of.
func contracted(n *Node) int {
	size := 1
	for _, axis := range strings.Fields(contractingAxes.FindStringSubmatch(n.String())[1]) {
		i, err := strconv.Atoi(axis)
		if err != nil {
			panic(err)
		}
		size *= n.Inputs()[0].Shape().Dim(i)
	}
	return size
}

// What is not known is not counted.
func TestFLOPsOfForeignPartsAreRefused(t *testing.T) {
	metro.RegisterObjective("bench_foreign", 1, func(*metro.Pass) []metro.Term { return nil })
	c := recipes.Micro()
	c.Objective.Name = "bench_foreign"
	_, err := c.FLOPs(300)
	require.ErrorContains(t, err, "cannot be counted")
}

// The rule of thumb of recipes agrees on the order of magnitude.
func TestFLOPsAreNearTheRuleOfThumb(t *testing.T) {
	for _, name := range []string{"electra-small", "metro-base", "electra-base"} {
		c, err := recipes.Get(name)
		require.NoError(t, err)
		counted, err := c.FLOPs(c.Data.VocabSize)
		require.NoError(t, err)
		rule := recipes.TrainFLOPs(c, c.Data.VocabSize) / float64(c.Training.Steps)
		require.InDelta(t, 1.3, counted.Total()/rule, 0.4, name)
	}
}
