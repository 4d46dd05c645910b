// SPDX-License-Identifier: Apache-2.0

package compress

import "gonum.org/v1/gonum/mat"

// Tucker is a core, [R₀, R₁, R₂], with an orthonormal map for each mode, [I, R₀], [J, R₁] and [K, R₂].
type Tucker struct {
	Core Tensor
	Maps [3]*mat.Dense
}

// FitTucker begins with the leading singular vectors of each mode (HOSVD) and improves the maps one after the other for so many
// sweeps (HOOI). Ranks are at most the sizes of the modes. 0 sweeps are HOSVD.
func FitTucker(t Tensor, ranks [3]int, sweeps int) Tucker {
	var f Tucker
	for mode := range 3 {
		f.Maps[mode] = leading(t.unfold(mode), ranks[mode])
	}
	for range sweeps {
		for mode := range 3 {
			a, b := others(mode)
			f.Maps[mode] = leading(t.times(f.Maps[a].T(), a).times(f.Maps[b].T(), b).unfold(mode), ranks[mode])
		}
	}
	f.Core = t
	for mode := range 3 {
		f.Core = f.Core.times(f.Maps[mode].T(), mode)
	}
	return f
}

// Tensor is what core and maps stand for.
func (f Tucker) Tensor() Tensor {
	t := f.Core
	for mode := range 3 {
		t = t.times(f.Maps[mode], mode)
	}
	return t
}

// Parameters is how many numbers core and maps are.
func (f Tucker) Parameters() int {
	n := len(f.Core.Data)
	for _, m := range f.Maps {
		rows, columns := m.Dims()
		n += rows * columns
	}
	return n
}
