// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/layers"
)

// cropRate is the part of a row that its second view shows, after reading notes on COCO-LM.
const cropRate = 0.9

// rtdCLMSCL adds sequence contrast to [rtdCLM]: COCO-LM.
func rtdCLMSCL(p *Pass) []Term {
	crop, nonPad := Crop(p.Batch.Tokens, p.NonPad, p.Batch.Rows, p.Model.PadID, cropRate)
	head := func(states *Node) *Node { // of all rows of the step, from which each is told apart
		return p.Gather(SequenceVectors(p.Head(HeadSCL), p.Model.Config.Main, states))
	}
	loss := SequenceContrast(head(p.States()), head(p.Encode(crop, nonPad, "crop")), 1)
	return append(rtdCLM(p), Term{"scl", loss, p.Scalars.SCLWeight})
}

// Crop cuts a contiguous span out of each row of tokens, [B, S] int32, behind its first token, [CLS], which stays: rate
// of the other real tokens, nonPad [B, S] bool, from a start that noise, [B] in [0, 1), chooses. The rows are filled up
// with padID; the result is the cropped rows and where they are real. Real tokens must come before padding.
func Crop(tokens, nonPad, noise *Node, padID int32, rate float64) (cropped, real *Node) {
	g, shape := tokens.Graph(), tokens.Shape()
	number := func(x *Node) *Node { return ConvertDType(x, dtypes.Float32) }
	column := number(Iota(g, shape, 1))
	rest := AddScalar(ReduceAndKeep(number(nonPad), ReduceSum, -1), -1)            // [B, 1] real tokens behind [CLS]
	length := Floor(AddScalar(MulScalar(rest, rate), 0.5))                         // [B, 1] of the span
	start := Floor(Mul(number(InsertAxes(noise, -1)), OnePlus(Sub(rest, length)))) // 0 … rest−length
	real = LessOrEqual(column, BroadcastToShape(length, column.Shape()))
	isFirst := Equal(column, ZerosLike(column))
	from := Where(isFirst, column, MinScalar(Add(column, start), float64(shape.Dim(1)-1)))
	picked := Squeeze(GatherPositions(Reshape(tokens, shape.Dim(0), shape.Dim(1), 1), ConvertDType(from, dtypes.Int32)), -1)
	return Where(real, picked, Scalar(g, dtypes.Int32, padID)), real
}

// SequenceVectors maps the first state of each row, of states [B, S, H], to one vector, [B, H]: LN(GELU(W·h + b)). The
// contrastive head of COCO-LM's code.
func SequenceVectors(scope *model.Scope, c Encoder, states *Node) *Node {
	first := Squeeze(Slice(states, AxisRange(), AxisElem(0)), 1)
	x := layers.GELU(layers.Dense(scope.In("transform"), first, c.Width, c.initializer()))
	return layers.LayerNorm(scope.In("norm"), x, c.Epsilon)
}

// sequenceWeights lists the weights of [SequenceVectors].
func sequenceWeights(c Encoder) []layers.Weight {
	return append(layers.Within("transform", layers.DenseWeights(c.Width, c.Width, c.initializer())...),
		layers.Within("norm", layers.LayerNormWeights(c.Width)...)...)
}

// SequenceContrast is the mean over rows of −log( e^{cos(a,b)/τ} / Σ e^{cos/τ} ), both ways, for the two views of each
// row, a and b [B, D]: the sum in the denominator runs over all other views in the batch. Both directions are added and
// halved, so that B identical vectors at τ = 1 give ln(2B−1). Source: COCO-LM, its authors' criterion.
func SequenceContrast(a, b *Node, temperature float64) *Node {
	views := normalized(Concatenate([]*Node{a, b}, 0)) // [2B, D]
	n, rows := views.Shape().Dim(0), a.Shape().Dim(0)
	similarity := MulScalar(Einsum("id,jd->ij", views, views), 1/temperature)
	row := Iota(views.Graph(), shapes.Make(dtypes.Int32, n, n), 0)
	column := Iota(views.Graph(), shapes.Make(dtypes.Int32, n, n), 1)
	similarity = Where(Equal(row, column), Scalar(views.Graph(), views.DType(), -1e9), similarity)
	partner := Equal(Mod(AddScalar(row, rows), Scalar(views.Graph(), dtypes.Int32, n)), column)
	positive := ReduceSum(Mul(LogSoftmax(similarity), ConvertDType(partner, views.DType())), -1) // [2B]
	return Neg(ReduceAllMean(positive))
}

// normalized divides the rows of x by their lengths.
func normalized(x *Node) *Node {
	length := Sqrt(AddScalar(ReduceAndKeep(Square(x), ReduceSum, -1), 1e-12))
	return Div(x, length)
}
