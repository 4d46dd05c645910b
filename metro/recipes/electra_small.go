// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// ElectraSmall is ELECTRA-small: 12 layers of width 256 over embeddings of width 128, on rows of 128, beside a generator
// of 12 layers a quarter as wide.
//
//   - Read in ELECTRA's published code: all that electra-base has from there, and this one's shape, learning rate, rows,
//     batch and steps. The released checkpoint has a generator as wide as the main model (generator.size=same).
//   - Memory, left out: as for electra-base. With rows of 128, 13.8 % of the tokens are masked in effect.
//   - The position table has 512 rows, as the released one has, of which pretraining uses 128.
//   - Parameters: 13,483,008 in the encoder, 13,549,057 with the RTD head; 647,162 in the generator.
//   - Cost: 16 billion tokens, about 1e18 floating-point operations.
//
// The command:
//
//	metro pretrain --recipe electra-small --corpus PATH
func ElectraSmall() metro.Config {
	c := ElectraBase()
	c.Data.SeqLen, c.Positions.Rows = 128, 512
	c.Embeddings.Width = 128
	c.Main.Width, c.Main.Heads, c.Main.FFN = 256, 4, 1024
	c.Optimizer.LearningRate = 5e-4
	c.Training.Steps, c.Training.BatchSize = 1_000_000, 128
	return withGenerator(c, "narrow_quarter")
}
