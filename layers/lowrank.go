// SPDX-License-Identifier: Apache-2.0

package layers

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// LowRank is what a dense map of states [B, S, in] gets beside its own weights: Scale·(x·down)·up, with down [in, Rank] and up
// [Rank, out]. It is 0 at first, since up is, and down is drawn from N(0, 1/in). Hu et al., 2021 (LoRA), where Scale is α/r.
type LowRank struct {
	Rank  int
	Scale float64
}

// Apply computes what is added to the map of x, [B, S, in], to width: [B, S, width].
func (l LowRank) Apply(scope *model.Scope, x *Node, width int) *Node {
	weights := l.Weights(x.Shape().Dim(-1), width)
	down, up := weights[0].Node(scope, x), weights[1].Node(scope, x)
	narrow := Product(scope, "bsi,ir->bsr", x, down)
	return MulScalar(Product(scope, "bsr,ro->bso", narrow, up), l.Scale)
}

// Weights lists the weights beside those of a map from in to width.
func (l LowRank) Weights(in, width int) []Weight {
	return []Weight{
		{Kind: "down", Shape: []int{in, l.Rank}, Init: InitFanIn, Role: RoleDense},
		{Kind: "up", Shape: []int{l.Rank, width}, Init: InitZeros, Role: RoleDense},
	}
}
