// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// MetroLarge is METRO with 24 layers of width 1024 and the text, vocabulary and steps of metro-base, for comparing sizes
// with nothing else changed.
//
//   - No such model is published: the shape is that of metro-large++, all else that of metro-base.
//   - Ours: learning rate 2e-4, which is ELECTRA-large's at the same batch; relative buckets 128/256, as at that shape.
//   - Parameters: 336,392,192 in the encoder, 336,393,217 with the RTD head; 76,665,856 in the generator.
//   - Cost: 131 billion tokens, about 3e20 floating-point operations.
//
// The command:
//
//	metro pretrain --recipe metro-large --corpus PATH
func MetroLarge() metro.Config {
	c := MetroBase()
	c.Main.Layers, c.Main.Width, c.Main.Heads, c.Main.FFN = 24, 1024, 16, 4096
	c.Positions.Bins, c.Positions.MaxDistance = 128, 256
	c.Optimizer.LearningRate = 2e-4
	return withGenerator(c, "shallow_quarter")
}
