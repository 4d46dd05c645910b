// SPDX-License-Identifier: Apache-2.0

package metro

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// SourceFunc builds the logits, [B, P, V], that replacements are drawn from. No gradient flows back from the draws.
type SourceFunc func(p *Pass) *Node

var sources = registry[SourceFunc]{kind: "source", entries: map[string]registered[SourceFunc]{
	SourceJoint:   {1, (*Pass).samplingLogits},
	SourceFrozen:  {1, (*Pass).samplingLogits},
	SourceUnigram: {1, func(p *Pass) *Node { return p.everywhere("LogUnigram", p.Model.LogUnigram) }},
	SourceUniform: {1, func(p *Pass) *Node { return p.everywhere("LogUniform", p.Model.LogUniform) }},
}}

// RegisterSource makes a source of replacements of one's own available as replacements.source. A source that asks the pass
// for [Pass.GeneratorLogits], to sharpen them, say, trains the generator beside the main model; others do without one. See
// [RegisterObjective] for name and version.
func RegisterSource(name string, version int, build SourceFunc) { sources.add(name, version, build) }

// trainsGenerator reports whether a generator learns beside the main model.
func (p *Pass) trainsGenerator() bool {
	switch p.Model.Config.Replacements.Source {
	case SourceJoint:
		return true
	case SourceFrozen, SourceUnigram, SourceUniform:
		return false
	}
	p.Samples() // which asks a source of the user's own
	return p.Built("GeneratorLogits") != nil
}

// samplingLogits is the generator's, from the pass that replacements.dropout asks for.
func (p *Pass) samplingLogits() *Node {
	if p.Model.Config.Replacements.Dropout == SampleEval && p.Batch.Key != nil {
		return p.generatorLogits(nil)
	}
	return p.GeneratorLogits()
}

// everywhere spreads logits, one a token, over all masked positions.
func (p *Pass) everywhere(name string, logits []float32) *Node {
	if len(logits) != p.Model.Vocab {
		exceptions.Panicf("metro: source %q wants Model.%s of %d values, it has %d", p.Model.Config.Replacements.Source, name, p.Model.Vocab, len(logits))
	}
	slots := p.Batch.Positions.Shape()
	return BroadcastPrefix(Const(p.Batch.Positions.Graph(), logits), slots.Dim(0), slots.Dim(1))
}
