// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// Tiny is METRO for two processor cores and about a minute: 2 layers of width 64 and a full-width generator of one, on
// short rows over a small vocabulary, so that there is local structure to learn and a cheap vocabulary product.
//
//   - The parts are METRO's; see metro-base.
//   - Ours: the sizes and the schedule, found by trying, and three settings without which a run this short would not leave
//     its plateau. The relative bias is multiplied by positions.scale, which lets its table move faster than Adam's step
//     allows; dense weights start at N(0, 1/fan-in); and the generator's head has no layer normalisation. The batch is
//     small because it is steps that bring a model over its plateau: with 64 rows, half the steps and a rate of 3e-3 some seeds
//     stayed on it.
//   - Parameters: 88,448 in the encoder, 92,673 with the RTD head; 38,188 in the generator.
//   - Cost: 2 million tokens, about 2e12 floating-point operations: about a minute on two cores. What it learns is in
//     docs/results.md.
//
// The command:
//
//	metro pretrain --recipe tiny
func Tiny() metro.Config {
	c := MetroBase()
	c.Data = metro.Data{VocabSize: 300, Lowercase: true, SeqLen: 32}
	c.Main.Layers, c.Main.Width, c.Main.Heads, c.Main.FFN = 2, 64, 4, 128
	c.Main.Activation, c.Main.Dropout, c.Main.Epsilon, c.Main.Init = "gelu_tanh", 0, 1e-6, metro.InitFanIn
	c.Generator = c.Main
	c.Generator.Layers = 1
	c.Positions.Scale = 200
	c.Objective.RTDHead, c.Objective.GeneratorHead = metro.RTDHeadProjected, metro.GeneratorHeadPlain
	c.Optimizer.LearningRate, c.Optimizer.WarmupSteps, c.Optimizer.FinalFraction = 2e-3, 120, 0.1
	t := &c.Training
	t.Steps, t.BatchSize, t.LogEvery, t.EvalEvery, t.CheckpointEvery = 2400, 32, 40, 400, 600
	c.Evaluation.Rows = 512
	return c
}
