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

// ParamMatMulDType is the store parameter (dtypes.DType, default: that of the operands) in which matrices are multiplied,
// forward and backward. With dtypes.BFloat16 all variables and whatever is not a matrix product stay float32.
const ParamMatMulDType = "matmul_dtype"

// Product sums products of the elements of a and b as equation says, like Einsum: in "bsh,vh->bsv" the two have the axes b, s, h
// and v, h, and h, which the result lacks, is summed over. It panics if the equation does not fit the shapes.
//
// It multiplies in the dtype of [ParamMatMulDType] in scope: a and b are rounded to it, and the result, rounded too, comes back
// in the dtype of a. So do the two gradients, which are products as well. [Dense] and [SelfAttention] multiply in the same way.
func Product(scope *model.Scope, equation string, a, b *Node) *Node {
	operands, result, _ := strings.Cut(equation, "->")
	left, right, _ := strings.Cut(operands, ",")
	var contracting, batch [][2]int
	var shared, cross string // axes of the plain product, which come in this order
	for i, axis := range left {
		j := strings.IndexRune(right, axis)
		switch {
		case j < 0:
			cross += string(axis)
		case strings.ContainsRune(result, axis):
			shared += string(axis)
			batch = append(batch, [2]int{i, j})
		default:
			contracting = append(contracting, [2]int{i, j})
		}
	}
	for _, axis := range right {
		if !strings.ContainsRune(left, axis) {
			cross += string(axis)
		}
	}
	permutation := make([]int, len(result))
	for i, axis := range result {
		permutation[i] = strings.IndexRune(shared+cross, axis)
	}
	if len(left) != a.Rank() || len(right) != b.Rank() || len(result) != len(shared+cross) || slices.Contains(permutation, -1) {
		exceptions.Panicf("layers: %q is no product of %s and %s", equation, a.Shape(), b.Shape())
	}
	product := multiply(scope, a, b, contracting, batch)
	if shared+cross == result {
		return product
	}
	return TransposeAllAxes(product, permutation...)
}

// multiply sums over the contracting pairs of axes of a and b, side by side on the batch pairs, in the dtype that scope asks
// for.
func multiply(scope *model.Scope, a, b *Node, contracting, batch [][2]int) *Node {
	dtype := model.GetParamOr(scope, ParamMatMulDType, a.DType())
	if dtype == a.DType() {
		return Dot(a, b).EinsumAxes(contracting, batch)
	}
	// Left alone, Dot asks for a float32 accumulator of 16-bit operands, and then its two gradients, most of the work, are taken
	// in float32. Backends accumulate in float32 anyway.
	dot := Dot(ConvertDType(a, dtype), ConvertDType(b, dtype)).WithAccumulatorDType(dtypes.InvalidDType)
	return ConvertDType(dot.EinsumAxes(contracting, batch), a.DType())
}
