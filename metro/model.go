// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Model is a generator and a main model over one vocabulary.
type Model struct {
	Config Config
	Vocab  int   // V of the tokenizer in use; every id is below it
	PadID  int32 // the id that fills rows up
}

// Batch is what one forward pass reads, as graph nodes. Ids are int32.
type Batch struct {
	Tokens    *Node // [B, S] original rows
	Masked    *Node // [B, S] the same with [MASK] at the masked positions
	Positions *Node // [B, P] masked positions, distinct in a row
	Weights   *Node // [B, P] 1, or 0 at slots that hold nothing
	Uniforms  *Node // [B, P] noise of [SampleReplacements]
	Key       *Node // [3]uint64 noise of dropout; nil when evaluating
}

// Scalars are the numbers of a config that enter the graph as inputs, so that configs that differ in nothing else
// share one compiled program (see [Config.GraphKey]).
type Scalars struct {
	RTDWeight, CLMWeight, BiasScale *Node
}

// Output is what one forward pass gives.
type Output struct {
	Loss          *Node // generator + RTDWeight·RTD + CLMWeight·CLM
	GeneratorLoss *Node
	RTDLoss       *Node
	CLMLoss       *Node

	GeneratorLogits *Node // [B, P, V]
	Samples         *Node // [B, P] int32
	Corrupted       *Node // [B, S] int32, the main model's input
	Replaced        *Node // [B, S] bool, the RTD labels: true where corrupted differs from the original
	NonPad          *Node // [B, S] bool
	RTDLogits       *Node // [B, S], positive = replaced
	CLMLogits       *Node // [B, P, V]
}

// Forward builds one pass: generator logits at the masked positions → samples → corrupted rows → main model states →
// RTD and CLM logits → losses. The samples carry no gradient: what RTD and CLM learn reaches the generator through
// shared tables alone.
func (m Model) Forward(scope *model.Scope, batch Batch, s Scalars) Output {
	nonPad := NotEqual(batch.Tokens, Scalar(batch.Tokens.Graph(), dtypes.Int32, m.PadID))
	shared := m.mainTables(scope, batch.Tokens)
	generatorTables := shared
	generator := scope.At("generator")
	if m.Config.Sharing == SharingNone {
		generatorTables = newTables(generator, batch.Tokens, m.Vocab, m.Config.Data.SeqLen, m.Config.Main.Width)
	}

	h := states(generator, m.Config.Generator, m.Config.Positions, generatorTables, batch.Masked, nonPad, s.BiasScale, batch.Key)
	out := Output{NonPad: nonPad}
	out.GeneratorLogits = GeneratorLogits(generator.At("head"), m.Config.Generator, GatherPositions(h, batch.Positions), generatorTables.token, m.Config.Objective.GeneratorHead)
	originals := gatherTokens(batch.Tokens, batch.Positions)
	out.GeneratorLoss = CrossEntropy(out.GeneratorLogits, originals, batch.Weights)

	out.Samples = SampleReplacements(out.GeneratorLogits, batch.Uniforms)
	out.Corrupted, out.Replaced = Corrupt(batch.Tokens, batch.Positions, out.Samples, batch.Weights)

	h = m.MainStates(scope, out.Corrupted, nonPad, s.BiasScale, batch.Key)
	out.RTDLogits = RTDLogits(scope.At("main").At("rtd"), m.Config.Main, h, m.Config.Objective.RTDHead)
	out.RTDLoss = RTDLoss(out.RTDLogits, out.Replaced, nonPad)
	out.CLMLogits = CorrectiveLogits(scope.At("main").At("clm"), GatherPositions(h, batch.Positions), shared.token)
	out.CLMLoss = CrossEntropy(out.CLMLogits, originals, batch.Weights)

	out.Loss = Add(out.GeneratorLoss, Add(Mul(s.RTDWeight, out.RTDLoss), Mul(s.CLMWeight, out.CLMLoss)))
	return out
}

// MainStates runs the main model on tokens, [B, S] int32, with padding where nonPad, [B, S], is false: [B, S, H].
func (m Model) MainStates(scope *model.Scope, tokens, nonPad, biasScale, key *Node) *Node {
	return states(scope.At("main"), m.Config.Main, m.Config.Positions, m.mainTables(scope, tokens), tokens, nonPad, biasScale, key)
}

// Detect builds the RTD logits, [B, S], of rows that are corrupted already.
func (m Model) Detect(scope *model.Scope, corrupted, biasScale *Node) *Node {
	nonPad := NotEqual(corrupted, Scalar(corrupted.Graph(), dtypes.Int32, m.PadID))
	h := m.MainStates(scope, corrupted, nonPad, biasScale, nil)
	return RTDLogits(scope.At("main").At("rtd"), m.Config.Main, h, m.Config.Objective.RTDHead)
}

func (m Model) mainTables(scope *model.Scope, g GraphProvider) tables {
	return newTables(scope.At("shared"), g, m.Vocab, m.Config.Data.SeqLen, m.Config.Main.Width)
}

// gatherTokens picks the ids at positions, [B, P], of tokens, [B, S].
func gatherTokens(tokens, positions *Node) *Node {
	b, s := tokens.Shape().Dim(0), tokens.Shape().Dim(1)
	return Squeeze(GatherPositions(Reshape(tokens, b, s, 1), positions), -1)
}
