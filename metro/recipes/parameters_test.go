// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/recipes"
	"metrolab/metro/training"
)

// ELECTRA's models with BERT's vocabulary of 30,522 and 512 positions. The numbers follow from the published shapes; the
// paper rounds them to 14 M, 110 M and 335 M.
func TestElectraParameters(t *testing.T) {
	for name, want := range map[string][2]int{
		"electra-small": {13_483_008, 13_549_057},
		"electra-base":  {108_891_648, 109_483_009},
		"electra-large": {334_092_288, 335_142_913},
	} {
		c, err := recipes.Get(name)
		require.NoError(t, err)
		p := recipes.Count(c, 30_522)
		require.Equal(t, want, [2]int{p.Encoder, p.Encoder + p.RTDHead}, name)
	}
}

// COCO-LM's and METRO's two shapes with the vocabularies of the family: absolute positions, no relative ones, no heads.
func TestMetroParameters(t *testing.T) {
	for name, want := range map[string]map[int]int{
		"metro-base":    {32_768: 110_615_040, 64_000: 134_601_216, 128_000: 183_753_216},
		"cocolm-base":   {32_768: 110_615_040},
		"metro-large":   {32_768: 336_390_144, 64_000: 368_371_712, 128_000: 433_907_712},
		"metro-large++": {64_000: 368_371_712},
	} {
		for vocab, encoder := range want {
			c, err := recipes.Get(name)
			require.NoError(t, err)
			with := recipes.Count(c, vocab).Encoder
			require.Equal(t, encoder, with-c.Positions.Bins*c.Main.Heads, name) // the relative table
			require.NoError(t, c.Set("positions.per_layer=true"))
			require.Equal(t, encoder+c.Main.Layers*c.Positions.Bins*c.Main.Heads, recipes.Count(c, vocab).Encoder, name)
			require.NoError(t, c.Set("positions.relative=none"))
			require.Equal(t, encoder, recipes.Count(c, vocab).Encoder, name)
		}
	}
}

func TestOneLayer(t *testing.T) {
	one, two := recipes.MetroBase(), recipes.MetroBase()
	two.Main.Layers++
	d, f := one.Main.Width, one.Main.FFN
	require.Equal(t, 4*(d*d+d)+2*d*f+f+d+4*d, recipes.Count(two, 8).Encoder-recipes.Count(one, 8).Encoder)
}

// What the shapes were guessed from: 1.6 G and 5.4 G weights, the wide one without its embeddings.
func TestShapes(t *testing.T) {
	want := map[string]float64{"metro-xl": 1.6e9, "metro-xxl-wide": 5.4e9, "metro-xxl-deep": 5.4e9}
	for _, r := range recipes.Shapes() {
		c := r.Config()
		encoder := recipes.Count(c, c.Data.VocabSize).Encoder
		if r.Name == "metro-xxl-wide" {
			encoder -= (c.Data.VocabSize + c.Data.SeqLen) * c.Main.Width
		}
		require.InEpsilon(t, want[r.Name], encoder, 0.03, r.Name)
		require.Contains(t, r.Certainty, "unverified")
		require.NotContains(t, recipes.Names(), r.Name)
		delete(want, r.Name)
	}
	require.Empty(t, want)
}

// ELECTRA's published flops_computation.py, which counts embedding look-ups as products and the backward pass as one
// forward pass, prints these.
func TestTrainFLOPs(t *testing.T) {
	for name, published := range map[string]float64{"electra-small": 1.2937e18, "electra-base": 6.4245e19, "electra-large": 7.1176e20} {
		c, err := recipes.Get(name)
		require.NoError(t, err)
		require.InEpsilon(t, published, recipes.TrainFLOPs(c, c.Data.VocabSize), 0.25, name)
	}
	c := recipes.Tiny()
	joint := recipes.TrainFLOPs(c, 300)
	c.Replacements.Source = metro.SourceFrozen
	frozen := recipes.TrainFLOPs(c, 300)
	c.Replacements.Source = metro.SourceUniform
	none := recipes.TrainFLOPs(c, 300)
	require.InEpsilon(t, (joint-none)/3, frozen-none, 1e-9)
	require.Positive(t, frozen-none)
}

// The count agrees with the graph's variables, part by part, with every setting that has to do with shapes.
func TestCountIsOfTheGraph(t *testing.T) {
	be := backendtest.Go(t)
	for _, set := range []string{
		"", "main.layers=3", "main.ffn=20", "generator.width_ratio=0.5", "embeddings.width=8", "embeddings.token_types=2", "embeddings.width=8, embeddings.token_types=2",
		"positions.absolute=false", "positions.relative=none", "positions.relative=t5", "positions.per_layer=true, positions.bins=64",
		"main.norm=pre", "generator.norm=pre", "objective.generator_head=norm", "objective.rtd_head=linear", "data.seq_len=12",
		"sharing=none", "sharing=token", "sharing=token_position", "sharing=token_position_norm", "sharing=all", "sharing=gdes",
		"sharing=none, embeddings.token_types=2, embeddings.width=8", "sharing=token, embeddings.token_types=2, positions.absolute=false",
		"sharing=token_position_norm, generator.width_ratio=0.5", "sharing=gdes, positions.absolute=false, embeddings.width=8",
		"sharing=gdes, embeddings.token_types=2", "sharing=all, main.norm=pre, generator.norm=pre, positions.per_layer=true", "sharing=none, generator.norm=pre",
	} {
		c := configured(t, recipes.Micro(), set)
		m := modelOf(c)
		store, err := training.InitialVariables(be, m)
		require.NoError(t, err, set)
		var built recipes.Parameters
		for v := range store.IterVariables() {
			switch path, n := v.Path(), v.Shape().Size(); {
			case strings.HasPrefix(path, "/generator/"):
				built.Generator += n
			case strings.HasPrefix(path, "/main/rtd/"):
				built.RTDHead += n
			case strings.HasPrefix(path, "/main/clm/"):
			default:
				built.Encoder += n
			}
		}
		built.Active = built.Encoder + built.RTDHead + built.Generator
		require.Equal(t, built, recipes.Count(c, m.Vocab), set)
	}
}
