// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"
)

// What a target compiles with beyond its plugin.
func TestWhatANeedChanges(t *testing.T) {
	gpu := target{kind: XLACUDA, plugin: "/p/cuda.so"}
	require.Equal(t, "xla:/p/cuda.so,tf32=false", gpu.String())
	require.Equal(t, []xlaFlag{{"xla_allow_excess_precision", false}}, gpu.needs.gpuFlags())
	gpu.needs = Needs{TF32: true, Deterministic: true}
	require.Equal(t, "xla:/p/cuda.so,tf32=true", gpu.String())
	require.Contains(t, gpu.needs.gpuFlags(), xlaFlag{"xla_gpu_deterministic_ops", true})
}

// A client's flags are those of its compilations, and of no other client's.
func TestFlagsReachTheCompiler(t *testing.T) {
	sound := Probe().sound(XLACPU)
	if !xlaBuilt || len(sound) == 0 {
		t.Skip("no XLA here to compile with; run ./scripts/setup")
	}
	open := func(flags []xlaFlag) compute.Backend {
		opening.Lock()
		defer opening.Unlock()
		be, err := withThreads(1, func() (compute.Backend, error) { return openXLA(realPath(sound[0].Path, XLACPU), 0, flags) })
		require.NoError(t, err)
		t.Cleanup(be.Finalize)
		return be
	}
	flagged, plain := open([]xlaFlag{{"xla_cpu_no_such_flag", true}}), open(nil)
	compile := func(be compute.Backend) error {
		_, err := graph.MustNewExec(be, func(x *graph.Node) *graph.Node { return graph.Exp(x) }).Call(float32(0))
		return err
	}
	require.ErrorContains(t, compile(flagged), "xla_cpu_no_such_flag")
	require.NoError(t, compile(plain))
}
