// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// Shapes are sizes of METRO-LM's largest models, for planning alone: no source says how many layers they have or how
// wide they are, and so nothing here is METRO-LM's own.
//
//   - metro-xl, 48 × 1536: a guess from a total of about 1.6 billion weights, which is itself from memory.
//   - metro-xxl-wide and metro-xxl-deep, 48 × 3072 and 64 × 2560: two guesses from the 5.4 billion weights that the paper's
//     abstract gives. The wide one reaches them without its embeddings, the deep one with them.
//
// Heads of 64, 128,000 tokens (a guess from the size of the smaller models), rows of 512 and 128 bins are assumed. The
// generator, the batch and the steps are not known and 0 here.
func Shapes() []Recipe {
	shape := func(name string, layers, width int) Recipe {
		return Recipe{Name: name, Certainty: "unverified; for planning", Config: func() metro.Config {
			c := MetroLargePP()
			c.Data.VocabSize = 128_000
			c.Main.Layers, c.Main.Width, c.Main.Heads, c.Main.FFN = layers, width, width/64, 4*width
			c.Generator = metro.Encoder{}
			c.Training.BatchSize, c.Training.Steps = 0, 0
			return c
		}}
	}
	return []Recipe{shape("metro-xl", 48, 1536), shape("metro-xxl-wide", 48, 3072), shape("metro-xxl-deep", 64, 2560)}
}
