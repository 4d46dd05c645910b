// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"metrolab/layers"
	"metrolab/layers/moe"
)

// Model is a generator and a main model over one vocabulary. Its graph functions only put together the functions of
// this package and of package layers, as Config says.
type Model struct {
	Config Config
	Vocab  int   // V of the tokenizer in use; every id is below it
	PadID  int32 // the id that fills rows up
	SepID  int32 // the id behind every document of a row; looked at under positions.within_documents

	// What SourceUnigram and SourceUniform draw from, nil for other sources: a log-probability a token, up to a
	// constant; very low for tokens that are never drawn, such as special ones.
	LogUnigram, LogUniform []float32

	// Spelling is what the tokens are written with, which [EmbedderBytes] reads; other embedders do without.
	Spelling layers.Spelling

	vectors vectors                                 // of a pass; nil where nothing is kept
	routed  func(reader Owner, routing moe.Routing) // told how each layer's experts are chosen, unless nil; see [Pass]
}

// prepare sets what the layers read from the store.
func (m Model) prepare(scope *model.Scope) *model.Scope {
	if t := m.Config.matMulDType(); t != 0 {
		scope.Store().SetParam(layers.ParamMatMulDType, t)
	}
	if m.Config.Training.Deterministic {
		scope.Store().SetParam(layers.ParamDeterministic, true)
	}
	return scope
}

// Visible returns what each position of rows, tokens [B, S] int32, may read, nonPad [B, S] bool being false at padding: nonPad
// itself or, under positions.within_documents, [B, S, S] bool, true where the second is no padding and of the first one's
// document. A document begins behind the [SEP] of the one before it, the first with the row.
func (m Model) Visible(tokens, nonPad *Node) *Node {
	if !m.Config.Positions.WithinDocuments || m.Config.Task.Name != "" {
		return nonPad
	}
	g := tokens.Graph()
	ends := ConvertDType(Equal(tokens, Scalar(g, dtypes.Int32, m.SepID)), dtypes.Int32)
	document := Sub(CumSum(ends, -1), ends) // [B, S] ends before each position
	same := Equal(InsertAxes(document, 2), InsertAxes(document, 1))
	return LogicalAnd(same, InsertAxes(nonPad, 1))
}

// MainLayers runs the main model on tokens, [B, S] int32, with padding where nonPad, [B, S] bool, is false: the
// embedding's output, then the states after each layer, [B, S, H] each. The last are what heads read. biasScale is a
// scalar; key drives dropout and is nil when evaluating.
func (m Model) MainLayers(scope *model.Scope, tokens, nonPad, biasScale, key *Node) []*Node {
	return m.encode(scope, OwnerMain, m.mainTables(scope, tokens), tokens, nonPad, biasScale, key)
}

// MainStates returns the last of [Model.MainLayers], [B, S, H].
func (m Model) MainStates(scope *model.Scope, tokens, nonPad, biasScale, key *Node) *Node {
	return last(m.MainLayers(m.prepare(scope), tokens, nonPad, biasScale, key))
}

// PairStates is [Model.MainStates] of rows that hold two texts each: where second, [B, S] bool, is true, the second row of the
// token type table is added in the place of the first, as in BERT. A model whose table has no second row tells the texts
// apart by what stands between them alone.
func (m Model) PairStates(scope *model.Scope, tokens, nonPad, second, biasScale, key *Node) *Node {
	scope = m.prepare(scope)
	t := m.mainTables(scope, tokens)
	if m.Config.Embeddings.TokenTypes > 1 {
		t.tokenType = m.pairTypes(scope, second)
	}
	return last(m.encode(scope, OwnerMain, t, tokens, nonPad, biasScale, key))
}

// GeneratorLayers runs the generator; see [Model.MainLayers].
func (m Model) GeneratorLayers(scope *model.Scope, tokens, nonPad, biasScale, key *Node) []*Node {
	return m.encode(scope, OwnerGenerator, m.generatorTables(scope, tokens), tokens, nonPad, biasScale, key)
}

// GeneratorHead gives the generator's logits, [B, P, V], of its states at the masked positions, [B, P, H].
func (m Model) GeneratorHead(scope *model.Scope, states *Node) *Node {
	tables := m.generatorTables(scope, states)
	return GeneratorLogits(scope.At("generator").At(HeadGenerator), m.Config.Generator, states, tables.output(scope), m.Config.Objective.GeneratorHead)
}

// RTDHead gives one logit a token, [B, S], positive = replaced, of the main model's states, [B, S, H].
func (m Model) RTDHead(scope *model.Scope, states *Node) *Node {
	return RTDLogits(scope.At("main").At(HeadRTD), m.Config.Main, states, m.Config.Objective.RTDHead, m.Config.Objective.RTDZeroInit)
}

// CLMHead gives the main model's corrective logits, [B, X, V], of any of its states, [B, X, H].
func (m Model) CLMHead(scope *model.Scope, states *Node) *Node {
	return CorrectiveLogits(scope.At("main").At(HeadCLM), m.Config.Main, states, m.mainTables(scope, states).output(scope))
}

// LMHead gives the logits, [B, X, V], of a full language modelling head on any of the main model's states, [B, X, H]:
// what models that were trained by masked language modelling have.
func (m Model) LMHead(scope *model.Scope, states *Node) *Node {
	return GeneratorLogits(scope.At("main").At(HeadLM), m.Config.Main, states, m.mainTables(scope, states).output(scope), GeneratorHeadNorm)
}

// Detect scores every token of rows that are corrupted already, [B, S]: the higher, the more likely it was replaced.
// That is the RTD logit. A model that was trained without RTD, known by its variables, is asked through its language
// modelling head instead: −log p of the token that stands there.
func (m Model) Detect(scope *model.Scope, corrupted, biasScale *Node) *Node {
	states := m.MainStates(scope, corrupted, m.nonPad(corrupted), biasScale, nil)
	has := func(head string) bool { return m.hasHead(scope.Store(), head) }
	switch {
	case has(HeadRTD):
		return m.RTDHead(scope, states)
	case has(HeadCLM):
		return NegativeLogLikelihood(m.CLMHead(scope, states), corrupted)
	case has(HeadLM):
		return NegativeLogLikelihood(m.LMHead(scope, states), corrupted)
	}
	exceptions.Panicf("metro: the model has no head that could detect replaced tokens (objective %q)", m.Config.Objective.Name)
	return nil
}
