// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"metrolab/internal/randstream"
)

const (
	// ParamSeed is the store parameter (int64, default 0) from which first values are drawn.
	ParamSeed = "init_seed"

	// ParamDType is the store parameter (dtypes.DType, default Float32) of new variables. Float64 is for gradient checks.
	ParamDType = "param_dtype"
)

// Param returns the node of the trainable variable name in scope, which it creates on first use with a value
// drawn by init from the stream (seed, "init/" + path). It panics if the variable exists with another shape.
func Param(scope *model.Scope, g graph.GraphProvider, name string, init Initializer, dims ...int) *graph.Node {
	dtype := model.GetParamOr(scope, ParamDType, dtypes.Float32)
	shape := shapes.Make(dtype, dims...)
	path := model.JoinPath(scope.Scope(), name)
	v := scope.Store().GetVariable(path)
	if v == nil {
		values := make([]float64, shape.Size())
		seed := model.GetParamOr(scope, ParamSeed, int64(0))
		init(randstream.New(seed, "init"+path), values, dims)
		var err error
		if v, err = scope.Store().CreateVariable(path, floats(dtype, values, dims)); err != nil {
			panic(err)
		}
	}
	if !v.Shape().Equal(shape) {
		exceptions.Panicf("layers: variable %s has shape %s, asked for %s", path, v.Shape(), shape)
	}
	return v.NodeValue(g)
}

func floats(dtype dtypes.DType, values []float64, dims []int) *tensors.Tensor {
	switch dtype {
	case dtypes.Float64:
		return tensors.FromFlatDataAndDimensions(values, dims...)
	case dtypes.Float32:
		f32 := make([]float32, len(values))
		for i, v := range values {
			f32[i] = float32(v)
		}
		return tensors.FromFlatDataAndDimensions(f32, dims...)
	}
	exceptions.Panicf("layers: variables are float32 or float64, not %s", dtype)
	return nil
}
