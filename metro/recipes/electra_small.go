// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// ElectraSmall is ELECTRA-small: 12 layers of width 256 over embeddings of width 128, on rows of 128, beside a generator
// of 12 layers a quarter as wide.
//
//   - Read in ELECTRA's published code: all that electra-base has from there, and this one's shape, learning rate, rows,
//     batch and steps. The released checkpoint has a generator as wide as the main model (generator.size=same).
//   - Memory, left out: as for electra-base. With rows of 128, 13.8 % of the tokens are masked in effect.
//   - Ours: 128 rows in the position table, as many as a row has tokens. The released one has 512, of which pretraining
//     uses 128; with them the encoder has 13,483,008 weights, 13,549,057 with the RTD head.
//   - Parameters: 13,433,856 in the encoder, 13,499,905 with the RTD head; 647,162 in the generator.
//   - Cost: 16 billion tokens, about 1e18 floating-point operations.
//
// The command:
//
//	metro pretrain --recipe electra-small --corpus PATH
func ElectraSmall() metro.Config {
	c := ElectraBase()
	c.Data.SeqLen = 128
	c.Embeddings.Width = 128
	c.Main.Width, c.Main.Heads, c.Main.FFN = 256, 4, 1024
	c.Optimizer.LearningRate = 5e-4
	c.Training.Steps, c.Training.BatchSize = 1_000_000, 128
	return withGenerator(c, "narrow_quarter")
}
