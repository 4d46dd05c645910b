// SPDX-License-Identifier: Apache-2.0

package metro

import "metrolab/internal/randstream"

// Training in two stages, as bert2BERT trains a model that has grown (2110.07143, notes on the paper): in the first, each step draws
// a prefix of the main model, its first d layers, trains it as a model of d layers, and moves of its layers the top l_b alone, beside
// the heads. So the steps of l_b layers train the lowest block, those of 2·l_b the next one, and a step of few layers costs little. The
// second stage trains all.
//
// The notes speak of layers and heads. What else there is, is ours: a layer normalisation behind the last layer goes with the heads;
// tables, their normalisation and projection, and a relative bias that layers share, with the lowest block; and the generator's
// own weights move in every step.

// Prefixes lists the depths of the prefixes that the first stage draws from: the multiples of training.prefix_layers up to main.layers.
func (c Config) Prefixes() (depths []int) {
	for d := c.Training.PrefixLayers; d <= c.Main.Layers; d += c.Training.PrefixLayers {
		depths = append(depths, d)
	}
	return depths
}

// PrefixAt returns how many layers the prefix has that a step, 1 … steps, trains: one of [Config.Prefixes], each as likely, a
// function of (seed, step). It is 0 where a step trains the whole model.
func (c Config) PrefixAt(step int) int {
	if step > c.firstStage() {
		return 0
	}
	depths := c.Prefixes()
	return depths[randstream.New(c.Seed, "prefix", step).IntN(len(depths))]
}

// firstStage is the number of steps that train prefixes.
func (c Config) firstStage() int {
	if c.Task.Name != "" {
		return 0
	}
	return c.Training.PrefixSteps
}

// Prefix returns c with the first d layers of its main model alone, which are the generator's too where both are one encoder. It has
// no first stage.
func (c Config) Prefix(d int) Config {
	c.Main.Layers = d
	if c.Sharing == SharingAll {
		c.Generator.Layers = d
	}
	c.Training.PrefixSteps, c.Training.PrefixLayers = 0, 0
	return c
}

// MovedWith returns those of inv, the weights of c, that a step on the prefix of d layers moves, as weights of the prefix: in
// their order, with its [Weight.Depth].
func (c Config) MovedWith(d int, inv Inventory) (moved Inventory) {
	resting := d - c.Training.PrefixLayers
	for _, w := range inv {
		switch {
		case w.Head != "" || !w.ByMain: // whatever the depth
		case w.Layer >= 0:
			if w.Layer < resting || w.Layer >= d {
				continue
			}
		case w.Depth > 0:
			w.Depth = d // it follows the last layer
		case resting > 0:
			continue
		}
		moved = append(moved, w)
	}
	return moved
}
