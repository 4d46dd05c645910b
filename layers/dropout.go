// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Dropout zeroes each element of x, [B, …], with probability rate and divides the others by 1−rate. Its mask is a function
// of key, of the scope's path and of the element's place in the batch alone: two sites never share a mask, the order of the
// code does not matter, nor does it how many of a batch's rows are computed at a time, and all backends drop the same
// elements. key, [3]uint64, is an input of the step: two random words, and which row of the batch is the first of x. A nil
// key (evaluation) or a rate of 0 returns x itself.
func Dropout(scope *model.Scope, x, key *Node, rate float64) *Node {
	if key == nil || rate == 0 {
		return x
	}
	shape := x.Shape()
	keep := GreaterOrEqual(random24(scope, "dropout", key, shape.Dimensions), Scalar(x.Graph(), dtypes.Float32, rate*(1<<24)))
	return widened(x, func(x *Node) *Node {
		return Where(Reshape(keep, shape.Dimensions...), DivScalar(x, 1-rate), ZerosLike(x))
	})
}
