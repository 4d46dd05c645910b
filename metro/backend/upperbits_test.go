// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && goexperiment.simd

package backend

import (
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"
)

// Exponentials of pure Go by themselves, and after a product, which uses wide vectors: the second takes little more than the first; it
// took thirty times as long where upper halves were left as they were.
func BenchmarkExponentialsAfterAProduct(b *testing.B) {
	be, err := Open("go")
	require.NoError(b, err)
	defer be.Finalize()
	const rows, width = 64, 64
	x := make([][]float32, rows)
	for i := range x {
		x[i] = make([]float32, width)
		for j := range x[i] {
			x[i][j] = float32(i-j) / width
		}
	}
	exponentials := func(x *Node) *Node {
		for range 10 {
			x = MulScalar(Exp(x), 0.1)
		}
		return x
	}
	for name, f := range map[string]func(x *Node) *Node{
		"alone":           exponentials,
		"after_a_product": func(x *Node) *Node { return exponentials(MulScalar(Dot(x, x).Product(), 1e-3)) },
	} {
		b.Run(name, func(b *testing.B) {
			exec := MustNewExec(be, f)
			defer exec.Finalize()
			for b.Loop() {
				exec.MustCall(x)
			}
		})
	}
}
