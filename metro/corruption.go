// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// SampleReplacements draws one token a masked position from softmax(logits/T), logits [B, P, V], and returns ids [B, P]
// int32. temperature is the scalar T > 0, or nil for 1; towards 0 the draw becomes the arg max. No gradient flows back.
//
// The noise is an argument: uniforms, [B, P] in [0, 1 − 2⁻²³], one number a position, turned into a token through the
// inverse of the cumulative distribution. So the same numbers give the same tokens on every backend (up to the
// rounding of the logits), and a test can choose what is drawn. The distribution is summed in two levels of about √V,
// which keeps the sums short (precise in f32) and cheap for any V. A token of probability 0 is never drawn, and none that
// is not there, up to the last of the uniforms.
func SampleReplacements(logits, uniforms, temperature *Node) *Node {
	b, p, v := logits.Shape().Dim(0), logits.Shape().Dim(1), logits.Shape().Dim(2)
	n := b * p
	if temperature != nil {
		logits = Div(logits, ConvertDType(temperature, logits.DType()))
	}
	probs := Softmax(Reshape(StopGradient(logits), n, v), -1)
	u := ConvertDType(Reshape(uniforms, n), probs.DType())

	width := int(math.Ceil(math.Sqrt(float64(v))))
	blocks := (v + width - 1) / width
	if pad := blocks*width - v; pad > 0 {
		probs = Concatenate([]*Node{probs, MulScalar(Slice(probs, AxisRange(), AxisRange(0, pad)), 0)}, 1)
	}
	probs = Reshape(probs, n, blocks, width)

	sums := ReduceSum(probs, -1) // [n, blocks]
	target := Mul(u, ReduceMax(CumSum(sums, -1), -1))
	block, before := invert(sums, target) // [n]
	chosen := InsertAxes(OneHot(block, blocks, probs.DType()), -1)
	offset, _ := invert(ReduceSum(Mul(probs, chosen), 1), Sub(target, before))
	return Reshape(Add(MulScalar(block, width), offset), b, p)
}

// invert finds, in each row of masses, [n, k], the first element above 0 with which their running sum exceeds target, [n]: its
// index, int32, and the sum before it, both [n]. Where rounding has put the target at the whole sum or above, it is the last
// element above 0: so that none of mass 0 is ever found, and none beyond the row, however a backend adds.
func invert(masses, target *Node) (index, before *Node) {
	g := masses.Graph()
	column := Iota(g, shapes.Make(dtypes.Int32, masses.Shape().Dimensions...), -1)
	cumulative := CumSum(masses, -1)
	positive := GreaterThan(masses, ZerosLike(masses))
	last := ReduceAndKeep(Where(positive, column, ZerosLike(column)), ReduceMax, -1)
	exceeds := And(positive, GreaterThan(cumulative, InsertAxes(target, -1)))
	index = ReduceMin(Where(exceeds, column, BroadcastToShape(last, column.Shape())), -1)
	earlier := LessThan(column, BroadcastToShape(InsertAxes(index, -1), column.Shape()))
	return index, ReduceMax(Where(earlier, cumulative, ZerosLike(cumulative)), -1)
}

// DisallowCorrect lowers the logits, [B, P, V], of the tokens that stood there, originals [B, P] int32, by 1e9, so that
// they are never drawn, whatever the temperature: every masked position becomes a replaced one. An option of ELECTRA's
// code, off there.
func DisallowCorrect(logits, originals *Node) *Node {
	return Sub(logits, MulScalar(OneHot(originals, logits.Shape().Dim(-1), logits.DType()), 1e9))
}

// Corrupt writes samples, [B, P], into tokens, [B, S], at positions, [B, P], wherever weights, [B, P], are above 0
// (all ids int32), and says which positions now differ: corrupted [B, S] int32, replaced [B, S] bool. A sample that
// happens to equal the original counts as original. The positions of a row must be distinct where weights are above 0;
// see [FirstSlots].
func Corrupt(tokens, positions, samples, weights *Node) (corrupted, replaced *Node) {
	hits := slotHits(tokens, positions, weights) // at most one 1 a column
	written := ReduceSum(Mul(hits, InsertAxes(samples, -1)), 1)
	corrupted = Add(written, Mul(tokens, OneMinus(ReduceSum(hits, 1))))
	return corrupted, NotEqual(corrupted, tokens)
}

// CorruptAveraging is [Corrupt] for positions that may repeat in a row, with what ELECTRA's published code does there:
// the samples of a repeated position are added up and divided, rounding down, by their number, so that two different
// samples leave the token half-way between their ids. A quirk, here to be measured.
func CorruptAveraging(tokens, positions, samples, weights *Node) (corrupted, replaced *Node) {
	hits := slotHits(tokens, positions, weights)
	count := ReduceSum(hits, 1) // [B, S]
	written := Div(ReduceSum(Mul(hits, InsertAxes(samples, -1)), 1), MaxScalar(count, 1))
	corrupted = Where(GreaterThan(count, ZerosLike(count)), written, tokens)
	return corrupted, NotEqual(corrupted, tokens)
}

// FirstSlots keeps of weights, [B, P], the first slot of each position, positions [B, P] int32, and sets later slots of
// the same position to 0: with them, a position that was drawn twice is written once.
func FirstSlots(positions, weights *Node) *Node {
	b, p := positions.Shape().Dim(0), positions.Shape().Dim(1)
	square := shapes.Make(dtypes.Int32, b, p, p)
	slot, earlier := Iota(positions.Graph(), square, 1), Iota(positions.Graph(), square, 2)
	same := Equal(BroadcastToShape(InsertAxes(positions, -1), square), BroadcastToShape(InsertAxes(positions, 1), square))
	used := GreaterThan(BroadcastToShape(InsertAxes(weights, 1), shapes.Make(weights.DType(), b, p, p)), ScalarZero(weights.Graph(), weights.DType()))
	taken := And(And(same, used), LessThan(earlier, slot)) // [B, P, P]
	repeats := ReduceMax(ConvertDType(taken, weights.DType()), -1)
	return Mul(weights, OneMinus(repeats))
}

// slotHits is [B, P, S] int32: 1 where a slot that is in use names a column.
func slotHits(tokens, positions, weights *Node) *Node {
	g, s := tokens.Graph(), tokens.Shape().Dim(1)
	slots := InsertAxes(positions, -1) // [B, P, 1]
	columns := Iota(g, sequenceShape(positions, s), 2)
	hit := And(Equal(BroadcastToShape(slots, columns.Shape()), columns),
		BroadcastToShape(InsertAxes(GreaterThan(weights, ZerosLike(weights)), -1), boolShape(columns)))
	return ConvertDType(hit, dtypes.Int32)
}

// sequenceShape is the int32 shape [B, P, s] of a [B, P] node.
func sequenceShape(x *Node, s int) shapes.Shape {
	return shapes.Make(dtypes.Int32, x.Shape().Dim(0), x.Shape().Dim(1), s)
}

func boolShape(x *Node) shapes.Shape {
	return shapes.Make(dtypes.Bool, x.Shape().Dimensions...)
}
