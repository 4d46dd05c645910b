// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && goexperiment.simd

package backend

import (
	"simd/archsimd"
	"unsafe"

	"github.com/gomlx/compute"
)

// GoMLX's products use the wide vector registers and leave their upper halves as they are. Until those are cleared, a processor
// may take long for each step from an instruction of the newer encoding to one of the older, of which Go's math.Exp takes a dozen:
// on an Intel Xeon of the Emerald Rapids an exponential took 1,400 ns instead of 50. So the halves are cleared before each operation
// of the pure-Go backend, by one instruction. No number changes.
//
// GoMLX has no hook for it, so this reaches for the table of its operations. Its version is pinned; with one that has another
// table, this does not link.
func init() {
	if !archsimd.X86.AVX2() {
		return
	}
	for i, execute := range operations {
		if execute != nil {
			operations[i] = func(backend, node unsafe.Pointer, inputs []unsafe.Pointer, owned []bool) (unsafe.Pointer, error) {
				archsimd.ClearAVXUpperBits()
				return execute(backend, node, inputs, owned)
			}
		}
	}
}

// operations is GoMLX's table of what computes an operation with one output; only the pointers' types are not known here.
//
//go:linkname operations github.com/gomlx/compute/internal/gobackend.nodeExecutors
var operations [compute.OpTypeLast]func(backend, node unsafe.Pointer, inputs []unsafe.Pointer, owned []bool) (unsafe.Pointer, error)
