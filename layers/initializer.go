// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"math"
	"math/rand/v2"
)

// Initializer fills values, the row-major first value of a variable with the given dimensions. Values are 0 when it is
// called.
type Initializer func(rng *rand.Rand, values []float64, dims []int)

// InitZeros sets everything to 0.
func InitZeros(*rand.Rand, []float64, []int) {}

// InitOnes sets everything to 1.
func InitOnes(_ *rand.Rand, values []float64, _ []int) {
	for i := range values {
		values[i] = 1
	}
}

// InitNormal draws from N(0, std²).
func InitNormal(std float64) Initializer {
	return func(rng *rand.Rand, values []float64, _ []int) {
		for i := range values {
			values[i] = std * rng.NormFloat64()
		}
	}
}

// InitTruncatedNormal draws from N(0, std²), and again whatever lies more than 2·std from 0, as TensorFlow's
// truncated_normal does: ELECTRA's and BERT's initialiser, with std 0.02 (read in their code). What remains has the standard
// deviation 0.8796·std, which nobody corrects.
func InitTruncatedNormal(std float64) Initializer {
	return func(rng *rand.Rand, values []float64, _ []int) {
		for i := range values {
			z := rng.NormFloat64()
			for math.Abs(z) > 2 {
				z = rng.NormFloat64()
			}
			values[i] = std * z
		}
	}
}

// InitFanIn draws from N(0, 1/fan-in), where the fan-in is the first dimension: states keep their variance through a
// dense map.
func InitFanIn(rng *rand.Rand, values []float64, dims []int) {
	InitNormal(1/math.Sqrt(float64(dims[0])))(rng, values, dims)
}

// InitT5Dense draws the weights [in, out] of a dense map from N(0, 1/(2·out)). This is what METRO-T0's code does (read
// there): it means 1/(fan-in + fan-out), but takes the number of outputs for both.
func InitT5Dense(rng *rand.Rand, values []float64, dims []int) {
	InitNormal(1/math.Sqrt(2*float64(dims[len(dims)-1])))(rng, values, dims)
}

// InitT5Embedding draws an embedding table uniformly from ±√3·s with s = width^(−1/2)/√2, so that s is its standard
// deviation: METRO-T0's, with the width of the embeddings (read in its code).
func InitT5Embedding(width int) Initializer {
	limit := math.Sqrt(3 / (2 * float64(width)))
	return func(rng *rand.Rand, values []float64, _ []int) {
		for i := range values {
			values[i] = limit * (2*rng.Float64() - 1)
		}
	}
}

// InitScaled draws from init and multiplies by factor. With 1/√(2L), for the maps that write into the residual stream of L
// layers (see [Block]), its sum over all 2L sub-layers has at first the size of one: GPT-2's and Megatron-LM's rule. It is
// one reading of METRO-LM's "scaled initialisation", whose formula is not known here.
func InitScaled(init Initializer, factor float64) Initializer {
	return func(rng *rand.Rand, values []float64, dims []int) {
		init(rng, values, dims)
		for i := range values {
			values[i] *= factor
		}
	}
}

// orElse is init, or other where there is none.
func orElse(init, other Initializer) Initializer {
	if init == nil {
		return other
	}
	return init
}
