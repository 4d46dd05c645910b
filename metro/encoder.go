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

// encode runs one of the encoders on tokens, [B, S] int32: embeddings, then the layers. Padding, where nonPad [B, S]
// is false, is hidden from every other position.
func (m Model) encode(scope *model.Scope, room string, c Encoder, t tables, tokens, nonPad, biasScale, key *Node) []*Node {
	norm := scope.At("%s", room)
	if m.Config.Sharing == SharingTokenPositionNorm {
		norm = scope.At("shared")
	}
	scope = scope.At("%s", room)
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
	return append([]*Node{x}, layers.Encoder(scope, x, biases, key, m.block(c))...)
}

func (m Model) block(c Encoder) layers.Block {
	b := layers.Block{
		Heads: c.Heads, FFN: c.FFN, Activation: layers.Activations[c.Activation], PreNorm: c.Norm == NormPre,
		Dropout: c.Dropout, Epsilon: c.Epsilon, Init: c.initializer(), Recompute: m.Config.Training.ActivationCheckpointing,
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
		// N(0, 0.02²) as in COCO-LM; METRO-T0 starts at 0. Off zero, heads look at different offsets from the first step.
		table := layers.Param(scope, x, "relative_position_table", layers.InitNormal(embeddingStd), p.Bins, c.Heads)
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
			biases[i] = Add(padding, relative(scope.At("layer_%d", i)))
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
