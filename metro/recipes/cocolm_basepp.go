// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// CocoLMBasePP is COCO-LM base++: cocolm-base with more text, a larger vocabulary and longer training.
//
//   - Read in COCO-LM's published code and configuration: 64,000 tokens with case, relative buckets 64/128, and what
//     cocolm-base has from there.
//   - Memory: learning rate 2e-4 and 1,950,000 steps of 2,048 rows of 512, on about 160 GB of text.
//   - Parameters: 134,601,984 in the encoder, 134,602,753 with the RTD head; 29,008,384 in the generator.
//   - Cost: 2,045 billion tokens, about 1e21 floating-point operations, and most of it again for the cropped rows.
//
// The command:
//
//	metro pretrain --recipe cocolm-base++ --corpus PATH
func CocoLMBasePP() metro.Config {
	c := CocoLMBase()
	c.Data.VocabSize, c.Data.Lowercase = 64_000, false
	c.Positions.Bins = 64
	c.Optimizer.LearningRate = 2e-4
	c.Training.Steps = 1_950_000
	return c
}
