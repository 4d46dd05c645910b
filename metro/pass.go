// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"metrolab/internal/randstream"
	"metrolab/layers"
	"metrolab/layers/moe"
)

// Pass is one forward pass under construction. An [ObjectiveFunc] asks it for parts; each is built at most once, at the
// first request, so an objective costs no more than what it uses.
type Pass struct {
	Model   Model
	Batch   Batch
	Scalars Scalars
	NonPad  *Node // [B, S] bool, true at real tokens

	Loss  *Node  // scalar, Σ weight·loss of Terms; set by [Model.Forward]
	Terms []Term // of the objective

	scope   *model.Scope
	built   map[string]*Node
	layers  []*Node                 // see Layers
	routing map[Owner][]moe.Routing // of each model's experts, a layer of a run through it after the other
}

// Batch is what one forward pass reads, as graph nodes. Ids are int32.
type Batch struct {
	Tokens    *Node       // [B, S] original rows
	Masked    *Node       // [B, S] what the generator reads: [MASK], or what masking.rule says, at the masked positions
	Positions *Node       // [B, P] masked positions, distinct in a row unless masking.with_replacement
	Weights   *Node       // [B, P] 1, or 0 at slots that hold nothing
	Uniforms  *Node       // [B, P] noise of [SampleReplacements]
	Rows      *Node       // [B] noise of [Crop]
	Samples   *Node       // [B, P] what was drawn before; nil but for [SourceStored]
	Key       *Node       // [3]uint64 noise of dropout, see [layers.Dropout]; nil when evaluating
	Micro     *MicroBatch // nil: the batch is all of a step
}

// Scalars are the numbers of a config that enter the graph as inputs, so that configs that differ in nothing else
// share one compiled program (see [Config.GraphKey]).
type Scalars struct {
	GeneratorWeight, RTDWeight, CLMWeight, SCLWeight *Node
	BiasScale                                        *Node            // multiplies the relative position bias
	Temperature                                      *Node            // of the samples
	Options                                          map[string]*Node // by path, those of [Config.InputOptions]
}

// once builds the part of that name at the first call and remembers it.
func (p *Pass) once(name string, build func() *Node) *Node {
	if node, ok := p.built[name]; ok {
		return node
	}
	node := build()
	p.built[name] = node
	return node
}

// Built returns a part if the objective has asked for it, by its method's name ("RTDLogits"), else nil.
func (p *Pass) Built(name string) *Node { return p.built[name] }

// Input returns the value of an option of the class [ClassInput] as a scalar, by its path: "objective.options.gamma". Other
// options are read by [Config.Option], on the host. It panics if there is no such input.
func (p *Pass) Input(path string) *Node {
	node, ok := p.Scalars.Options[path]
	if !ok {
		exceptions.Panicf("metro: %s is no option that enters the graph as an input", path)
	}
	return node
}

// Originals returns the tokens that stood at the masked positions, [B, P] int32.
func (p *Pass) Originals() *Node {
	return p.once("Originals", func() *Node { return p.AtPositions(p.Batch.Tokens) })
}

// AtPositions picks what stands at the masked positions, [B, P] or [B, P, H], of x, [B, S] or [B, S, H]. Its gradient is taken
// as training.deterministic says.
func (p *Pass) AtPositions(x *Node) *Node {
	if b, s := x.Shape().Dim(0), x.Shape().Dim(1); x.Rank() == 2 {
		return Squeeze(p.AtPositions(Reshape(x, b, s, 1)), -1)
	}
	return layers.GatherPositions(p.scope, x, p.Batch.Positions)
}

// GatherPositions picks the states at positions, [B, P] int32, of x, [B, S, H]: [B, P, H]. Within a [Pass], [Pass.AtPositions]
// does so.
func GatherPositions(x, positions *Node) *Node { return layers.GatherPositions(nil, x, positions) }

// GeneratorLogits returns the generator's logits at the masked positions, [B, P, V].
func (p *Pass) GeneratorLogits() *Node {
	return p.once("GeneratorLogits", func() *Node { return p.generatorLogits(p.dropoutKey("generator")) })
}

func (p *Pass) generatorLogits(key *Node) *Node {
	m := p.Model
	if key == nil && p.Batch.Key != nil {
		m.routed = nil // a run that only samples teaches no gate
	}
	states := last(m.GeneratorLayers(p.scope, p.Batch.Masked, p.visible(), p.Scalars.BiasScale, key))
	return m.GeneratorHead(p.scope, p.AtPositions(states))
}

// Samples returns the tokens drawn from the source of replacements at the masked positions, [B, P] int32.
func (p *Pass) Samples() *Node {
	return p.once("Samples", func() *Node {
		c := p.Model.Config.Replacements
		if p.Model.Config.drawnBefore() {
			return p.Batch.Samples
		}
		return p.draw(sources.get(c.Source).Build(p))
	})
}

// draw draws a token from each of logits, [B, P, V].
func (p *Pass) draw(logits *Node) *Node {
	if p.Model.Config.Replacements.DisallowCorrect {
		logits = DisallowCorrect(logits, p.Originals())
	}
	return SampleReplacements(logits, p.Batch.Uniforms, p.Scalars.Temperature)
}

// Draw returns what a trained masked language model draws at the masked positions of batch, [B, P] int32: the generator or, of a
// model whose variables are those of a head of full language modelling, the main model. It reads nothing else.
func (m Model) Draw(scope *model.Scope, batch Batch, s Scalars) *Node {
	p := m.pass(scope, batch, s)
	return p.draw(p.maskedLogits())
}

// MaskedLogits returns what [Model.Draw] draws from, before the temperature, [B, P, V].
func (m Model) MaskedLogits(scope *model.Scope, batch Batch, s Scalars) *Node {
	return m.pass(scope, batch, s).maskedLogits()
}

func (p *Pass) maskedLogits() *Node {
	if p.Model.hasHead(p.scope.Store(), HeadLM) {
		return p.LMLogits(p.AtPositions(p.MaskedStates()))
	}
	return p.SamplingLogits()
}

// Corrupted returns the rows with the samples written in, [B, S] int32: what the main model reads.
func (p *Pass) Corrupted() *Node {
	return p.once("Corrupted", func() *Node {
		corrupt, weights := Corrupt, p.Batch.Weights
		switch c := p.Model.Config.Masking; {
		case c.ElectraCollisions:
			corrupt = CorruptAveraging
		case c.WithReplacement:
			weights = FirstSlots(p.Batch.Positions, weights)
		}
		corrupted, replaced := corrupt(p.Batch.Tokens, p.Batch.Positions, p.Samples(), weights)
		p.built["Replaced"] = replaced
		return corrupted
	})
}

// Replaced returns the labels of RTD, [B, S] bool: true where the corrupted row differs from the original.
func (p *Pass) Replaced() *Node {
	p.Corrupted()
	return p.built["Replaced"]
}

// States returns the main model's states on the corrupted rows, [B, S, H].
func (p *Pass) States() *Node {
	return p.once("States", func() *Node { return last(p.Layers()) })
}

// Layers returns the main model's states on the corrupted rows, [B, S, H]: what its first layer reads, and then after each layer. The
// last are those of [Pass.States].
func (p *Pass) Layers() []*Node {
	if p.layers == nil {
		p.layers = p.Model.MainLayers(p.scope, p.Corrupted(), p.visible(), p.Scalars.BiasScale, p.dropoutKey(""))
	}
	return p.layers
}

// MaskedStates returns the main model's states on the masked rows, [B, S, H]: what plain masked language modelling reads.
func (p *Pass) MaskedStates() *Node {
	return p.once("MaskedStates", func() *Node { return p.Encode(p.Batch.Masked, p.visible(), "masked") })
}

// visible is what each position of the batch may read; see [Model.Visible]. A sample may be a [SEP], so that it follows from the
// original rows.
func (p *Pass) visible() *Node {
	return p.once("visible", func() *Node { return p.Model.Visible(p.Batch.Tokens, p.NonPad) })
}

// Encode runs the main model on any rows, tokens [B, S] int32 and nonPad [B, S] bool: [B, S, H]. Passes with different
// names draw dropout masks of their own.
func (p *Pass) Encode(tokens, nonPad *Node, name string) *Node {
	return last(p.Model.MainLayers(p.scope, tokens, nonPad, p.Scalars.BiasScale, p.dropoutKey(name)))
}

// dropoutKey is the key of a run through one of the encoders, named for what it reads: two of them never drop the same, though
// they may be one encoder (sharing=all, or two views of a text).
func (p *Pass) dropoutKey(name string) *Node {
	key := p.Batch.Key
	if key == nil || name == "" {
		return key
	}
	a, b := randstream.Key(0, "pass/"+name)
	return BitwiseXor(key, Const(key.Graph(), []uint64{a, b, 0}))
}

// RTDLogits returns one logit a token, [B, S], positive = replaced.
func (p *Pass) RTDLogits() *Node {
	return p.once("RTDLogits", func() *Node { return p.Model.RTDHead(p.scope, p.States()) })
}

// CLMLogits returns the main model's corrective logits at the masked positions, [B, P, V].
func (p *Pass) CLMLogits() *Node {
	return p.once("CLMLogits", func() *Node {
		return p.Model.CLMHead(p.scope, p.AtPositions(p.States()))
	})
}

// LMLogits returns the logits of a full language modelling head (see [GeneratorLogits]) on states of the main model,
// [B, X, H]: [B, X, V].
func (p *Pass) LMLogits(states *Node) *Node {
	return p.Model.LMHead(p.scope, states)
}

// GeneratorTerms is the loss of a generator that learns beside the main model, and nothing if none does.
func (p *Pass) GeneratorTerms() []Term {
	if !p.trainsGenerator() {
		return nil
	}
	loss := p.Mean(NegativeLogLikelihood(p.GeneratorLogits(), p.Originals()), p.Batch.Weights)
	return []Term{{"generator", loss, p.Scalars.GeneratorWeight}}
}

// slotsInUse is [B, P] bool.
func (p *Pass) slotsInUse() *Node { return GreaterThan(p.Batch.Weights, ZerosLike(p.Batch.Weights)) }

// Forward builds what the config's objective trains on batch.
func (m Model) Forward(scope *model.Scope, batch Batch, s Scalars) *Pass {
	p := m.pass(scope, batch, s)
	p.Model.routed = func(reader Owner, routing moe.Routing) {
		if reader == OwnerMain || !m.Config.frozenGenerator() {
			p.routing[reader] = append(p.routing[reader], routing)
		}
	}
	p.Terms = objectives.get(m.Config.Objective.Name).Build(p)
	if len(p.Terms) == 0 {
		exceptions.Panicf("metro: objective %q has no terms", m.Config.Objective.Name)
	}
	p.Model.routed = nil // what a metric runs once more is not trained
	p.Terms = append(p.Terms, p.expertsTerms()...)
	for i := len(p.Terms) - 1; i >= 0; i-- {
		term := p.Terms[i].Loss
		if w := p.Terms[i].Weight; w != nil {
			term = Mul(w, term)
		}
		if p.Loss == nil {
			p.Loss = term
		} else {
			p.Loss = Add(term, p.Loss)
		}
	}
	return p
}

// pass is a pass of which nothing is built.
func (m Model) pass(scope *model.Scope, batch Batch, s Scalars) *Pass {
	m.vectors = vectors{}
	return &Pass{
		Model: m, Batch: batch, Scalars: s, NonPad: m.nonPad(batch.Tokens),
		scope: m.prepare(scope), built: map[string]*Node{}, routing: map[Owner][]moe.Routing{},
	}
}

func (m Model) nonPad(tokens *Node) *Node {
	return NotEqual(tokens, Scalar(tokens.Graph(), dtypes.Int32, m.PadID))
}

func last(layers []*Node) *Node { return layers[len(layers)-1] }
