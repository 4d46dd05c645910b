// SPDX-License-Identifier: Apache-2.0

package backend

import "github.com/gomlx/compute"

// Needs are what a run asks of the engine that it computes on, beyond its kind.
type Needs struct {
	// Small says that the model's products are not worth dividing (docs/performance.md): XLA on the processor gives it one thread,
	// and as many run side by side as there are cores, unless somebody asked for a number of threads.
	Small bool
	// TF32 rounds the factors of float32's products to TF32. Of XLA on a GPU alone.
	TF32 bool
	// Deterministic asks XLA on a GPU for kernels that give equal bits at every run. Other engines have no others.
	Deterministic bool
}

// gpuFlags are XLA's flags for each compilation for a GPU.
func (n Needs) gpuFlags() []xlaFlag {
	// By itself XLA leaves out a rounding to bfloat16 that float32 follows, and keeps the largest tensors in float32 for it.
	flags := []xlaFlag{{"xla_allow_excess_precision", false}}
	if n.Deterministic {
		flags = append(flags, xlaFlag{"xla_gpu_deterministic_ops", true})
	}
	return flags
}

// Fit returns what opens an engine like be that meets the needs, or nil if be does itself.
func Fit(be compute.Backend, n Needs) func() (compute.Backend, error) {
	t, _ := opened.Load(be)
	fitting, ok := t.(target)
	switch {
	case !ok:
		return nil
	case fitting.kind == XLACPU && n.Small && fitting.threads == 0:
		fitting.threads = smallThreads
	case fitting.kind == XLACUDA && (n.TF32 || n.Deterministic):
		fitting.needs = n
	default:
		return nil
	}
	return fitting.start // many are opened and closed; none is described
}
