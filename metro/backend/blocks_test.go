// SPDX-License-Identifier: Apache-2.0

//go:build linux && amd64 && cgo && !noxla

package backend

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"
)

// faults are how often this process has met a page of memory that was not there yet.
func faults(t *testing.T) int64 {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return u.Minflt
}

// What a program holds in between stays for its next run, and takes an eighth more than was in use at once at most.
func TestLargeBlocksStay(t *testing.T) {
	be := xlaCPU(t)
	attend := func(rows int) func() float32 { // by a table of rows × rows, in float32, that lives while the program runs
		exec := graph.MustNewExec(be, func(x *graph.Node) *graph.Node {
			return graph.ReduceAllSum(graph.Dot(graph.Softmax(graph.Dot(x, graph.Transpose(x, 0, 1)).Product()), x).Product())
		})
		values := make([]float32, rows*8)
		for i := range values {
			values[i] = float32(i%7) / 8
		}
		x := tensors.FromFlatDataAndDimensions(values, rows, 8)
		return func() float32 { return tensors.ToScalar[float32](exec.MustCall(x)[0]) }
	}
	large, small := attend(4096), attend(1536)
	const table = 4096 * 4096 * 4
	want := large()
	kept := func() bool { _, kept, _ := blockBytes(); return kept >= table }
	require.Eventually(t, kept, 10*time.Second, time.Millisecond, "the table of %d bytes is kept", table) // the result is there before
	before := faults(t)
	for range 10 {
		require.Equal(t, want, large())
	}
	pages := int64(table / os.Getpagesize())
	require.Less(t, faults(t)-before, 4*pages, "ten runs met fewer new pages than four tables have, in the place of ten")
	for range 5 {
		small()
		large()
		used, kept, most := blockBytes()
		require.LessOrEqual(t, used+kept, most+most/8)
	}
}
