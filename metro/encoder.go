// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/layers"
)

// embeddingStd is the σ of the embedding tables and of the relative position tables.
const embeddingStd = 0.02

// encode runs one of the models' encoders on tokens, [B, S] int32: embeddings, then the layers. Padding, where nonPad [B, S]
// is false, is hidden from every other position.
func (m Model) encode(scope *model.Scope, reader Owner, t tables, tokens, nonPad, biasScale, key *Node) []*Node {
	c, owner := m.Config.encoderOf(reader), m.Config.ownersFor(reader)
	norm := scope.At("%s", owner.norm)
	scope = scope.At("%s", owner.body)
	x := layers.Embed(t.token, tokens)
	for _, table := range []*Node{t.position, t.tokenType} {
		if table != nil {
			x = Add(x, table)
		}
	}
	x = layers.LayerNorm(norm.In("embedding_norm"), x, c.Epsilon)
	x = layers.Dropout(scope.In("embedding_dropout"), x, key, c.Dropout)
	if t.token.Shape().Dim(-1) != c.Width {
		x = layers.Dense(scope.In("embedding_projection"), x, c.Width, c.initializer())
	}
	biases := m.attentionBiases(scope, c, x, nonPad, biasScale)
	block := c.block()
	block.Recompute = m.Config.Training.ActivationCheckpointing
	return append([]*Node{x}, layers.Encoder(scope, x, biases, key, block)...)
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
	relative := c.Positions.Relative != RelativeNone
	if relative && !c.Positions.PerLayer {
		add(owner.body, -1, 0, c.relativeTable(e))
	}
	block := e.block()
	for i := range e.Layers {
		add(owner.body, i, i+1, block.Weights(e.Width)...)
		if relative && c.Positions.PerLayer {
			add(owner.body, i, i+1, c.relativeTable(e))
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

// relativeTable is the weight of a relative position bias of e.
func (c Config) relativeTable(e Encoder) layers.Weight {
	// N(0, 0.02²) as in COCO-LM; METRO-T0 starts at 0. Off zero, heads look at different offsets from the first step.
	return layers.Weight{
		Part: "relative_position_table", Shape: []int{c.Positions.Bins, e.Heads}, Init: layers.InitNormal(embeddingStd), Role: layers.RoleRelative,
	}
}

func (c Encoder) block() layers.Block {
	b := layers.Block{
		Heads: c.Heads, FFN: c.FFN, Activation: layers.Activations[c.Activation], PreNorm: c.Norm == NormPre,
		Dropout: c.Dropout, Epsilon: c.Epsilon, Init: c.initializer(),
	}
	if c.InitScale == InitScaleDepth {
		b.InitResidual = layers.InitScaled(b.Init, 1/math.Sqrt(2*float64(c.Layers)))
	}
	return b
}

// attentionBiases returns each layer's: padding, and the relative positions that the config asks for.
func (m Model) attentionBiases(scope *model.Scope, c Encoder, x, nonPad, biasScale *Node) []*Node {
	p := m.Config.Positions
	relative := func(scope *model.Scope) *Node {
		table := m.Config.relativeTable(c).Node(scope, x)
		spread := layers.RelativePositionBias
		if p.Relative == RelativeT5 {
			spread = layers.T5PositionBias
		}
		return Mul(spread(table, x.Shape().Dim(1), p.MaxDistance), biasScale)
	}
	padding := layers.PaddingBias(nonPad, x)
	biases := make([]*Node, c.Layers)
	for i := range biases {
		switch {
		case p.Relative == RelativeNone:
			biases[i] = padding
		case p.PerLayer:
			biases[i] = Add(padding, relative(scope.At("%s", layers.LayerName(i))))
		case i == 0:
			biases[i] = Add(padding, relative(scope))
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

// GatherPositions picks the states at positions, [B, P] int32, of x, [B, S, H]: [B, P, H].
func GatherPositions(x, positions *Node) *Node {
	b, s, h := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	row := MulScalar(Iota(x.Graph(), positions.Shape(), 0), s)
	return layers.Embed(Reshape(x, b*s, h), Add(positions, row))
}
