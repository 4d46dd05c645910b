// SPDX-License-Identifier: Apache-2.0

package layers

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// AttentionBias is what attention adds to its logits for pairs of positions, beside the padding mask.
type AttentionBias interface {
	// PerLayer reports whether each layer has a bias, and weights, of its own; else the layers of an encoder share one.
	PerLayer() bool
	// Weights lists the weights for a number of heads, by their places in the scope of the layer or, where layers share them,
	// of the encoder.
	Weights(heads int) []Weight
	// Apply builds the bias, [1, N, S, S] or [B, N, S, S], for x, [B, S, H], of which it may read no more than the shape, in
	// the same scope.
	Apply(scope *model.Scope, x *Node, heads int) *Node
}

// BucketBias is a learned number for each head and bucket of distances, in the table relative_position_table, [Bins, N].
type BucketBias struct {
	Bins, MaxDistance int
	Separate          bool // a table for each layer
	Init              Initializer
	// Spread spreads the table over all pairs of positions: [RelativePositionBias] or [T5PositionBias].
	Spread func(table *Node, length, maxDistance int) *Node
}

// PerLayer implements [AttentionBias].
func (b BucketBias) PerLayer() bool { return b.Separate }

// Weights implements [AttentionBias].
func (b BucketBias) Weights(heads int) []Weight {
	return []Weight{{Part: "relative_position_table", Shape: []int{b.Bins, heads}, Init: b.Init, Role: RoleRelative}}
}

// Apply implements [AttentionBias].
func (b BucketBias) Apply(scope *model.Scope, x *Node, heads int) *Node {
	return b.Spread(b.Weights(heads)[0].Node(scope, x), x.Shape().Dim(1), b.MaxDistance)
}
