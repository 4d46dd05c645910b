// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
)

const (
	// ParamSeed is the store parameter (int64, default 0) from which first values are drawn.
	ParamSeed = "init_seed"

	// ParamDType is the store parameter (dtypes.DType, default Float32) of new variables. Float64 is for gradient checks.
	ParamDType = "param_dtype"
)

// Param returns the node of the trainable variable name in scope, which it creates on first use with a value
// drawn by init from the stream (seed, "init/" + path). It panics if the variable exists with another shape. It is the short
// way to a [Weight]. The role follows from the name: gains and offsets are called so, biases "bias" or something that ends in
// "_bias", and all else decays.
func Param(scope *model.Scope, g graph.GraphProvider, name string, init Initializer, dims ...int) *graph.Node {
	return Weight{Part: name, Shape: dims, Init: init, Role: roleOf(name)}.Node(scope, g)
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
