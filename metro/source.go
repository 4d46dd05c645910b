// SPDX-License-Identifier: Apache-2.0

package metro

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// SourceFunc builds the logits, [B, P, V], that replacements are drawn from. No gradient flows back from the draws.
type SourceFunc func(p *Pass) *Node

// SourceEntry is a registered source of replacements: what config field replacements.source can name.
type SourceEntry struct {
	Part
	Build SourceFunc

	// Generator says what it has to do with the generator.
	Generator GeneratorUse
}

// GeneratorUse says what a source of replacements has to do with the generator.
type GeneratorUse int

// The uses of a generator.
const (
	GeneratorUnknown GeneratorUse = iota // whether the graph asks for it is found out when it is built
	GeneratorUnused
	GeneratorFrozen  // it samples and does not learn
	GeneratorTrained // it samples and learns beside the main model
)

var sources = newRegistry("source",
	SourceEntry{Part{Name: SourceJoint, Version: 1}, (*Pass).SamplingLogits, GeneratorTrained},
	SourceEntry{Part{Name: SourceFrozen, Version: 1}, (*Pass).SamplingLogits, GeneratorFrozen},
	SourceEntry{Part{Name: SourceStored, Version: 1}, nil, GeneratorUnused}, // its samples come with the batch
	SourceEntry{Part{Name: SourceUnigram, Version: 1}, func(p *Pass) *Node { return p.everywhere("LogUnigram", p.Model.LogUnigram) }, GeneratorUnused},
	SourceEntry{Part{Name: SourceUniform, Version: 1}, func(p *Pass) *Node { return p.everywhere("LogUniform", p.Model.LogUniform) }, GeneratorUnused},
)

// RegisterSource makes a source of replacements of one's own available as replacements.source, with its options as
// replacements.options.NAME. A source that asks the pass for [Pass.SamplingLogits], to sharpen them, say, or for
// [Pass.GeneratorLogits], trains the generator beside the main model; others do without one. See [RegisterObjective] for name
// and version.
func RegisterSource(name string, version int, build SourceFunc, options ...Option) {
	AddSource(SourceEntry{Part: Part{Name: name, Version: version, Options: options}, Build: build})
}

// AddSource registers a source of replacements with what it does to the generator; see [RegisterSource].
func AddSource(s SourceEntry) { sources.add(s) }

// source is the entry of the config's source, the zero entry if there is none.
func (c *Config) source() SourceEntry {
	entry, _ := sources.find(c.Replacements.Source)
	return entry
}

// drawnBefore reports whether the samples come with the batch.
func (c *Config) drawnBefore() bool { return c.Replacements.Source == SourceStored }

// trainsGenerator reports whether a generator learns beside the main model.
func (p *Pass) trainsGenerator() bool {
	switch p.Model.Config.source().Generator {
	case GeneratorTrained:
		return true
	case GeneratorFrozen, GeneratorUnused:
		return false
	}
	p.Samples() // which asks a source of the user's own
	return p.Built("GeneratorLogits") != nil || p.Built("SamplingLogits") != nil
}

// SamplingLogits returns the generator's logits at the masked positions, [B, P, V], from the run through it that
// replacements.dropout asks for: what a source draws from that draws from the generator.
func (p *Pass) SamplingLogits() *Node {
	return p.once("SamplingLogits", func() *Node {
		if p.Model.Config.Replacements.Dropout == SampleEval && p.Batch.Key != nil {
			return p.generatorLogits(nil)
		}
		return p.GeneratorLogits()
	})
}

// everywhere spreads logits, one a token, over all masked positions.
func (p *Pass) everywhere(name string, logits []float32) *Node {
	if len(logits) != p.Model.Vocab {
		exceptions.Panicf("metro: source %q wants Model.%s of %d values, it has %d", p.Model.Config.Replacements.Source, name, p.Model.Vocab, len(logits))
	}
	slots := p.Batch.Positions.Shape()
	return BroadcastPrefix(Const(p.Batch.Positions.Graph(), logits), slots.Dim(0), slots.Dim(1))
}
