// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// Mini is the step between [Tiny] and [Base]: 4 layers of width 128, a generator of 2, rows of 64 over 2,048 pieces.
// The shape is ours. It is hours on two cores and minutes on a GPU, and has not been run to its end.
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
