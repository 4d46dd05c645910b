// SPDX-License-Identifier: Apache-2.0

package layers

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Block is the shape of one encoder layer.
type Block struct {
	Heads      int               // N; divides the width
	FFN        int               // inner width of the feed-forward map
	Activation func(*Node) *Node // between its two dense maps
	Dropout    float64           // of both sub-layers' outputs and of attention weights
	Epsilon    float64           // of the layer normalisations
	Init       Initializer       // of the dense weights
}

// Apply runs one post-LN layer on x, [B, S, H]:
//
//	x = LN(x + dropout(attention(x)));  x = LN(x + dropout(W₂·act(W₁·x)))
//
// bias is the attention bias of [SelfAttention]; key drives dropout and is nil when evaluating.
func (b Block) Apply(scope *model.Scope, x, bias, key *Node) *Node {
	attended := SelfAttention(scope.In("attention"), x, bias, key, b.Heads, b.Dropout, b.Init)
	attended = Dropout(scope.In("attention_dropout"), attended, key, b.Dropout)
	x = LayerNorm(scope.In("attention_norm"), Add(x, attended), b.Epsilon)

	inner := b.Activation(Dense(scope.In("ffn_in"), x, b.FFN, b.Init))
	outer := Dense(scope.In("ffn_out"), inner, x.Shape().Dim(-1), b.Init)
	outer = Dropout(scope.In("ffn_dropout"), outer, key, b.Dropout)
	return LayerNorm(scope.In("ffn_norm"), Add(x, outer), b.Epsilon)
}

// Encoder applies block depth times, in the scopes layer_0, layer_1, …, each with its own weights and all with the
// same attention bias.
func Encoder(scope *model.Scope, x, bias, key *Node, depth int, block Block) *Node {
	for i := range depth {
		x = block.Apply(scope.In("layer_%d", i), x, bias, key)
	}
	return x
}
