// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// Mini is the step between tiny and metro-base: 4 layers of width 128, a generator of 2, rows of 64 over 2,048 pieces.
//
//   - Ours: the shape and the schedule; all else is tiny's. It has not been run to its end.
//   - Parameters: 1,063,808 in the encoder, 1,080,449 with the RTD head; 415,488 in the generator.
//   - Cost: 82 million tokens, about 6e14 floating-point operations: hours on two cores, minutes on a GPU.
//
// The command:
//
//	metro pretrain --recipe mini
func Mini() metro.Config {
	c := Tiny()
	c.Data.VocabSize, c.Data.SeqLen = 2048, 64
	c.Main.Layers, c.Main.Width, c.Main.Heads, c.Main.FFN = 4, 128, 4, 512
	c.Generator = c.Main
	c.Generator.Layers = 2
	c.Optimizer.LearningRate, c.Optimizer.WarmupSteps = 2e-3, 1000
	t := &c.Training
	t.Steps, t.BatchSize, t.LogEvery, t.EvalEvery, t.CheckpointEvery = 20_000, 64, 50, 1000, 500
	return c
}
