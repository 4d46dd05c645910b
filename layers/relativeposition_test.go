// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/layers"
)

// bucketTable lists the bucket, counted from that of offset 0, of every positive offset at which it changes.
type bucketTable struct {
	bins, maxDistance int
	exact             int         // offsets up to this one are their own bucket
	from              map[int]int // first offset → bucket beyond
}

// Derived by hand from the formula in the published code of COCO-LM and METRO-T0 (32/128 base, 64/128 base++, 128/256
// large++), and checked there against the matrix that code makes.
var bucketTables = []bucketTable{
	{32, 128, 8, map[int]int{9: 9, 12: 10, 18: 11, 27: 12, 39: 13, 58: 14, 86: 15}},
	{64, 128, 16, map[int]int{17: 17, 19: 18, 22: 19, 25: 20, 28: 21, 32: 22, 37: 23, 43: 24, 49: 25, 56: 26, 64: 27, 74: 28, 84: 29, 97: 30, 111: 31}},
	{128, 256, 32, map[int]int{
		33: 33, 35: 34, 37: 35, 40: 36, 42: 37, 45: 38, 48: 39, 52: 40, 55: 41, 59: 42, 63: 43, 67: 44, 72: 45, 77: 46, 82: 47,
		88: 48, 94: 49, 100: 50, 107: 51, 115: 52, 123: 53, 131: 54, 140: 55, 150: 56, 160: 57, 171: 58, 183: 59, 196: 60,
		209: 61, 224: 62, 239: 63,
	}},
}

func TestSignedLogBucketTables(t *testing.T) {
	for _, table := range bucketTables {
		zero := layers.SignedLogBucket(0, table.bins, table.maxDistance)
		require.Equal(t, table.bins/2-1, zero)
		want := 0
		for n := range 1024 {
			if v, ok := table.from[n]; ok {
				want = v
			} else if n <= table.exact {
				want = n
			}
			got := layers.SignedLogBucket(n, table.bins, table.maxDistance)
			require.Equal(t, zero+want, got, "%d bins, offset %d", table.bins, n)
			require.Equal(t, 2*zero, got+layers.SignedLogBucket(-n, table.bins, table.maxDistance), "sign symmetry at %d", n)
			require.Less(t, got, table.bins)
		}
	}
}

func TestSignedLogBucketIDs(t *testing.T) {
	for n, id := range map[int]int{-512: 0, -128: 0, -64: 1, -32: 3, -9: 6, -8: 7, -1: 14, 0: 15, 1: 16, 8: 23, 9: 24, 16: 25, 32: 27, 64: 29, 128: 30} {
		require.Equal(t, id, layers.SignedLogBucket(n, 32, 128), "offset %d", n)
	}
}

func TestRelativePositionBiasNeedsBuckets(t *testing.T) {
	for _, test := range []struct{ bins, maxDistance int }{{3, 100}, {32, 9}} {
		require.Panics(t, func() {
			build(t, float64Store(), func(_ *model.Scope, table *Node) { layers.RelativePositionBias(table, 4, test.maxDistance) }, test.bins, 2)
		}, "%d bins, maximum distance %d", test.bins, test.maxDistance)
	}
}

// The bias must be table[bucket(k−q)] at every pair of positions, and its gradient the matching sums, whatever trick
// lays it out.
func TestRelativePositionBias(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		const bins, heads, maxDistance = 8, 3, 20
		table := make([]float64, bins*heads)
		for i := range table {
			table[i] = float64(i*i%17) - 5.5
		}
		for _, length := range []int{1, 2, 3, 7, 30} {
			weights := make([]float64, heads*length*length) // of a weighted sum of the bias
			for i := range weights {
				weights[i] = float64(i%7) - 2.25
			}
			exec := MustNewExec(be, func(x *Node) []*Node {
				bias := layers.RelativePositionBias(x, length, maxDistance)
				w := Const(x.Graph(), tensors.FromFlatDataAndDimensions(weights, 1, heads, length, length))
				return []*Node{bias, Gradient(ReduceAllSum(Mul(bias, w)), x)[0]}
			})
			out := exec.MustCall(tensors.FromFlatDataAndDimensions(table, bins, heads))
			require.Equal(t, []int{1, heads, length, length}, out[0].Shape().Dimensions)
			require.Equal(t, dtypes.Float64, out[0].DType())
			bias, gradient := tensors.MustCopyFlatData[float64](out[0]), tensors.MustCopyFlatData[float64](out[1])
			want := make([]float64, bins*heads)
			for h := range heads {
				for q := range length {
					for k := range length {
						at := (h*length+q)*length + k
						entry := layers.SignedLogBucket(k-q, bins, maxDistance)*heads + h
						require.Equal(t, table[entry], bias[at], "length %d, head %d, query %d, key %d", length, h, q, k)
						want[entry] += weights[at]
					}
				}
			}
			require.InDeltaSlice(t, want, gradient, 1e-9)
		}
	})
}
