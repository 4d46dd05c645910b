// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && goexperiment.simd

package backend

import (
	"math"
	"testing"
	"time"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"
)

// An exponential of pure Go takes as long after a product, which uses wide vectors, as before it; it took thirty times as long.
func TestProductsLeaveExponentialsFast(t *testing.T) {
	be, err := Open("go")
	require.NoError(t, err)
	defer be.Finalize()
	const rows, width = 64, 64
	x := make([][]float32, rows)
	for i := range x {
		x[i] = make([]float32, width)
		for j := range x[i] {
			x[i][j] = float32(i-j) / width
		}
	}
	// fastest is the time of the fastest of many calls, which nothing else on the machine has slowed.
	fastest := func(f func(x *Node) *Node) time.Duration {
		exec := MustNewExec(be, f)
		defer exec.Finalize()
		least := time.Duration(math.MaxInt64)
		for range 50 {
			began := time.Now()
			exec.MustCall(x)
			least = min(least, time.Since(began))
		}
		return least
	}
	product := func(x *Node) *Node { return MulScalar(Dot(x, x).Product(), 1e-3) }
	exponentials := func(x *Node) *Node {
		for range 10 {
			x = MulScalar(Exp(x), 0.1)
		}
		return x
	}
	alone := fastest(exponentials) + fastest(product)
	require.Less(t, fastest(func(x *Node) *Node { return exponentials(product(x)) }), 4*alone)
}
