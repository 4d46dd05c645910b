// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// ParamDeterministic is the store parameter (bool; none: false) that has rows looked up so that equal inputs give equal bits on
// every device. The gradient of a look-up adds up the rows of each id; on a GPU that is a scatter of atomic additions, in whatever
// order they arrive, or one of sorted rows. With the parameter it is a product with a matrix of ones where a row was
// looked up, in the dtype of [ParamMatMulDType].
const ParamDeterministic = "deterministic"

// Embed looks up the rows of table, [V, H], that ids, [...], name: [..., H]. Ids must be below V; backends differ in
// what they do with others. How the gradient is taken, [ParamDeterministic] says.
func Embed(scope *model.Scope, table, ids *Node) *Node {
	if !deterministic(scope, table) {
		return Gather(table, InsertAxes(ids, -1))
	}
	n, h := ids.Shape().Size(), table.Shape().Dim(1)
	ids, whole := Reshape(ids, n), ids.Shape().Dimensions
	rows := withGradient(table, Gather(table, InsertAxes(ids, -1)), 0, func(v *Node) *Node {
		return multiply(scope, oneHot(ids, table), v, [][2]int{{0, 0}}, nil)
	})
	return Reshape(rows, append(slices.Clone(whole), h)...)
}

// GatherPositions picks the states at positions, [B, P] int32, of x, [B, S, H]: [B, P, H]. How the gradient is taken,
// [ParamDeterministic] says; without a scope it is not asked.
func GatherPositions(scope *model.Scope, x, positions *Node) *Node {
	b, s, h := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	gather := func(x *Node) *Node {
		row := MulScalar(Iota(x.Graph(), positions.Shape(), 0), s)
		return Gather(Reshape(x, b*s, h), InsertAxes(Add(positions, row), -1))
	}
	if !deterministic(scope, x) {
		return gather(x)
	}
	return withGradient(x, gather(x), 1, func(v *Node) *Node {
		return multiply(scope, oneHot(positions, x), v, [][2]int{{1, 1}}, [][2]int{{0, 0}})
	})
}

// deterministic reports whether the gradient of a look-up in x has to be a product; what is not a float has none.
func deterministic(scope *model.Scope, x *Node) bool {
	return scope != nil && x.DType().IsFloat() && model.GetParamOr(scope, ParamDeterministic, false)
}

// oneHot is 1 where ids, [..., N], name a row of x, which are its axis before the last: [..., N, rows], in x's dtype.
func oneHot(ids, x *Node) *Node { return OneHot(ids, x.Shape().Dim(-2), x.DType()) }

// withGradient is rows, looked up in x on an axis of both, with back in the place of their gradient: from that of rows to that
// of x. GoMLX lets an identity alone have a gradient of one's own: here that of x with zeros behind it, one for each row, where the
// rows are added; a compiler sees that the zeros do nothing.
func withGradient(x, rows *Node, axis int, back func(v *Node) *Node) *Node {
	from := x.Shape().Dim(axis)
	zeros := ZerosLike(rows)
	behind := func(y *Node) *Node { return SliceAxis(y, axis, AxisRange(from, from+rows.Shape().Dim(axis))) }
	both := IdentityWithCustomGradient(Concatenate([]*Node{x, zeros}, axis), func(_, v *Node) *Node {
		return Concatenate([]*Node{back(behind(v)), zeros}, axis)
	})
	return Add(StopGradient(rows), behind(both))
}
