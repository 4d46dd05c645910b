// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// Micro is tiny cut down until 100 steps take a second or two: one layer of width 16, for tests of everything but
// learning.
//
//   - Ours.
//   - Parameters: 7,440 in the encoder, 7,729 with the RTD head; 2,956 in the generator.
//   - Cost: 12,800 tokens, about 4e8 floating-point operations: a second or two.
//
// The command:
//
//	metro pretrain --recipe micro
func Micro() metro.Config {
	c := Tiny()
	c.Main.Layers, c.Main.Width, c.Main.FFN = 1, 16, 32
	c.Generator = c.Main
	c.Data.VocabSize, c.Data.SeqLen = 300, 16
	c.Optimizer.LearningRate, c.Optimizer.WarmupSteps = 3e-3, 10
	t := &c.Training
	t.Steps, t.BatchSize, t.LogEvery, t.EvalEvery, t.CheckpointEvery = 100, 8, 10, 50, 50
	c.Evaluation.Rows = 32
	return c
}
