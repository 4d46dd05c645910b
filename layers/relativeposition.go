// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// SignedLogBucket returns the id in [0, bins−1) of the offset n = key position − query position, as COCO-LM and
// METRO-T0 count them (not as T5 does, see [T5Bucket]): with b = bins/2 and e = b/2, offsets |n| < e have a bucket each,
// longer ones
//
//	min(b−1, e + ⌈ ln(|n|/e) / ln((maxDistance−1)/e) · (b−1−e) ⌉)
//
// The sign of n is kept and b−1 is added, so id(−n) + id(n) = 2(b−1) and id(0) = b−1. Source: the published code of
// COCO-LM and METRO-T0, which subtract the smallest value of their position matrix instead of b−1: the same for long
// rows, shifted for rows too short to reach the last bucket.
func SignedLogBucket(n, bins, maxDistance int) int {
	b := bins / 2
	e := b / 2
	v := max(n, -n)
	if v >= e {
		scaled := math.Log(float64(v)/float64(e)) / math.Log(float64(maxDistance-1)/float64(e)) * float64(b-1-e)
		v = min(b-1, e+int(math.Ceil(scaled)))
	}
	if n < 0 {
		v = -v
	}
	return v + b - 1
}

// T5Bucket returns the id in [0, bins) of the offset n = key position − query position, as T5 counts them in both
// directions (Raffel et al., 2020; 32 bins and 128 there): with b = bins/2 and e = b/2, distances |n| < e have a bucket each,
// longer ones
//
//	min(b−1, e + ⌊ ln(|n|/e) / ln(maxDistance/e) · (b−e) ⌋)
//
// and a key to the right of the query, n > 0, adds b. So the halves do not mirror each other: id(0) = 0, and b, the
// right half's id for distance 0, is never used.
func T5Bucket(n, bins, maxDistance int) int {
	b := bins / 2
	e := b / 2
	v := max(n, -n)
	if v >= e {
		// Log2 is exact at powers of two, where bins often begin: no rounding puts |n| = 16, 32 or 64 one bin too low.
		scaled := math.Log2(float64(v)/float64(e)) / math.Log2(float64(maxDistance)/float64(e)) * float64(b-e)
		v = min(b-1, e+int(scaled))
	}
	if n > 0 {
		v += b
	}
	return v
}

// RelativePositionBias spreads table, [bins, N], over all pairs of length positions: the result [1, N, length, length]
// is to be added to the scaled attention logits. Element (n, q, k) is table[SignedLogBucket(k−q), n]. The gradient
// reaches the table. It panics if bins, the rows of table, is below 4 or maxDistance is not above bins/4+1.
func RelativePositionBias(table *Node, length, maxDistance int) *Node {
	bins := table.Shape().Dim(0)
	if bins < 4 || maxDistance <= bins/4+1 {
		exceptions.Panicf("layers: relative positions need at least 4 bins and a maximum distance above bins/4+1, got %d and %d", bins, maxDistance)
	}
	return spreadBuckets(table, length, func(n int) int { return SignedLogBucket(n, bins, maxDistance) })
}

// T5PositionBias is [RelativePositionBias] with T5's buckets: element (n, q, k) of the result [1, N, length, length] is
// table[T5Bucket(k−q), n]. It panics if bins, the rows of table, is below 4 or maxDistance is not above bins/4.
func T5PositionBias(table *Node, length, maxDistance int) *Node {
	bins := table.Shape().Dim(0)
	if bins < 4 || maxDistance <= bins/4 {
		exceptions.Panicf("layers: T5's positions need at least 4 bins and a maximum distance above bins/4, got %d and %d", bins, maxDistance)
	}
	return spreadBuckets(table, length, func(n int) int { return T5Bucket(n, bins, maxDistance) })
}

// spreadBuckets gives the pair (q, k) of length positions the row bucket(k−q) of table, [bins, N]: [1, N, length, length].
func spreadBuckets(table *Node, length int, bucket func(n int) int) *Node {
	bins, heads := table.Shape().Dim(0), table.Shape().Dim(1)
	if length == 1 {
		return Reshape(Slice(table, AxisElem(bucket(0)), AxisRange()), 1, heads, 1, 1)
	}
	// With d = 2·length−1 offsets in the order 0, 1, …, length−1, −(length−1), …, −1, a matrix of length equal rows of
	// them, read again with rows of d−1, moves each row one to the right: element (q, k) is offset (k−q) mod d. So
	// neither direction needs a scatter: the gradient is a plain sum, the same bits on every run.
	d := 2*length - 1
	ids := make([]int32, d)
	for i := range d {
		n := i
		if i >= length {
			n -= d
		}
		ids[i] = int32(bucket(n))
	}
	offsets := MatMul(OneHot(Const(table.Graph(), ids), bins, table.DType()), table) // [d, N]
	rows := Reshape(BroadcastPrefix(offsets, length), length*d, heads)
	rows = Reshape(Slice(rows, AxisRange(0, length*(d-1))), length, d-1, heads)
	bias := Slice(rows, AxisRange(), AxisRange(0, length)) // [S, S, N]
	return InsertAxes(TransposeAllAxes(bias, 2, 0, 1), 0)
}
