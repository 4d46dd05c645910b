// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
)

// ParamMatMulDType is the store parameter (dtypes.DType; none or InvalidDType: that of the operands) in which matrices are
// multiplied, forward and backward. With BFloat16 all variables and whatever is not a matrix product stay float32.
const ParamMatMulDType = "matmul_dtype"

// Product sums products of the elements of a and b as equation says, like Einsum: in "bsh,vh->bsv" the two have the axes b, s, h
// and v, h, and h, which the result lacks, is summed over. It panics if the equation does not fit the shapes.
//
// It multiplies in the dtype of [ParamMatMulDType] in scope: a and b are rounded to it, and the result, rounded too, comes back
// in the dtype of a. So do the two gradients, which are products as well. [Dense] and [SelfAttention] multiply in the same way.
func Product(scope *model.Scope, equation string, a, b *Node) *Node {
	operands, result, _ := strings.Cut(equation, "->")
	left, right, _ := strings.Cut(operands, ",")
	contracting, batch, order := pairAxes(left, right, result)
	permutation := make([]int, len(result))
	for i, axis := range result {
		permutation[i] = strings.IndexRune(order, axis)
	}
	if len(left) != a.Rank() || len(right) != b.Rank() || len(result) != len(order) || slices.Contains(permutation, -1) {
		exceptions.Panicf("layers: %q is no product of %s and %s", equation, a.Shape(), b.Shape())
	}
	product := multiply(scope, a, b, contracting, batch)
	if order == result {
		return product
	}
	return TransposeAllAxes(product, permutation...)
}

// pairAxes finds the axes that left and right share, summed over or (if in result) not, and the order in which the axes of their
// plain product come: first those shared, then left's own, then right's.
func pairAxes(left, right, result string) (contracting, batch [][2]int, order string) {
	var own string
	for i, axis := range left {
		j := strings.IndexRune(right, axis)
		switch {
		case j < 0:
			own += string(axis)
		case strings.ContainsRune(result, axis):
			batch = append(batch, [2]int{i, j})
			order += string(axis)
		default:
			contracting = append(contracting, [2]int{i, j})
		}
	}
	for _, axis := range right {
		if !strings.ContainsRune(left, axis) {
			own += string(axis)
		}
	}
	return contracting, batch, order + own
}

// multiply sums over the contracting pairs of axes of a and b, side by side on the batch pairs, in the dtype that scope asks
// for.
func multiply(scope *model.Scope, a, b *Node, contracting, batch [][2]int) *Node {
	dtype := model.GetParamOr(scope, ParamMatMulDType, dtypes.InvalidDType)
	if dtype == dtypes.InvalidDType || dtype == a.DType() && dtype == b.DType() && dtype.Size() >= dtypes.Float32.Size() {
		return Dot(a, b).EinsumAxes(contracting, batch)
	}
	if InPureGo(a.Graph()) {
		return round(Dot(round(a, dtype), round(b, dtype)).EinsumAxes(contracting, batch), dtype)
	}
	// Left alone, Dot asks for a float32 accumulator of 16-bit operands, and then its two gradients, most of the work, are taken
	// in float32. Backends accumulate in float32 anyway.
	dot := Dot(ConvertDType(a, dtype), ConvertDType(b, dtype)).WithAccumulatorDType(dtypes.InvalidDType)
	return ConvertDType(dot.EinsumAxes(contracting, batch), a.DType())
}

// InPureGo says whether the pure-Go backend runs g. Its products of bfloat16 with AVX2 are wrong where axes have to be exchanged (those
// of the same numbers in float32 are right), and it sorts by running a graph for each comparison.
func InPureGo(g *Graph) bool { return g.Backend().Name() == "Go Backend" }

// round takes the values of x, and of its gradient, to the nearest ones of dtype, and leaves x the dtype that it has.
func round(x *Node, dtype dtypes.DType) *Node { return ConvertDType(ConvertDType(x, dtype), x.DType()) }
