// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// Mini is the step between tiny and metro-base: 4 layers of width 192, a generator of 2, rows of 64 over 4,096 pieces.
//
//   - Ours: the shape, Muon, which leaves the plateau of the first steps where AdamW does not, and the schedule; all else is tiny's.
//     A pilot of it (one seed) told BLiMP's pairs better than one of width 128 did, whose operations were as many, on twice the tokens.
//   - Parameters: 2,578,752 in the encoder, 2,616,001 with the RTD head; 931,456 in the generator.
//   - Cost: 41 million tokens, about 7e14 floating-point operations: hours on two cores, minutes on a GPU.
//
// The command:
//
//	metro pretrain --recipe mini
func Mini() metro.Config {
	c := Tiny()
	c.Data.VocabSize, c.Data.SeqLen = 4096, 64
	c.Main.Layers, c.Main.Width, c.Main.Heads, c.Main.FFN = 4, 192, 6, 768
	c.Generator = c.Main
	c.Generator.Layers = 2
	o := &c.Optimizer
	o.Name, o.LearningRate, o.WarmupSteps = metro.OptimizerMuon, 2e-3, 1000
	t := &c.Training
	t.Steps, t.BatchSize, t.LogEvery, t.EvalEvery, t.CheckpointEvery = 10_000, 64, 50, 1000, 500
	return c
}
