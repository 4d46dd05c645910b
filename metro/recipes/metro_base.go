// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// MetroBase is METRO at the size of COCO-LM base and METRO-T0 base, and what the other METRO recipes are made from:
// cocolm-base without sequence contrast, with a generator that has no dropout, so that one pass serves its loss and its
// samples, and with the simplified CLM.
//
//   - Read in METRO-T0's published code: the generator's depth and its lack of dropout, RTD weight 50 over all tokens, RTD
//     output that starts at 0, rows, batch and 125,000 steps, warm-up of 10,000 steps, then linear decay to 0, learning rate
//     4e-4, Adam β 0.9/0.98 and ε 1e-6, decay 0.01. Its main model is an encoder-decoder; the encoder here is COCO-LM's.
//   - Reported: METRO-LM trains both models together, on RTD and on simplified CLM at the masked positions.
//     METRO-T0's base weights its CLM (objective.clm=weighted), its larger models do not.
//   - Memory: METRO-LM keeps post-LN and drops sequence contrast.
//   - Not known of METRO-LM: what masked positions show, learning rates and steps, bins, sharing, and its "scaled
//     initialisation".
//   - Ours, therefore: 100 % [MASK] (COCO-LM's; METRO-T0 has 80/10/10), shared token and position tables, N(0, 0.02²)
//     weights (main.init_scale=depth is a candidate), clip 2 (METRO-T0's larger ones; its base has none).
//   - Parameters: 110,615,424 in the encoder, 110,616,193 with the RTD head; 28,978,304 in the generator.
//   - Cost: 131 billion tokens, about 9e19 floating-point operations.
//
// The command:
//
//	metro pretrain --recipe metro-base --corpus PATH
func MetroBase() metro.Config {
	c := CocoLMBase()
	c.Generator.Dropout, c.Replacements.Dropout = 0, metro.SampleZero
	c.Sharing = metro.SharingTokenPosition
	c.Objective.Name, c.Objective.CLM, c.Objective.RTDZeroInit = "rtd_clm", metro.CLMSimplified, true
	c.Optimizer.LearningRate = 4e-4
	return c
}
