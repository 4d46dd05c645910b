// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"math/big"
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

// T5's own 32 buckets up to 128: the first distance of every bucket beyond 7. The distances 16, 32 and 64 lie exactly on
// a boundary. Derived by hand from the formula of the paper's published code, and checked with exact integers below.
func TestT5BucketTable(t *testing.T) {
	from, want := map[int]int{8: 8, 12: 9, 16: 10, 23: 11, 32: 12, 46: 13, 64: 14, 91: 15}, 0
	for n := range 1024 {
		if v, ok := from[n]; ok {
			want = v
		} else if n < 8 {
			want = n
		}
		require.Equal(t, want, layers.T5Bucket(-n, 32, 128), "offset %d", -n)
		if n > 0 {
			require.Equal(t, 16+want, layers.T5Bucket(n, 32, 128), "offset %d", n)
		}
	}
}

// The bucket beyond e is the largest e+k with (n/e)^(b−e) ≥ (maxDistance/e)^k: without logarithms, in integers of any size,
// for other sizes too. Farther never has a smaller bucket, and the halves differ by b.
func TestT5BucketIsExact(t *testing.T) {
	power := func(x, n int) *big.Int { return new(big.Int).Exp(big.NewInt(int64(x)), big.NewInt(int64(n)), nil) }
	for _, test := range []struct{ bins, maxDistance int }{{4, 3}, {8, 16}, {32, 128}, {32, 256}, {64, 128}, {64, 1024}, {128, 256}} {
		b := test.bins / 2
		e, previous := b/2, 0
		for n := range 2 * test.maxDistance {
			want := n
			if n >= e {
				for want = e; want < b-1; want++ {
					k := want + 1 - e
					left := new(big.Int).Mul(power(n, b-e), power(e, k))
					if left.Cmp(new(big.Int).Mul(power(test.maxDistance, k), power(e, b-e))) < 0 {
						break
					}
				}
			}
			got := layers.T5Bucket(-n, test.bins, test.maxDistance)
			require.Equal(t, want, got, "%d bins to %d, offset %d", test.bins, test.maxDistance, -n)
			require.GreaterOrEqual(t, got, previous)
			previous = got
			if n > 0 {
				require.Equal(t, b+got, layers.T5Bucket(n, test.bins, test.maxDistance))
			}
		}
		require.Equal(t, b-1, previous, "the last bucket is reached")
	}
}

// The two kinds of buckets, and what spreads a table over positions with them.
var biases = []struct {
	name   string
	bucket func(n, bins, maxDistance int) int
	spread func(table *Node, length, maxDistance int) *Node
}{
	{"signed log", layers.SignedLogBucket, layers.RelativePositionBias},
	{"T5", layers.T5Bucket, layers.T5PositionBias},
}

func TestPositionBiasNeedsBuckets(t *testing.T) {
	for i, tests := range [][]struct{ bins, maxDistance int }{{{3, 100}, {32, 9}}, {{3, 100}, {32, 8}}} {
		for _, test := range tests {
			require.Panics(t, func() {
				build(t, float64Store(), func(_ *model.Scope, table *Node) { biases[i].spread(table, 4, test.maxDistance) }, test.bins, 2)
			}, "%s: %d bins, maximum distance %d", biases[i].name, test.bins, test.maxDistance)
		}
	}
}

// The bias must be table[bucket(k−q)] at every pair of positions, and its gradient the matching sums, whatever trick
// lays it out.
func TestPositionBias(t *testing.T) {
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
				w := Const(x.Graph(), tensors.FromFlatDataAndDimensions(weights, 1, heads, length, length))
				var out []*Node
				for _, b := range biases {
					bias := b.spread(x, length, maxDistance)
					out = append(out, bias, Gradient(ReduceAllSum(Mul(bias, w)), x)[0])
				}
				return out
			})
			out := exec.MustCall(tensors.FromFlatDataAndDimensions(table, bins, heads))
			exec.Finalize()
			for i, b := range biases {
				require.Equal(t, []int{1, heads, length, length}, out[2*i].Shape().Dimensions)
				require.Equal(t, dtypes.Float64, out[2*i].DType())
				bias, want := flat(out[2*i]), make([]float64, bins*heads)
				for at, v := range bias {
					h, q, k := at/length/length, at/length%length, at%length
					entry := b.bucket(k-q, bins, maxDistance)*heads + h
					require.Equal(t, table[entry], v, "%s, length %d, head %d, query %d, key %d", b.name, length, h, q, k)
					want[entry] += weights[at]
				}
				require.InDeltaSlice(t, want, flat(out[2*i+1]), 1e-9)
			}
		}
	})
}
