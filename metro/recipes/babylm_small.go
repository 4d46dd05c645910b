// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// BabyLMSmall is METRO for the ten million words of BabyLM's Strict-Small track and a GPU: 12 layers of width 384, a generator of 4
// of the same width, rows of 128 over 8,192 pieces.
//
//   - The parts are METRO's; see metro-base.
//   - Read in the rules of BabyLM: at most ten passes over the words. The steps are those of ten passes over 14 million tokens, which
//     ten million words come to with such a vocabulary; set training.steps to yours.
//   - Ours: all else, on the pattern of what small encoders are trained with there (GPT-BERT's width and depth by its published
//     code): the learning rate, a warm-up of 1.6 %, decay 0.1, dropout 0.1 in the main model, and a mask rate that falls from
//     0.3 to 0.15. It has not been run, and nobody has published what a model of this kind reaches there.
//   - Parameters: 24,489,408 in the encoder, 24,489,793 with the RTD head; 7,255,616 in the generator.
//   - Cost: 140 million tokens, about 2e16 floating-point operations: days on two cores, minutes on a GPU.
//
// The command:
//
//	metro pretrain --recipe babylm-small --corpus FOLDER
func BabyLMSmall() metro.Config {
	c := MetroBase()
	c.Data.VocabSize, c.Data.SeqLen = 8192, 128
	c.Main.Width, c.Main.Heads, c.Main.FFN = 384, 6, 1536
	c.Generator = c.Main
	c.Generator.Dropout = 0
	c.Masking.Rate, c.Masking.FinalRate = 0.3, 0.15
	o := &c.Optimizer
	o.LearningRate, o.WarmupSteps, o.WeightDecay = 1e-3, 70, 0.1
	t := &c.Training
	t.Steps, t.BatchSize, t.LogEvery, t.EvalEvery, t.CheckpointEvery = 4270, 256, 10, 427, 427
	c.Evaluation.Rows = 2048
	return withGenerator(c, "shallow_third")
}
