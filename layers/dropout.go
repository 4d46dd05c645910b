// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/randstream"
)

// Dropout zeroes each element of x, [B, …], with probability rate and divides the others by 1−rate. Its mask is a function
// of key, of the scope's path and of the element's place in the batch alone: two sites never share a mask, the order of the
// code does not matter, nor does it how many of a batch's rows are computed at a time, and all backends drop the same
// elements. key, [3]uint64, is an input of the step: two random words, and which row of the batch is the first of x. A nil
// key (evaluation) or a rate of 0 returns x itself.
func Dropout(scope *model.Scope, x, key *Node, rate float64) *Node {
	if key == nil || rate == 0 {
		return x
	}
	g, shape := x.Graph(), x.Shape()
	a, b := randstream.Key(0, "dropout"+scope.Scope())
	word := func(i int) *Node { return Squeeze(Slice(key, AxisElem(i))) }
	row := shape.Size() / shape.Dim(0) // elements
	place := Add(Iota(g, shapes.Make(dtypes.Uint64, shape.Size()), 0), Mul(word(2), Scalar(g, dtypes.Uint64, row)))
	seed := mix64(Add(mix64(BitwiseXor(word(0), Const(g, a))), BitwiseXor(word(1), Const(g, b))))
	bits := mix64(Add(seed, Mul(place, Const(g, uint64(0x9e3779b97f4a7c15)))))
	// The upper 24 bits are exact in float32.
	u := ConvertDType(BitwiseShiftRightLogicalScalar(bits, 40), dtypes.Float32)
	keep := GreaterOrEqual(u, Scalar(g, dtypes.Float32, rate*(1<<24)))
	return widened(x, func(x *Node) *Node {
		return Where(Reshape(keep, shape.Dimensions...), DivScalar(x, 1-rate), ZerosLike(x))
	})
}

// mix64 is the output function of SplitMix64 (Steele, Lea, Flood, 2014, with Stafford's constants), which makes random bits of
// the multiples of an odd number from any seed: uint64, any shape.
func mix64(z *Node) *Node {
	z = Mul(BitwiseXor(z, BitwiseShiftRightLogicalScalar(z, 30)), Const(z.Graph(), uint64(0xbf58476d1ce4e5b9)))
	z = Mul(BitwiseXor(z, BitwiseShiftRightLogicalScalar(z, 27)), Const(z.Graph(), uint64(0x94d049bb133111eb)))
	return BitwiseXor(z, BitwiseShiftRightLogicalScalar(z, 31))
}
