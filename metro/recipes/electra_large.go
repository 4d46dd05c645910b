// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// ElectraLarge is ELECTRA-large, the run of 400,000 steps: 24 layers of width 1024 beside a generator of 24 layers a
// quarter as wide.
//
//   - Read in ELECTRA's published code: all that electra-base has from there, and this one's shape, mask rate of 25 %
//     (22.1 % of the tokens in effect), learning rate, batch and steps. The longer run has 1,750,000 steps.
//   - Memory, left out: as for electra-base.
//   - Parameters: 334,092,288 in the encoder, 335,142,913 with the RTD head; 19,512,378 in the generator.
//   - Cost: 419 billion tokens, about 8e20 floating-point operations.
//
// The command:
//
//	metro pretrain --recipe electra-large --corpus PATH
func ElectraLarge() metro.Config {
	c := ElectraBase()
	c.Main.Layers, c.Main.Width, c.Main.Heads, c.Main.FFN = 24, 1024, 16, 4096
	c.Masking.Rate = 0.25
	c.Training.Steps, c.Training.BatchSize = 400_000, 2048
	return withGenerator(c, "narrow_quarter")
}
