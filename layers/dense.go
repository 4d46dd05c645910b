// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Dense maps the last axis of x, [..., in], to width: x·W + b, with W [in, width] drawn by init and b [width] zero. The
// product is taken in the dtype of [ParamMatMulDType]; the result has that of x.
func Dense(scope *model.Scope, x *Node, width int, init Initializer) *Node {
	weights := DenseWeights(x.Shape().Dim(-1), width, init)
	return rowsTimes(scope, x, weights[0].Node(scope, x), weights[1].Node(scope, x), nil)
}

// rowsTimes is x·w + b for x [..., in], w [in, out], b [out]. With the rows of x under one another, w's gradient is a product of
// two matrices too, and XLA need not copy one of them with its axes exchanged. The product itself, before b is added, is marked by mark,
// unless that is nil: what a kernel leaves in any case.
func rowsTimes(scope *model.Scope, x, w, b *Node, mark func(*Node) *Node) *Node {
	in := x.Shape().Dim(-1)
	rows := multiply(scope, Reshape(x, x.Shape().Size()/in, in), w, [][2]int{{1, 0}}, nil)
	if mark != nil {
		rows = mark(rows)
	}
	rows = Add(ConvertDType(rows, b.DType()), alignLast(b, 2)) // b's gradient, a sum over all rows, is taken in its dtype
	return Reshape(ConvertDType(rows, x.DType()), append(slices.Clone(x.Shape().Dimensions[:x.Rank()-1]), w.Shape().Dim(1))...)
}

// DenseWeights lists the weights of [Dense].
func DenseWeights(in, width int, init Initializer) []Weight {
	return []Weight{
		{Kind: "weights", Shape: []int{in, width}, Init: init, Role: RoleDense},
		{Kind: "bias", Shape: []int{width}, Init: InitZeros, Role: RoleBias},
	}
}

// LayerNorm normalises the last axis of x, [..., H], to mean 0 and variance 1 (biased, plus epsilon), then applies
// a learned gain (1 at first) and offset (0 at first). It computes in float32 where x is narrower. Ba et al., 2016.
func LayerNorm(scope *model.Scope, x *Node, epsilon float64) *Node {
	return widened(x, func(x *Node) *Node { return layerNorm(scope, x, epsilon) })
}

func layerNorm(scope *model.Scope, x *Node, epsilon float64) *Node {
	weights := LayerNormWeights(x.Shape().Dim(-1))
	gain, offset := weights[0].Node(scope, x), weights[1].Node(scope, x)
	centred := Sub(x, ReduceAndKeep(x, ReduceMean, -1))
	variance := ReduceAndKeep(Square(centred), ReduceMean, -1)
	x = Mul(centred, Reciprocal(Sqrt(AddScalar(variance, epsilon))))
	return Add(Mul(x, alignLast(gain, x.Rank())), alignLast(offset, x.Rank()))
}

// LayerNormWeights lists the weights of [LayerNorm] over states of a width.
func LayerNormWeights(width int) []Weight {
	return []Weight{
		{Kind: "gain", Shape: []int{width}, Init: InitOnes, Role: RoleNorm},
		{Kind: "offset", Shape: []int{width}, Init: InitZeros, Role: RoleNorm},
	}
}

// GELU is x·Φ(x) with the exact error function. Hendrycks & Gimpel, 2016.
func GELU(x *Node) *Node {
	return Mul(x, MulScalar(OnePlus(Erf(MulScalar(x, 0.7071067811865476))), 0.5))
}

// GELUTanh is the tanh approximation of [GELU], x·(1+tanh(√(2/π)(x+0.044715x³)))/2, written with a sigmoid: the same
// function (tanh(u) = 2σ(2u)−1), and the fastest form on every backend tried.
func GELUTanh(x *Node) *Node {
	u := Mul(MulScalar(x, 1.5957691216057308), OnePlus(MulScalar(Square(x), 0.044715)))
	return Mul(x, Sigmoid(u))
}

// ReLU is max(0, x): T5's and METRO-T0's. Its gradient at 0 is 0: where its two arguments are equal, Max passes the gradient
// to the first.
func ReLU(x *Node) *Node { return Max(ZerosLike(x), x) }

// Activations by the names that configs use.
var Activations = map[string]func(*Node) *Node{"gelu": GELU, "gelu_tanh": GELUTanh, "relu": ReLU}

// widened is f of x in float32 where x is narrower, and in x's dtype where it is not; the result has x's dtype. XLA puts what is
// computed in between into one kernel, so that nothing of it is stored as float32.
func widened(x *Node, f func(*Node) *Node) *Node {
	if !isNarrow(x) {
		return f(x)
	}
	return ConvertDType(f(ConvertDType(x, dtypes.Float32)), x.DType())
}

// isNarrow reports whether x has less precision than float32.
func isNarrow(x *Node) bool { return x.DType().Size() < dtypes.Float32.Size() }

// alignLast reshapes a vector so that it broadcasts along the last of rank axes.
func alignLast(v *Node, rank int) *Node {
	if v.Rank() != 1 {
		exceptions.Panicf("layers: expected a vector, got %s", v.Shape())
	}
	return ExpandLeftToRank(v, rank)
}
