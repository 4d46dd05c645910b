// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// CocoLMLargePP is COCO-LM large++: 24 layers of width 1024 beside a generator of 6.
//
//   - Read in COCO-LM's published code and configuration: the shape, relative buckets 128/256, and what cocolm-base++ has
//     from there. The contrastive head is 768 wide there and as wide as the model here.
//   - Reported by readers: 6 layers in the generator (the code's default is 4).
//   - Memory: learning rate 1e-4, and 1,950,000 steps as for cocolm-base++.
//   - Parameters: 368,373,760 in the encoder, 368,374,785 with the RTD head; 76,695,040 in the generator.
//   - Cost: 2,045 billion tokens, about 5e21 floating-point operations, and most of it again for the cropped rows.
//
// The command:
//
//	metro pretrain --recipe cocolm-large++ --corpus PATH
func CocoLMLargePP() metro.Config {
	c := CocoLMBasePP()
	c.Main.Layers, c.Main.Width, c.Main.Heads, c.Main.FFN = 24, 1024, 16, 4096
	c.Positions.Bins, c.Positions.MaxDistance = 128, 256
	c.Optimizer.LearningRate = 1e-4
	return withGenerator(c, "shallow_quarter")
}
