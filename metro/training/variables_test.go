// SPDX-License-Identifier: Apache-2.0

package training

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/layers"
	"metrolab/metro"
	"metrolab/metro/recipes"
)

// settled is what the optimizer does with a variable: whether it decays, and the factor of its learning rate at a layer
// decay of 0.8.
type settled struct {
	decays bool
	rate   float64
}

// expected builds the list of a model's variables.
type expected map[string]settled

// add lists the variables of a scope by their names. Weights and tables decay.
func (e expected) add(rate float64, scope string, names ...string) {
	for _, name := range names {
		decays := name == "weights"
		for _, table := range []string{"_embedding", "_table", "_difference"} {
			decays = decays || strings.HasSuffix(name, table)
		}
		e[scope+name] = settled{decays, rate}
	}
}

func (e expected) dense(rate float64, scopes ...string) {
	for _, scope := range scopes {
		e.add(rate, scope, "weights", "bias")
	}
}

func (e expected) norm(rate float64, scopes ...string) {
	for _, scope := range scopes {
		e.add(rate, scope, "gain", "offset")
	}
}

// layer lists one layer.
func (e expected) layer(rate float64, scope string) {
	e.dense(rate, scope+"attention/query/", scope+"attention/key/", scope+"attention/value/", scope+"attention/output/", scope+"ffn_in/", scope+"ffn_out/")
	e.norm(rate, scope+"attention_norm/", scope+"ffn_norm/")
}

// whole is a main model of two layers and a generator of one, with the assignments made.
func whole(t *testing.T, assignments ...string) metro.Config {
	t.Helper()
	c := recipes.Micro()
	c.Main.Layers, c.Generator.Width, c.Generator.Heads, c.Objective.RTDHead = 2, 8, 2, metro.RTDHeadLinear
	for _, a := range append(assignments, "optimizer.layer_decay=0.8") {
		require.NoError(t, c.Set(a))
	}
	require.NoError(t, c.Validate())
	return c
}

// Every variable of models with all parts between them, whether it decays, and how fast it learns under layer decay. With
// n layers, layer i has 0.8ⁿ⁻ⁱ⁻¹·0.8 (the top one 0.8), and the embeddings 0.8ⁿ⁺¹. A new kind of variable has to be
// decided here.
func TestWhatDecays(t *testing.T) {
	const head, top, second, third = 1, 0.8, 0.64, 0.512
	tables := []string{"token_embedding", "position_embedding", "token_type_embedding"}
	for name, test := range map[string]struct {
		config metro.Config
		want   func(e expected)
	}{
		"own tables, post-LN, projected RTD, CLM": {
			whole(t, "sharing=none", "objective.generator_head=norm", "objective.rtd_head=projected", "embeddings.token_types=2"),
			func(e expected) {
				e.add(third, "/shared/", tables...)
				e.add(second, "/generator/", tables...)
				e.norm(third, "/main/embedding_norm/")
				e.norm(second, "/generator/embedding_norm/")
				e.add(third, "/main/", "relative_position_table")
				e.add(second, "/generator/", "relative_position_table")
				e.dense(second, "/generator/embedding_projection/")
				e.layer(second, "/main/layer_0/")
				e.layer(top, "/main/layer_1/")
				e.layer(top, "/generator/layer_0/")
				e.dense(head, "/generator/head/transform/", "/main/rtd/transform/", "/main/rtd/output/")
				e.norm(head, "/generator/head/norm/")
				e.add(head, "/generator/head/", "output_bias")
				e.add(head, "/main/clm/", "output_bias")
			},
		},
		"gradient-disentangled tables, pre-LN, a bias table a layer, narrow embeddings, SCL": {
			whole(t, "sharing=gdes", "main.norm=pre", "positions.per_layer=true", "embeddings.width=12", "embeddings.token_types=1",
				"objective.name=rtd_clm_scl", "objective.generator_head=plain"),
			func(e expected) {
				e.add(third, "/shared/", tables...)
				for _, table := range tables {
					e.add(third, "/main/", table+"_difference")
				}
				e.norm(third, "/main/embedding_norm/")
				e.dense(third, "/main/embedding_projection/")
				e.norm(second, "/generator/embedding_norm/")
				e.dense(second, "/generator/embedding_projection/")
				e.layer(second, "/main/layer_0/")
				e.layer(top, "/main/layer_1/")
				e.layer(top, "/generator/layer_0/")
				e.add(second, "/main/layer_0/", "relative_position_table")
				e.add(top, "/main/layer_1/", "relative_position_table")
				e.add(top, "/generator/layer_0/", "relative_position_table")
				e.norm(top, "/main/final_norm/")
				e.dense(head, "/main/rtd/output/", "/main/clm/projection/", "/main/scl/transform/", "/generator/head/transform/")
				e.norm(head, "/main/scl/norm/")
				e.add(head, "/main/clm/", "output_bias")
				e.add(head, "/generator/head/", "output_bias")
			},
		},
		"shared normalisation, no positions, a full LM head": {
			whole(t, "sharing=token_position_norm", "positions.absolute=false", "positions.relative=none", "objective.name=all_token_lm", "generator.norm=pre"),
			func(e expected) {
				e.add(third, "/shared/", "token_embedding")
				e.norm(third, "/shared/embedding_norm/")
				e.dense(second, "/generator/embedding_projection/")
				e.layer(second, "/main/layer_0/")
				e.layer(top, "/main/layer_1/")
				e.layer(top, "/generator/layer_0/")
				e.norm(top, "/generator/final_norm/")
				e.dense(head, "/main/rtd/output/", "/main/lm/transform/", "/generator/head/transform/")
				e.norm(head, "/main/lm/norm/")
				e.add(head, "/main/lm/", "output_bias")
				e.add(head, "/generator/head/", "output_bias")
			},
		},
		"one encoder for both": {
			whole(t, "generator.layers=2", "generator.width=16", "generator.heads=4", "sharing=all", "objective.name=rtd"),
			func(e expected) {
				e.add(third, "/shared/", "token_embedding", "position_embedding")
				e.norm(third, "/main/embedding_norm/")
				e.add(third, "/main/", "relative_position_table")
				e.layer(second, "/main/layer_0/")
				e.layer(top, "/main/layer_1/")
				e.dense(head, "/main/rtd/output/", "/generator/head/transform/")
				e.add(head, "/generator/head/", "output_bias")
			},
		},
		"no generator": {
			whole(t, "objective.name=mlm"),
			func(e expected) {
				e.add(third, "/shared/", "token_embedding", "position_embedding")
				e.norm(third, "/main/embedding_norm/")
				e.add(third, "/main/", "relative_position_table")
				e.layer(second, "/main/layer_0/")
				e.layer(top, "/main/layer_1/")
				e.dense(head, "/main/lm/transform/")
				e.norm(head, "/main/lm/norm/")
				e.add(head, "/main/lm/", "output_bias")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := metro.Model{Config: test.config, Vocab: 20}
			store, inv, err := initialize(backendtest.Go(t), NewPretraining(m))
			require.NoError(t, err)
			require.Equal(t, len(inv), store.NumVariables())
			got, want := expected{}, expected{}
			test.want(want)
			for _, w := range inv {
				factor, decay := m.Config.Moves(w)
				require.Contains(t, []float64{0, m.Config.Optimizer.WeightDecay}, decay)
				got[w.Path()] = settled{decay > 0, math.Round(factor*1e12) / 1e12}
			}
			require.Equal(t, want, got)

			// ELECTRA's code has one power more below the heads, and 1 turns it off.
			for _, change := range []func(c *metro.Config) func(rate float64) float64{
				func(c *metro.Config) func(float64) float64 {
					c.Optimizer.LayerDecayRule = metro.LayerDecayElectra
					return func(rate float64) float64 {
						if rate == head {
							return rate
						}
						return rate * 0.8
					}
				},
				func(c *metro.Config) func(float64) float64 {
					c.Optimizer.LayerDecay = 1
					return func(float64) float64 { return 1 }
				},
			} {
				c := m.Config
				rate := change(&c)
				for _, w := range inv {
					factor, _ := c.Moves(w)
					require.InDelta(t, rate(want[w.Path()].rate), factor, 1e-12, w.Path())
				}
			}
		})
	}
}

// ELECTRA's factors for 12 layers and a decay of 0.8, worked out by hand; the exact rule's are 1/0.8 of them.
func TestLayerDecayOfTwelveLayers(t *testing.T) {
	c := whole(t, "sharing=none", "main.layers=12", "main.norm=pre", "generator.layers=4")
	weights := metro.Describe(c, 20).ByPath()
	for path, want := range map[string]float64{
		"/shared/token_embedding": 0.043980, "/main/embedding_norm/gain": 0.043980, "/main/layer_0/ffn_in/weights": 0.054976,
		"/main/layer_11/ffn_in/weights": 0.64, "/main/final_norm/gain": 0.64, "/main/rtd/output/weights": 1,
		"/generator/token_embedding": 0.262144, "/generator/layer_3/ffn_in/weights": 0.64, "/generator/head/output_bias": 1,
	} {
		require.Contains(t, weights, path)
		c.Optimizer.LayerDecayRule = metro.LayerDecayElectra
		factor, _ := c.Moves(weights[path])
		require.InDelta(t, want, factor, 5e-7, path)
		c.Optimizer.LayerDecayRule = metro.LayerDecayExact
		if want < 1 {
			want /= 0.8
		}
		factor, _ = c.Moves(weights[path])
		require.InDelta(t, want, factor, 7e-7, path)
	}
}

// Of several groups that have a variable the last one counts, and what never decays does not decay in a group either.
func TestSettingsOfGroups(t *testing.T) {
	c := whole(t)
	c.Optimizer.LayerDecay, c.Optimizer.WeightDecay = 0.5, 0.01
	c.Optimizer.Groups = "main: lr=3 decay=0.3; main/rtd: lr=2; main/rtdx: lr=9; main/layer_1: decay=0"
	weights := metro.Describe(c, 20).ByPath()
	for path, want := range map[string][2]float64{
		"/main/rtd/output/weights":     {2, 0.01},
		"/main/rtd/output/bias":        {2, 0},
		"/main/layer_0/ffn_in/weights": {3 * 0.25, 0.3},
		"/main/layer_0/ffn_in/bias":    {3 * 0.25, 0},
		"/main/layer_1/ffn_in/weights": {0.5, 0},
		"/main/clm/output_bias":        {3, 0},
		"/shared/token_embedding":      {0.125, 0.01},
		"/generator/head/output_bias":  {1, 0},
	} {
		require.Contains(t, weights, path)
		factor, decay := c.Moves(weights[path])
		require.Equal(t, want, [2]float64{factor, decay}, path)
	}
}

// A head from elsewhere is a head whatever its name: it learns at the full rate, is grouped by its name, decays by what its
// weights are for, and is part of what a checkpoint holds. So does one that is named like a layer.
func TestHeadsFromElsewhere(t *testing.T) {
	c := whole(t, "objective.name=test_layer_mix", "optimizer.groups=main: lr=3; main/layer_mix/output: lr=2 decay=0.3")
	store, inv, err := initialize(backendtest.Go(t), NewPretraining(metro.Model{Config: c, Vocab: 20}))
	require.NoError(t, err)
	require.Equal(t, len(inv), store.NumVariables())
	want := map[string]metro.Weight{
		"/main/layer_mix/output/weights": {Place: metro.Place{Part: "output", Kind: "weights"}, Shape: []int{16, 1}, Role: layers.RoleDense},
		"/main/layer_mix/output/bias":    {Place: metro.Place{Part: "output", Kind: "bias"}, Shape: []int{1}, Role: layers.RoleBias},
		"/main/layer_mix/shift":          {Place: metro.Place{Kind: "shift"}, Shape: []int{16}, Role: layers.RoleNorm},
		"/main/layer_mix/scale":          {Place: metro.Place{Kind: "scale"}, Shape: []int{16}, Role: layers.RoleDense},
	}
	settled := map[string][2]float64{
		"/main/layer_mix/output/weights": {2, 0.3}, "/main/layer_mix/output/bias": {2, 0},
		"/main/layer_mix/shift": {3, 0}, "/main/layer_mix/scale": {3, c.Optimizer.WeightDecay},
	}
	heads := inv.HeadOf(metro.OwnerMain, "layer_mix")
	require.Len(t, heads, len(want))
	for _, w := range heads {
		e := want[w.Path()]
		e.Owner, e.Head, e.Layer, e.Depth, e.ByMain = metro.OwnerMain, "layer_mix", -1, 3, true
		require.Equal(t, e, w)
		factor, decay := c.Moves(w)
		require.Equal(t, settled[w.Path()], [2]float64{factor, decay}, w.Path())
	}
	require.NotEmpty(t, inv.HeadOf(metro.OwnerMain, metro.HeadLM))
	require.Empty(t, inv.Where(func(w metro.Weight) bool { return w.Owner == metro.OwnerGenerator }), "nobody asked for samples")
	paths := func(inv metro.Inventory) []string { return slices.Sorted(maps.Keys(inv.ByPath())) }
	require.Equal(t, paths(metro.Describe(c, 20).Of(metro.OwnerMain).Encoder()), paths(inv.Encoder()))
}

func init() {
	metro.RegisterObjective("test_layer_mix", 1, func(p *metro.Pass) []metro.Term {
		scope, states := p.Head("layer_mix"), p.MaskedStates()
		h := states.Shape().Dim(-1)
		shift := layers.Weight{Kind: "shift", Shape: []int{h}, Init: layers.InitZeros, Role: layers.RoleNorm}.Node(scope, states)
		scale := layers.Param(scope, states, "scale", layers.InitOnes, h)
		x := Add(Mul(states, ExpandLeftToRank(scale, 3)), ExpandLeftToRank(shift, 3))
		logits := layers.Dense(scope.In("output"), x, 1, layers.InitFanIn)
		lm := metro.CrossEntropy(p.LMLogits(metro.GatherPositions(states, p.Batch.Positions)), p.Originals(), p.Batch.Weights)
		return []metro.Term{{Name: "lm", Loss: lm}, {Name: "mix", Loss: ReduceAllMean(Square(AddScalar(logits, -1)))}}
	})
}
