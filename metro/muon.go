// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"

	"metrolab/layers"
)

// muonEntry is Muon: the matrices of the layers move along the nearest orthogonal matrix to their momentum, so that all directions
// of a matrix learn alike; all else, tables, biases, norms and heads, moves as under AdamW, at the same learning rate. Each expert's
// matrix moves by itself; the gate, whose columns say who is an expert for what, moves as under AdamW.
//
//	m = μm+(1−μ)g;  d = 0.2·√max(rows, columns)·orthogonal((1−μ)g + μm)
//
// Momentum, Nesterov's look ahead and the coefficients of [orthogonal] are those of the published code (K. Jordan and others,
// modded-nanogpt [code]). The factor gives d the size of AdamW's directions, whose root mean square is about 0.2, so that one
// learning rate serves both (2502.16982 [memory]).
var muonEntry = OptimizerEntry{
	Part: Part{Name: OptimizerMuon, Version: 1, Options: []Option{
		{Name: "momentum", Neutral: 0.95, Low: 0, High: 0.9999, Help: "μ, of the layers' matrices"},
	}},
	State:  []string{"m", "v"},
	Update: muon,
	Remembers: func(w Weight) []string {
		if isLayerMatrix(w) {
			return []string{"m"}
		}
		return []string{"m", "v"}
	},
	Products: func(w Weight) float64 {
		if !isLayerMatrix(w) {
			return 0
		}
		rows, columns := sides(w)
		k, long := float64(min(rows, columns)), float64(max(rows, columns))
		return float64(w.Size()/(rows*columns)) * orthogonalSteps * 2 * (2*k*k*long + k*k*k)
	},
}

// isLayerMatrix reports whether w is the matrix of a linear map within a layer, or those of its experts.
func isLayerMatrix(w Weight) bool {
	return w.Role == layers.RoleDense && (len(w.Shape) == 2 || len(w.Shape) == 3) && w.Layer >= 0
}

// sides are those of the matrix, or of each of the matrices, of a weight.
func sides(w Weight) (rows, columns int) {
	n := len(w.Shape)
	return w.Shape[n-2], w.Shape[n-1]
}

func muon(u *Update) *Node {
	if !isLayerMatrix(u.Weight) {
		return adamW(u)
	}
	momentum := u.Option("momentum").(float64)
	fresh := MulScalar(u.Gradient, 1-momentum)
	m := Add(MulScalar(u.State["m"], momentum), fresh)
	u.Next["m"] = m
	rows, columns := sides(u.Weight)
	return MulScalar(orthogonal(Add(fresh, MulScalar(m, momentum))), 0.2*math.Sqrt(float64(max(rows, columns))))
}

// orthogonalSteps are those of [orthogonal], each of three products.
const orthogonalSteps = 5

// orthogonal is about U·Vᵀ of a matrix U·S·Vᵀ, [rows, columns], or of each of several, [E, rows, columns]: five steps of the polynomial
//
//	x = ax + bx³ + cx⁵  with a = 3.4445, b = −4.7750, c = 2.0315
//
// of its singular values, which brings those that are not tiny to between about 0.7 and 1.2. A matrix of zeros stays one.
func orthogonal(x *Node) *Node {
	const a, b, c = 3.4445, -4.7750, 2.0315
	turned := func(x *Node) *Node { return Transpose(x, -2, -1) }
	tall := x.Shape().Dim(-2) > x.Shape().Dim(-1)
	if tall {
		x = turned(x)
	}
	var length *Node
	if squares := Square(x); x.Rank() == 2 {
		length = ReduceAllSum(squares)
	} else {
		length = ReduceAndKeep(squares, ReduceSum, -2, -1)
	}
	x = Div(x, AddScalar(Sqrt(length), 1e-7))
	for range orthogonalSteps {
		squares := MatMul(x, turned(x)) // [k, k], k the shorter side
		x = Add(MulScalar(x, a), MatMul(Add(MulScalar(squares, b), MulScalar(MatMul(squares, squares), c)), x))
	}
	if tall {
		x = turned(x)
	}
	return x
}
