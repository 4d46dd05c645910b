// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/randstream"
)

// Uniform draws a number from [0, 1) for each element of a shape [B, …]: float32, a multiple of 2⁻²⁴, equal on all backends.
// Like the mask of [Dropout] it is a function of key, of the scope's path and of the element's place in the batch alone, and of
// stream, a name that tells one use in a scope from another.
func Uniform(scope *model.Scope, stream string, key *Node, dims ...int) *Node {
	return Reshape(MulScalar(random24(scope, stream, key, dims), 1.0/(1<<24)), dims...)
}

// random24 draws whole numbers from [0, 2²⁴) for the elements of a shape [B, …], in a row, as float32, where they are exact.
func random24(scope *model.Scope, stream string, key *Node, dims []int) *Node {
	g, size := key.Graph(), shapes.Make(dtypes.Float32, dims...).Size()
	a, b := randstream.Key(0, stream+scope.Scope())
	word := func(i int) *Node { return Squeeze(Slice(key, AxisElem(i))) }
	row := size / dims[0] // elements
	place := Add(Iota(g, shapes.Make(dtypes.Uint64, size), 0), Mul(word(2), Scalar(g, dtypes.Uint64, row)))
	seed := mix64(Add(mix64(BitwiseXor(word(0), Const(g, a))), BitwiseXor(word(1), Const(g, b))))
	bits := mix64(Add(seed, Mul(place, Const(g, uint64(0x9e3779b97f4a7c15)))))
	return ConvertDType(BitwiseShiftRightLogicalScalar(bits, 40), dtypes.Float32) // the upper 24 bits
}

// mix64 is the output function of SplitMix64 (Steele, Lea, Flood, 2014, with Stafford's constants), which makes random bits of
// the multiples of an odd number from any seed: uint64, any shape.
func mix64(z *Node) *Node {
	z = Mul(BitwiseXor(z, BitwiseShiftRightLogicalScalar(z, 30)), Const(z.Graph(), uint64(0xbf58476d1ce4e5b9)))
	z = Mul(BitwiseXor(z, BitwiseShiftRightLogicalScalar(z, 27)), Const(z.Graph(), uint64(0x94d049bb133111eb)))
	return BitwiseXor(z, BitwiseShiftRightLogicalScalar(z, 31))
}
