// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// MetroLargePP is METRO at the size of COCO-LM large++ and METRO-T0 large++: 24 layers of width 1024 beside a generator of 6.
//
//   - Read in METRO-T0's published code: the generator's depth, relative buckets 128/256, learning rate 1e-4, and what
//     metro-base++ has from there.
//   - Not known of METRO-LM, and ours: as for metro-base. The size that is reported for its product, 434 M, would mean
//     about 128,000 tokens. What METRO-T0's large model shares is not clear from its configuration; here it is what its
//     base++ does.
//   - Parameters: 368,373,760 in the encoder, 369,424,385 with the RTD head; 76,695,040 in the generator.
//   - Cost: 2,097 billion tokens, about 5e21 floating-point operations.
//
// The command:
//
//	metro pretrain --recipe metro-large++ --corpus PATH
func MetroLargePP() metro.Config {
	c := MetroBasePP()
	c.Main.Layers, c.Main.Width, c.Main.Heads, c.Main.FFN = 24, 1024, 16, 4096
	c.Positions.Bins, c.Positions.MaxDistance = 128, 256
	c.Optimizer.LearningRate = 1e-4
	return withGenerator(c, "shallow_quarter")
}
