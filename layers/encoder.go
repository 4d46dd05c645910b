// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"slices"
	"strconv"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Block is the shape of one encoder layer.
type Block struct {
	Heads        int               // N; divides the width
	FFN          int               // inner width of the feed-forward map
	Activation   func(*Node) *Node // between its two dense maps
	FeedForward  FeedForward       // the map, if it is not the dense one that the two above describe
	Dropout      float64           // of both sub-layers' outputs and of attention weights
	Epsilon      float64           // of the layer normalisations
	PreNorm      bool              // normalise what a sub-layer reads, not what it leaves
	Recompute    bool              // trade time for memory: see Apply
	Sharing      LayerSharing      // what the layers of an [Encoder] share
	Init         Initializer       // of the dense weights
	InitResidual Initializer       // of the two that write into x, the last of either sub-layer; nil = Init
	Adapter      Adapter           // of the layer
}

// Apply runs one layer on x, [B, S, H]. Each of its two sub-layers f, attention and [FeedForward], is
//
//	x = LN(x + dropout(f(x)))    post-LN: the original Transformer's, BERT's, ELECTRA's and COCO-LM's
//	x = x + dropout(f(LN(x)))    PreNorm: x itself is never normalised (Xiong et al., 2020)
//
// bias is the attention bias of [SelfAttention]; key drives dropout and is nil when evaluating.
//
// With Recompute the backward pass keeps x and the result alone and computes the rest once more (activation checkpointing;
// Chen et al., 2016): less memory for one more forward pass. Dropout masks are drawn once, so loss and gradients are those
// of a layer without it.
func (b Block) Apply(scope *model.Scope, x, bias, key *Node) *Node {
	return b.apply(scope, x, bias, key, b.feedForward().Apply)
}

func (b Block) apply(scope *model.Scope, x, bias, key *Node, feedForward func(scope *model.Scope, x, key *Node) *Node) *Node {
	x, bias = b.Adapter.reads(x, bias)
	if b.Recompute {
		x = x.Checkpoint()
	}
	x = b.residual(scope.In("attention_norm"), x, func(x *Node) *Node {
		attended := b.attention().Apply(scope.In("attention"), x, bias, key)
		return Dropout(scope.In("attention_dropout"), attended, key, b.Dropout)
	})
	x = b.residual(scope.In("ffn_norm"), x, func(x *Node) *Node {
		return Dropout(scope.In("ffn_dropout"), feedForward(scope, x, key), key, b.Dropout)
	})
	if b.Recompute {
		x = x.StopCheckpoint()
	}
	return x
}

// Weights lists the weights of one layer over states of a width.
func (b Block) Weights(width int) []Weight {
	return slices.Concat(
		Within("attention", b.attention().Weights(width)...),
		Within("attention_norm", LayerNormWeights(width)...),
		b.feedForward().Weights(width),
		Within("ffn_norm", LayerNormWeights(width)...),
	)
}

func (b Block) attention() SelfAttention {
	return SelfAttention{Heads: b.Heads, Dropout: b.Dropout, Init: b.Init, InitOutput: b.InitResidual, Adapter: b.Adapter}
}

func (b Block) feedForward() FeedForward {
	if b.FeedForward != nil {
		return b.FeedForward
	}
	return b.DenseFeedForward()
}

// DenseFeedForward is the map of a block that has none of its own. One that is computed again as a whole leaves no part to be.
func (b Block) DenseFeedForward() DenseFeedForward {
	return DenseFeedForward{Inner: b.FFN, Activation: b.Activation, Init: b.Init, InitOutput: b.InitResidual, Recompute: !b.Recompute}
}

// residual adds the sub-layer f to x, with the layer normalisation in its place.
func (b Block) residual(norm *model.Scope, x *Node, f func(*Node) *Node) *Node {
	if b.PreNorm {
		return Add(x, f(LayerNorm(norm, x, b.Epsilon)))
	}
	return LayerNorm(norm, Add(x, f(x)), b.Epsilon)
}

// FinalNorm is the scope of the layer normalisation behind the last layer of an [Encoder] with PreNorm.
const FinalNorm = "final_norm"

// LayerName returns the scope of layer i of an [Encoder].
func LayerName(i int) string { return "layer_" + strconv.Itoa(i) }

// Encoder applies block len(biases) times to x, [B, S, H], in the scopes layer_0, layer_1, …, each with its own weights but for
// those that [Block.Sharing] has them share, which lie in layer_0. Dropout is each layer's own in any case. Layer i has the
// attention bias biases[i]: nil, or the same node for all, or one per layer. The result is the state [B, S, H] after every layer.
// The last is the encoder's output: under PreNorm, where nothing has normalised it, it has passed a layer normalisation of its
// own, in the scope final_norm.
// adapters are those of the layers, none or one each.
func Encoder(scope *model.Scope, x *Node, biases []*Node, key *Node, block Block, adapters ...Adapter) []*Node {
	states := make([]*Node, len(biases))
	for i := range biases {
		if len(adapters) > 0 {
			block.Adapter = adapters[i]
		}
		x = EncoderLayer(scope, i, x, biases, key, block)
		states[i] = x
	}
	if len(states) > 0 {
		states[len(states)-1] = EncoderOutput(scope, x, block)
	}
	return states
}

// EncoderLayer is layer i of an [Encoder] on what the layer before it has left, x, [B, S, H]: its state, [B, S, H]. It is for those who
// do something between layers.
func EncoderLayer(scope *model.Scope, i int, x *Node, biases []*Node, key *Node, block Block) *Node {
	return block.applyAs(i, scope, x, biases[i], key)
}

// EncoderOutput makes the output of an [Encoder] of the state after its last layer, [B, S, H].
func EncoderOutput(scope *model.Scope, x *Node, block Block) *Node {
	if !block.PreNorm {
		return x
	}
	return LayerNorm(scope.In("%s", FinalNorm), x, block.Epsilon)
}
