// SPDX-License-Identifier: Apache-2.0

package training

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"metrolab/metro"
	"metrolab/metro/data"
)

// batchInput is one tensor of a pretraining batch: as the host makes it and as the graph reads it.
type batchInput struct {
	name  string
	dtype dtypes.DType
	dims  func(c metro.Config) []int // of one part of a batch
	host  func(b data.Batch) any     // []int32 or []float32, of all parts
	node  func(b *metro.Batch) **Node
}

// layout is the order of the inputs of a pretraining step, and the only place that knows it.
func layout(c metro.Config) []batchInput {
	if c.Replacements.Source == metro.SourceStored {
		return append(slices.Clone(batchLayout), batchInput{
			"samples", dtypes.Int32, rowsOfSlots, func(b data.Batch) any { return b.Samples }, func(b *metro.Batch) **Node { return &b.Samples },
		})
	}
	return batchLayout
}

var batchLayout = []batchInput{
	{"tokens", dtypes.Int32, rowsOfTokens, func(b data.Batch) any { return b.Tokens }, func(b *metro.Batch) **Node { return &b.Tokens }},
	{"masked", dtypes.Int32, rowsOfTokens, func(b data.Batch) any { return b.Masked }, func(b *metro.Batch) **Node { return &b.Masked }},
	{"positions", dtypes.Int32, rowsOfSlots, func(b data.Batch) any { return b.Positions }, func(b *metro.Batch) **Node { return &b.Positions }},
	{"weights", dtypes.Float32, rowsOfSlots, func(b data.Batch) any { return b.Weights }, func(b *metro.Batch) **Node { return &b.Weights }},
	{"uniforms", dtypes.Float32, rowsOfSlots, func(b data.Batch) any { return b.Uniforms }, func(b *metro.Batch) **Node { return &b.Uniforms }},
	{"rows", dtypes.Float32, rowsAlone, func(b data.Batch) any { return b.Rows }, func(b *metro.Batch) **Node { return &b.Rows }},
}

func rowsOfTokens(c metro.Config) []int { return []int{partRows(c), c.Data.SeqLen} }
func rowsOfSlots(c metro.Config) []int  { return []int{partRows(c), c.MaskedPositions()} }
func rowsAlone(c metro.Config) []int    { return []int{partRows(c)} }

// partRows is the number of rows that one graph works on: a step's, or a part of them.
func partRows(c metro.Config) int { return c.Training.BatchSize / c.Training.Accumulate }

// batchShapes are the shapes of one part of a batch, in the order of its layout.
func batchShapes(c metro.Config) []shapes.Shape {
	var list []shapes.Shape
	for _, in := range layout(c) {
		list = append(list, shapes.Make(in.dtype, in.dims(c)...))
	}
	return list
}

// batchNodes gives the nodes of a graph's inputs their names.
func batchNodes(c metro.Config, in []*Node) metro.Batch {
	var b metro.Batch
	for i, input := range layout(c) {
		*input.node(&b) = in[i]
	}
	return b
}

// hostBatch is a [Batch] of pretraining.
type hostBatch struct {
	data.Batch
	config metro.Config
}

// Part implements [Batch].
func (b hostBatch) Part(part int) []*tensors.Tensor {
	var list []*tensors.Tensor
	for _, in := range layout(b.config) {
		dims := in.dims(b.config)
		switch values := in.host(b.Batch).(type) {
		case []int32:
			list = append(list, slab(values, part, dims...))
		case []float32:
			list = append(list, slab(values, part, dims...))
		}
	}
	return list
}

// slab is the part-th tensor of the given dimensions in values.
func slab[T int32 | float32](values []T, part int, dims ...int) *tensors.Tensor {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return tensors.FromFlatDataAndDimensions(values[part*n:(part+1)*n], dims...)
}
