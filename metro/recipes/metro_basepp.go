// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// MetroBasePP is METRO at the size of COCO-LM base++ and METRO-T0 base++: metro-base with a larger vocabulary and longer
// training.
//
//   - Read in METRO-T0's published code: 64,000 tokens with case, shared embedding normalisation, a projected RTD head,
//     learning rate 2e-4, 2,000,000 steps, clip 2, and what metro-base has from there. Its RTD head also has a layer
//     normalisation, and it multiplies in bfloat16 (training.matmul=bfloat16).
//   - Read in COCO-LM's published code: relative buckets 64/128.
//   - Not known of METRO-LM, and ours: as for metro-base. The size that is reported for its product, 184 M, would mean
//     about 128,000 tokens.
//   - Parameters: 134,601,984 in the encoder, 135,193,345 with the RTD head; 29,008,384 in the generator.
//   - Cost: 2,097 billion tokens, about 2e21 floating-point operations.
//
// The command:
//
//	metro pretrain --recipe metro-base++ --corpus PATH
func MetroBasePP() metro.Config {
	c := MetroBase()
	c.Data.VocabSize, c.Data.Lowercase = 64_000, false
	c.Positions.Bins = 64
	c.Sharing = metro.SharingTokenPositionNorm
	c.Objective.RTDHead = metro.RTDHeadProjected
	c.Optimizer.LearningRate = 2e-4
	c.Training.Steps = 2_000_000
	return c
}
