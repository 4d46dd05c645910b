// SPDX-License-Identifier: Apache-2.0

package studies

import (
	"metrolab/ablations"
	"metrolab/metro/recipes"
)

// SuperTiny asks of small models of equal size where their weights should be: in a table of tokens under narrow layers, in a
// narrow table and a map to wide layers, in an encoder of bytes that knows no tokens, or in one feed-forward map that two layers share.
// Each has about 120,000 weights in what is kept, of tiny with a vocabulary of 2,048 (TestSuperTinyArmsAreOfOneSize); operations are
// not equal: the byte encoder reads 24,576 bytes a step. Four paired seeds an arm. That the sizes are equal is ours: Super Tiny
// Language Models compare by parts saved. In pure Go it is cut to 300 steps.
func SuperTiny(backend string) ablations.Study {
	s := ablations.Study{
		Name:     "supertiny",
		Question: "Where do the weights of a small model do most: in a token table, a factorised one, an encoder of bytes, or one map for all layers?",
		Recipe:   "tiny",
		Outcome:  FrozenAUC,
		Baseline: recipes.Tiny(),
		Changes: []ablations.Change{
			{Name: "factorised table", Set: append([]string{"embeddings.width=24"}, wideLayers...)},
			{Name: "byte-pooled", Set: append([]string{"embeddings.kind=bytes"}, wideLayers...)},
			{Name: "shared map", Set: []string{"main.layer_sharing=feed_forward", "main.ffn=176"}},
		},
		Seeds: []int64{0, 1, 2, 3},
	}
	s.Baseline.Data.VocabSize = 2048
	for _, e := range []*int{&s.Baseline.Main.Width, &s.Baseline.Generator.Width} {
		*e = 44
	}
	for _, e := range []*int{&s.Baseline.Main.FFN, &s.Baseline.Generator.FFN} {
		*e = 88
	}
	if backend == "go" {
		s.Baseline.Training.Steps, s.Baseline.Optimizer.WarmupSteps = 300, 30
	}
	return s
}

// wideLayers are tiny's own, which a model can afford whose tokens take less.
var wideLayers = []string{"main.width=64", "main.ffn=128", "generator.width=64", "generator.ffn=128"}
