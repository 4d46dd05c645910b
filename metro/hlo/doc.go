// SPDX-License-Identifier: Apache-2.0

// Package hlo reads the programs that XLA has optimized for a GPU, and counts what they will do there: kernels, the operations of
// their matrix products by precision, the bytes that they move, and how long a chip takes for that at best.
//
//	module, err := hlo.Read(program) // of backend.Compiled
//	if err != nil { ... }
//	counts := module.Count(chip)
//	fmt.Println(counts.Kernels, counts.Seconds)
//
// # What is counted
//
// A kernel is an instruction of the entry computation that the device has something to do for: a fusion, a library call, a copy.
// It reads each operand and writes its result once, whole. The operations are those of matrix products alone, a multiplication
// and an addition counting as two, as in metro.FLOPs. Kernels run one after another, and each takes as long as the slower of its
// products at the chip's peak and its bytes at the memory's bandwidth: the roof,
//
//	Σ over kernels of max(Σ over products of FLOP/peak, bytes/bandwidth)
//
// below which no measured step can come, but for kernels that read a part of an operand only (a gather, a slice), or find an
// operand in the cache. What no kernel reaches is in it: the peak itself, and no time between two kernels.
package hlo
