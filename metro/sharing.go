// SPDX-License-Identifier: Apache-2.0

package metro

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/layers"
)

// tables are the embedding tables that an encoder reads and that its output head is tied to.
type tables struct {
	embedder  layers.Embedder
	token     []*Node // of the embedder's weights
	position  *Node   // [1, S, E], or nil
	tokenType *Node   // [1, 1, E], the row that is added everywhere, or nil
	scale     float64 // of the output; 0 for none
}

// owners say in whose scopes the parts of an encoder lie.
type owners struct {
	token Owner // the embedder's weights
	rest  Owner // position and token type tables
	norm  Owner // the embeddings' layer normalisation
	body  Owner // all else
}

// ownersFor says where the main model, or the generator, finds its weights.
func (c Config) ownersFor(reader Owner) owners {
	main := owners{OwnerShared, OwnerShared, OwnerMain, OwnerMain}
	if c.Sharing == SharingTokenPositionNorm {
		main.norm = OwnerShared
	}
	if reader == OwnerMain {
		return main
	}
	switch c.Sharing {
	case SharingNone:
		return owners{OwnerGenerator, OwnerGenerator, OwnerGenerator, OwnerGenerator}
	case SharingToken:
		return owners{OwnerShared, OwnerGenerator, OwnerGenerator, OwnerGenerator}
	case SharingTokenPositionNorm:
		return owners{OwnerShared, OwnerShared, OwnerShared, OwnerGenerator}
	case SharingAll:
		return main
	default:
		return owners{OwnerShared, OwnerShared, OwnerGenerator, OwnerGenerator}
	}
}

// mainTables are those in /shared; under GDES plus differences of the main model's own, and without the gradient.
func (m Model) mainTables(scope *model.Scope, g GraphProvider) tables {
	owner := m.Config.ownersFor(OwnerMain)
	t := m.tables(scope, g, owner, func(w layers.Weight) layers.Weight { return w })
	if m.Config.Sharing != SharingGDES {
		return m.pooled(scope, t, owner.token)
	}
	own := owners{token: OwnerMain, rest: OwnerMain}
	return m.pooled(scope, t.disentangled(m.tables(scope, g, own, difference)), OwnerMain)
}

// generatorTables are the main model's or the generator's own, as sharing says.
func (m Model) generatorTables(scope *model.Scope, g GraphProvider) tables {
	owner := m.Config.ownersFor(OwnerGenerator)
	return m.pooled(scope, m.tables(scope, g, owner, func(w layers.Weight) layers.Weight { return w }), owner.token)
}

// output is the matrix [V, E] that heads are tied to.
func (t tables) output(scope *model.Scope) *Node {
	out := t.embedder.Output(scope, t.token)
	if t.scale != 0 {
		out = MulScalar(out, t.scale)
	}
	return out
}

// tables makes or finds the tables where owner says, each as what it is turned into.
func (m Model) tables(scope *model.Scope, g GraphProvider, owner owners, turned func(layers.Weight) layers.Weight) (t tables) {
	c := m.Config
	t.embedder, t.scale = c.embedder(m.Vocab), c.Embeddings.OutputScale
	for _, w := range t.embedder.Weights() {
		t.token = append(t.token, turned(w).Node(scope.At("%s", owner.token), g))
	}
	rest := scope.At("%s", owner.rest)
	if c.Positions.Absolute {
		t.position = m.firstRows(turned(c.positionTable()).Node(rest, g))
	}
	if c.Embeddings.TokenTypes > 0 {
		t.tokenType = InsertAxes(Slice(turned(c.tokenTypeTable()).Node(rest, g), AxisRange(0, 1)), 0)
	}
	return t
}

// tableWeights lists the weights of mainTables or generatorTables.
func (c Config) tableWeights(reader Owner, vocab int) Inventory {
	owner := c.ownersFor(reader)
	var inv Inventory
	for _, w := range c.embedder(vocab).Weights() {
		inv = append(inv, placed(w, owner.token, Place{Layer: -1}, 0))
	}
	if c.Positions.Absolute {
		inv = append(inv, placed(c.positionTable(), owner.rest, Place{Layer: -1}, 0))
	}
	if c.Embeddings.TokenTypes > 0 {
		inv = append(inv, placed(c.tokenTypeTable(), owner.rest, Place{Layer: -1}, 0))
	}
	if reader == OwnerMain && c.Sharing == SharingGDES {
		for _, w := range inv {
			d := placed(difference(w.spec()), OwnerMain, Place{Layer: -1}, 0)
			d.Difference = true
			inv = append(inv, d)
		}
	}
	return inv
}

func (c Config) positionTable() layers.Weight { return c.table(PositionTable, c.PositionRows()) }

func (c Config) tokenTypeTable() layers.Weight {
	return c.table("token_type_embedding", c.Embeddings.TokenTypes)
}

// pairTypes are the rows of the token type table that belong to rows of two texts, [B, S, E]: the second where second, [B, S]
// bool, is true, else the first.
func (m Model) pairTypes(scope *model.Scope, second *Node) *Node {
	table := m.Config.tokenTypeTable()
	types := table.Node(scope.At("%s", m.Config.ownersFor(OwnerMain).rest), second)
	if m.Config.Sharing == SharingGDES {
		types = Disentangle(types, difference(table).Node(scope.At("%s", OwnerMain), second))
	}
	row := func(i int) *Node { return InsertAxes(Slice(types, AxisRange(i, i+1)), 0) } // [1, 1, E]
	return Add(row(0), Mul(InsertAxes(ConvertDType(second, types.DType()), -1), Sub(row(1), row(0))))
}

func (c Config) table(name string, rows int) layers.Weight {
	return layers.Weight{Part: name, Shape: []int{rows, c.EmbeddingWidth()}, Init: c.tableInitializer(), Role: layers.RoleTable}
}

// PositionTable is the [Place.Part] of the learned position table, of which short rows read the beginning.
const PositionTable = "position_embedding"

// difference is what the main model adds to the table w under GDES.
func difference(w layers.Weight) layers.Weight {
	w.Part, w.Init = differencePart(w.Part), layers.InitZeros
	return w
}

func differencePart(part string) string { return part + "_difference" }

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

// disentangled are the tables of a main model that adds differences to those it shares.
func (t tables) disentangled(difference tables) tables {
	for i, shared := range t.token {
		t.token[i] = Disentangle(shared, difference.token[i])
	}
	if t.position != nil {
		t.position = Disentangle(t.position, difference.position)
	}
	if t.tokenType != nil {
		t.tokenType = Disentangle(t.tokenType, difference.tokenType)
	}
	return t
}

// Disentangle is gradient-disentangled embedding sharing: stop-gradient(shared) + difference. The main model starts
// from the generator's table and moves its own difference only; the generator never feels the main model's gradient.
// All shapes are equal. Source: DeBERTaV3, published code (word and position tables; there the two models take turns,
// with an optimizer each; here they step together, and a token type table is treated like the others).
func Disentangle(shared, difference *Node) *Node { return Add(StopGradient(shared), difference) }
