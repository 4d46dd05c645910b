// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/randstream"
)

// Dropout zeroes each element of x with probability rate and divides the others by 1−rate. Its mask is a function of
// key ([3]uint64, an input of the step) and of the scope's path alone, so two sites never share a mask and the order
// of the code does not matter. Keys differ by their first two words; pure Go does not read the third. A nil key
// (evaluation) or a rate of 0 returns x itself.
func Dropout(scope *model.Scope, x, key *Node, rate float64) *Node {
	if key == nil || rate == 0 {
		return x
	}
	a, b := randstream.Key(0, "dropout"+scope.Scope())
	state := BitwiseXor(key, Const(x.Graph(), []uint64{a, b, 0}))
	_, u := RandomUniform(state, shapes.Make(dtypes.Float32, x.Shape().Dimensions...))
	keep := GreaterOrEqual(u, Scalar(x.Graph(), dtypes.Float32, rate))
	return Where(keep, DivScalar(x, 1-rate), ZerosLike(x))
}
