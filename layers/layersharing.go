// SPDX-License-Identifier: Apache-2.0

package layers

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"metrolab/internal/randstream"
)

// LayerSharing says which weights the layers of an [Encoder] have in common. Those lie in the first layer and are read by each,
// so that their gradient is the sum of what the layers' own would be. It saves weights, not operations.
type LayerSharing int

// The ways to share.
const (
	// ShareNothing gives each layer weights of its own.
	ShareNothing LayerSharing = iota
	// ShareFeedForward has one pair of matrices W₁, W₂ in the dense feed-forward maps of all layers, as Super Tiny Language Models'
	// published code (core_models.py). Normalisations, as there, and biases, which is ours, stay each layer's own.
	ShareFeedForward
	// ShareLayers has one layer, applied again and again: attention, map, biases and normalisations (ALBERT; Lan et al., 2019).
	ShareLayers
)

// WeightsOf lists the weights that layer i of an [Encoder] has of its own, over states of a width: those of [Block.Weights], but
// behind the first layer without what it shares.
func (b Block) WeightsOf(i, width int) []Weight {
	switch {
	case i == 0 || b.Sharing == ShareNothing:
		return b.Weights(width)
	case b.Sharing == ShareLayers:
		return nil
	}
	var own []Weight
	for _, w := range b.Weights(width) {
		if !b.Sharing.shares(w) {
			own = append(own, w)
		}
	}
	return own
}

// Shares reports whether w, of [Block.Weights], is one that all layers read.
func (b Block) Shares(w Weight) bool { return b.Sharing.shares(w) }

func (s LayerSharing) shares(w Weight) bool {
	return s == ShareLayers || s == ShareFeedForward && w.Role == RoleDense && (w.Part == "ffn_in" || w.Part == "ffn_out")
}

// applyAs is layer i of an encoder.
func (b Block) applyAs(i int, scope *model.Scope, x, bias, key *Node) *Node {
	first := scope.At("%s", LayerName(0))
	if b.Sharing == ShareLayers {
		return b.Apply(first, x, bias, ofLayer(key, i))
	}
	own := scope.In("%s", LayerName(i))
	if b.Sharing == ShareNothing {
		return b.Apply(own, x, bias, key)
	}
	dense, ok := b.feedForward().(DenseFeedForward)
	if !ok {
		exceptions.Panicf("layers: only dense feed-forward maps are shared by layers, not a %T", b.feedForward())
	}
	return b.apply(own, x, bias, key, func(scope *model.Scope, x, _ *Node) *Node { return dense.apply(first, scope, x) })
}

// ofLayer is the key of layer i where layers have one scope, which would have them drop alike.
func ofLayer(key *Node, i int) *Node {
	if key == nil || i == 0 {
		return key
	}
	a, b := randstream.Key(0, "layers/"+LayerName(i))
	return BitwiseXor(key, Const(key.Graph(), []uint64{a, b, 0}))
}
