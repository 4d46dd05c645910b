// SPDX-License-Identifier: Apache-2.0

package metro

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/layers"
)

// embeddingStd is the σ of the embedding tables and of the relative position tables.
const embeddingStd = 0.02

// tables are the embedding tables that an encoder reads and that its output head is tied to.
type tables struct {
	token    *Node // [V, E]
	position *Node // [S, E]
}

// newTables makes (or finds) the tables of scope, of the given width.
func newTables(scope *model.Scope, g GraphProvider, vocab, length, width int) tables {
	std := layers.InitNormal(embeddingStd)
	return tables{
		token:    layers.Param(scope, g, "token_embedding", std, vocab, width),
		position: layers.Param(scope, g, "position_embedding", std, length, width),
	}
}

// states runs an encoder on tokens, [B, S] int32: token + position embeddings, layer normalisation, a dense map to
// the encoder's width where the tables have another, then the layers. Padding, where nonPad [B, S] is false, is
// hidden from every other position. The result is [B, S, H].
func states(scope *model.Scope, c Encoder, p Positions, t tables, tokens, nonPad, biasScale, key *Node) *Node {
	init := c.initializer()
	x := Add(layers.Embed(t.token, tokens), InsertAxes(t.position, 0))
	x = layers.LayerNorm(scope.In("embedding_norm"), x, c.Epsilon)
	x = layers.Dropout(scope.In("embedding_dropout"), x, key, c.Dropout)
	if t.token.Shape().Dim(-1) != c.Width {
		x = layers.Dense(scope.In("embedding_projection"), x, c.Width, init)
	}
	bias := layers.PaddingBias(nonPad, x)
	if p.Relative != RelativeNone {
		// N(0, 0.02²) as in COCO-LM; METRO-T0 starts at 0. Off zero, heads look at different offsets from the first step.
		table := layers.Param(scope, x, "relative_position_table", layers.InitNormal(embeddingStd), p.Bins, c.Heads)
		relative := layers.RelativePositionBias(table, tokens.Shape().Dim(1), p.MaxDistance)
		bias = Add(bias, Mul(relative, biasScale))
	}
	return layers.Encoder(scope, x, bias, key, c.Layers, layers.Block{
		Heads: c.Heads, FFN: c.FFN, Activation: layers.Activations[c.Activation],
		Dropout: c.Dropout, Epsilon: c.Epsilon, Init: init,
	})
}

func (e Encoder) initializer() layers.Initializer {
	if e.Init == "fan_in" {
		return layers.InitFanIn
	}
	return layers.InitNormal(0.02)
}

// GatherPositions picks the states at positions, [B, P] int32, of x, [B, S, H]: [B, P, H].
func GatherPositions(x, positions *Node) *Node {
	b, s, h := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	row := MulScalar(Iota(x.Graph(), positions.Shape(), 0), s)
	return layers.Embed(Reshape(x, b*s, h), Add(positions, row))
}
