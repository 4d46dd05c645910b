// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"cmp"
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/layers"
	"metrolab/layers/moe"
)

// embeddingStd is the σ of the embedding tables and of the relative position tables.
const embeddingStd = 0.02

// encode runs one of the models' encoders on tokens, [B, S] int32: embeddings, then the layers. Padding, where nonPad [B, S]
// is false, is hidden from every other position, and so are other documents where the config says so; nonPad may also be what
// [Model.Visible] has made of the rows before they were corrupted. Between the layers states have the dtype that training.activations says;
// what is returned has that of the weights.
func (m Model) encode(scope *model.Scope, reader Owner, t tables, tokens, nonPad, biasScale, key *Node) []*Node {
	adapting := m.adapting(scope, reader, tokens, nonPad, biasScale)
	x, text := m.embed(scope, reader, t, tokens, key, adapting)
	biases, block := m.layersOn(scope, reader, text, tokens, nonPad, biasScale)
	states := append([]*Node{x}, layers.Encoder(m.body(scope, reader), x, biases, key, block, adapting.layers(m.Config.encoderOf(reader))...)...)
	for i, state := range states {
		states[i] = ConvertDType(withoutSlots(state, text.Shape().Dim(1)), text.DType())
	}
	return states
}

// body is the scope of the layers of one of the models.
func (m Model) body(scope *model.Scope, reader Owner) *model.Scope {
	return scope.At("%s", m.Config.ownersFor(reader).body)
}

// embed is what the first layer of one of the models reads, x, and the sum of the tables' rows, [B, S, E], as it was before.
func (m Model) embed(scope *model.Scope, reader Owner, t tables, tokens, key *Node, adapting *adapting) (x, text *Node) {
	c := m.Config.encoderOf(reader)
	norm := scope.At("%s", m.Config.ownersFor(reader).norm)
	scope = m.body(scope, reader)
	x = t.embedder.Embed(scope, t.token, tokens)
	for _, table := range []*Node{t.position, t.tokenType} {
		if table != nil {
			x = Add(x, table)
		}
	}
	text = x
	x = layers.LayerNorm(norm.In("embedding_norm"), adapting.prompted(x), c.Epsilon)
	x = ConvertDType(x, m.Config.activationDType(text.DType()))
	x = layers.Dropout(scope.In("embedding_dropout"), x, key, c.Dropout)
	if x.Shape().Dim(-1) != c.Width {
		x = layers.Dense(scope.In("embedding_projection"), x, c.Width, c.initializer())
	}
	return x, text
}

// layersOn are the attention biases and the shape of the layers of one of the models, on rows of tokens; see [Model.encode]. Of x,
// [B, S, …], they read the shape and the dtype, which is that of the weights.
func (m Model) layersOn(scope *model.Scope, reader Owner, x, tokens, nonPad, biasScale *Node) ([]*Node, layers.Block) {
	real := nonPad
	if nonPad.Rank() == 2 {
		nonPad = m.Visible(tokens, nonPad)
	} else {
		real = LogicalAny(nonPad, 1) // padding is what not even its own document may read
	}
	biases := m.attentionBiases(m.body(scope, reader), m.Config.encoderOf(reader), x, nonPad, biasScale)
	return biases, m.block(reader, real)
}

// encoderWeights lists the weights that the encoder of one of the models reads, in the order in which it reads them: tables,
// the layers, and what is between and around them.
func (c Config) encoderWeights(reader Owner, vocab int) Inventory {
	e, owner, width := c.encoderOf(reader), c.ownersFor(reader), c.EmbeddingWidth()
	inv := c.tableWeights(reader, vocab)
	add := func(owner Owner, layer, depth int, weights ...layers.Weight) {
		for _, w := range weights {
			inv = append(inv, placed(w, owner, Place{Layer: layer}, depth))
		}
	}
	add(owner.norm, -1, 0, layers.Within("embedding_norm", layers.LayerNormWeights(width)...)...)
	if width != e.Width {
		add(owner.body, -1, 0, layers.Within("embedding_projection", layers.DenseWeights(width, e.Width, e.initializer())...)...)
	}
	bias := c.attentionBias()
	if bias != nil && !bias.PerLayer() {
		add(owner.body, -1, 0, bias.Weights(e.Heads)...)
	}
	block := c.block(reader)
	for i := range e.Layers {
		for _, w := range block.WeightsOf(i, e.Width) {
			add(owner.body, i, i+1, w)
			if block.Shares(w) { // it lies in the first layer, and is as near to the heads as the last that reads it
				shared := &inv[len(inv)-1]
				shared.Depth, shared.Again = e.Layers, e.Layers-1
			}
		}
		if bias != nil && bias.PerLayer() {
			add(owner.body, i, i+1, bias.Weights(e.Heads)...)
		}
	}
	if block.PreNorm && e.Layers > 0 {
		add(owner.body, -1, e.Layers, layers.Within(layers.FinalNorm, layers.LayerNormWeights(e.Width)...)...)
	}
	return inv
}

// placed puts a weight of a layer into a model. The place lacks what the weight says itself.
func placed(w layers.Weight, owner Owner, at Place, depth int) Weight {
	at.Part, at.Kind = w.Part, w.Kind
	return Weight{Owner: owner, Place: at, Shape: w.Shape, Init: w.Init, Role: w.Role, Depth: depth}
}

// encoderOf is the shape of one of the models.
func (c Config) encoderOf(reader Owner) Encoder {
	if reader == OwnerGenerator {
		return c.Generator
	}
	return c.Main
}

// attentionBias is that of both models, nil for none.
func (c Config) attentionBias() layers.AttentionBias {
	entry := attentionBiases.get(cmp.Or(c.Positions.Relative, RelativeNone))
	return entry.Build(c.Positions, entry.reads(c.Positions.RelativeOptions))
}

// embedder is that of both models.
func (c Config) embedder(vocab int) layers.Embedder {
	entry := embedders.get(cmp.Or(c.Embeddings.Kind, EmbedderTable))
	return entry.Build(vocab, c.EmbeddingWidth(), c.tableInitializer(), entry.reads(c.Embeddings.Options))
}

// block is the shape of the layers of one of the models.
func (c Config) block(reader Owner) layers.Block {
	e := c.encoderOf(reader)
	b := layers.Block{
		Heads: e.Heads, FFN: e.FFN, Activation: layers.Activations[e.Activation], PreNorm: e.Norm == NormPre,
		Dropout: e.Dropout, Epsilon: e.Epsilon, Init: e.initializer(), Recompute: c.Training.ActivationCheckpointing,
	}
	if e.InitScale == InitScaleDepth {
		b.InitResidual = layers.InitScaled(b.Init, 1/math.Sqrt(2*float64(e.Layers)))
	}
	switch e.LayerSharing {
	case LayerSharingFeedForward:
		b.Sharing = layers.ShareFeedForward
	case LayerSharingAll:
		b.Sharing = layers.ShareLayers
	}
	entry := feedForwards.get(cmp.Or(e.FeedForward, FeedForwardDense))
	b.FeedForward = entry.Build(b, entry.reads(e.FeedForwardOptions))
	return b
}

// block is the shape of the layers of one of the models in a graph, on rows whose real tokens are where real, [B, S] bool, is true.
func (m Model) block(reader Owner, real *Node) layers.Block {
	b := m.Config.block(reader)
	if experts, ok := b.FeedForward.(moe.FeedForward); ok {
		experts.Mask = real
		if m.routed != nil {
			experts.Routed = func(_ *model.Scope, routing moe.Routing) { m.routed(reader, routing) }
		}
		b.FeedForward = experts
	}
	return b
}

// attentionBiases returns each layer's: padding, and the bias that the config asks for.
func (m Model) attentionBiases(scope *model.Scope, c Encoder, x, nonPad, biasScale *Node) []*Node {
	bias := m.Config.attentionBias()
	padding := layers.PaddingBias(nonPad, x)
	apply := func(scope *model.Scope) *Node { return Mul(bias.Apply(scope, x, c.Heads), biasScale) }
	at := func(scope *model.Scope) *Node { return Add(padding, apply(scope)) }
	var shared *Node // with less memory for gradients: each layer's is summed over the rows by itself
	if bias != nil && !bias.PerLayer() && m.Config.activationDType(x.DType()) != x.DType() {
		shared = apply(scope)
	}
	biases := make([]*Node, c.Layers)
	for i := range biases {
		switch {
		case bias == nil:
			biases[i] = padding
		case shared != nil:
			biases[i] = Add(padding, shared)
		case bias.PerLayer():
			biases[i] = at(scope.At("%s", layers.LayerName(i)))
		case i == 0:
			biases[i] = at(scope)
		default:
			biases[i] = biases[0]
		}
	}
	return biases
}

func (e Encoder) initializer() layers.Initializer {
	switch e.Init {
	case InitFanIn:
		return layers.InitFanIn
	case InitTruncated:
		return layers.InitTruncatedNormal(0.02)
	case InitT5:
		return layers.InitT5Dense
	default:
		return layers.InitNormal(0.02)
	}
}

// matMulDType is 0 for the dtype of the weights.
func (c Config) matMulDType() dtypes.DType {
	if c.Training.MatMul == MatMulBFloat16 {
		return dtypes.BFloat16
	}
	return 0
}

// activationDType is that of the states between the layers, where the weights have the given one.
func (c Config) activationDType(weights dtypes.DType) dtypes.DType {
	if c.Training.MatMul == MatMulBFloat16 && c.Training.Activations == ActivationsBFloat16 {
		return dtypes.BFloat16
	}
	return weights
}
