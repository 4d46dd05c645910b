// SPDX-License-Identifier: Apache-2.0

package metro

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/layers"
)

// tables are the embedding tables that an encoder reads and that its output head is tied to.
type tables struct {
	token     *Node // [V, E]
	position  *Node // [1, S, E], or nil
	tokenType *Node // [1, 1, E], the row that is added everywhere, or nil
}

// mainTables are those in /shared; under GDES plus differences of the main model's own, and without the gradient.
func (m Model) mainTables(scope *model.Scope, g GraphProvider) tables {
	shared, main := scope.At("shared"), scope.At("main")
	t := m.tables(shared, shared, g, "", m.Config.tableInitializer())
	if m.Config.Sharing != SharingGDES {
		return t
	}
	difference := m.tables(main, main, g, "_difference", layers.InitZeros)
	t.token = Disentangle(t.token, difference.token)
	if t.position != nil {
		t.position = Disentangle(t.position, difference.position)
	}
	if t.tokenType != nil {
		t.tokenType = Disentangle(t.tokenType, difference.tokenType)
	}
	return t
}

// generatorTables are the main model's or the generator's own, as sharing says.
func (m Model) generatorTables(scope *model.Scope, g GraphProvider) tables {
	shared, own, init := scope.At("shared"), scope.At("generator"), m.Config.tableInitializer()
	switch m.Config.Sharing {
	case SharingNone:
		return m.tables(own, own, g, "", init)
	case SharingToken:
		return m.tables(shared, own, g, "", init)
	default:
		return m.tables(shared, shared, g, "", init)
	}
}

// tables makes or finds the token table in one scope and the other tables in another, by their names with a suffix.
func (m Model) tables(token, rest *model.Scope, g GraphProvider, suffix string, init layers.Initializer) tables {
	width := m.Config.EmbeddingWidth()
	t := tables{token: layers.Param(token, g, "token_embedding"+suffix, init, m.Vocab, width)}
	if m.Config.Positions.Absolute {
		t.position = m.firstRows(layers.Param(rest, g, "position_embedding"+suffix, init, m.Config.PositionRows(), width))
	}
	if n := m.Config.Embeddings.TokenTypes; n > 0 {
		types := layers.Param(rest, g, "token_type_embedding"+suffix, init, n, width)
		t.tokenType = InsertAxes(Slice(types, AxisRange(0, 1)), 0)
	}
	return t
}

// firstRows is the part of a position table, [Rows, E], that rows of tokens read: [1, S, E].
func (m Model) firstRows(table *Node) *Node {
	if s := m.Config.Data.SeqLen; s < table.Shape().Dim(0) {
		table = Slice(table, AxisRange(0, s))
	}
	return InsertAxes(table, 0)
}

func (c Config) tableInitializer() layers.Initializer {
	switch c.Main.Init {
	case InitTruncated:
		return layers.InitTruncatedNormal(embeddingStd)
	case InitT5:
		return layers.InitT5Embedding(c.EmbeddingWidth())
	default:
		return layers.InitNormal(embeddingStd)
	}
}

// Disentangle is gradient-disentangled embedding sharing: stop-gradient(shared) + difference. The main model starts
// from the generator's table and moves its own difference only; the generator never feels the main model's gradient.
// All shapes are equal. Source: DeBERTaV3, published code (word and position tables; there the two models take turns,
// with an optimizer each; here they step together, and a token type table is treated like the others).
func Disentangle(shared, difference *Node) *Node { return Add(StopGradient(shared), difference) }
