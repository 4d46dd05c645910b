// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"fmt"
	"slices"

	"metrolab/metro"
)

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

// ForPlanning returns the recipe of that name, or one of the [Shapes], and its config with assignments made. What a shape lacks
// afterwards, its generator, its batch and its steps, is taken from [MetroLargePP] and listed in assumed.
func ForPlanning(name string, set ...string) (r Recipe, c metro.Config, assumed []string, err error) {
	shapes := Shapes()
	i := slices.IndexFunc(shapes, func(r Recipe) bool { return r.Name == name })
	if i < 0 {
		if r, err = Find(name); err != nil {
			return r, c, nil, err
		}
		c = r.Config()
		return r, c, nil, c.SetAll(set...)
	}
	r, like := shapes[i], MetroLargePP()
	c = r.Config()
	c.Generator = like.Generator
	c.Generator.Layers, c.Generator.Width = 0, 0
	if err := c.SetAll(set...); err != nil {
		return r, c, nil, err
	}
	var missing []string
	if c.Generator.Layers == 0 {
		missing = append(missing, "generator.size=shallow_quarter")
	}
	if c.Training.BatchSize == 0 {
		missing = append(missing, fmt.Sprintf("training.batch_size=%d", like.Training.BatchSize))
	}
	if c.Training.Steps == 0 {
		missing = append(missing, fmt.Sprintf("training.steps=%d", like.Training.Steps))
	}
	return r, c, missing, c.SetAll(missing...)
}
