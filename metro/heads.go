// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"slices"
	"strings"

	"github.com/gomlx/gomlx/ml/model"

	"metrolab/layers"
)

// head is what reads the states of one of the models, with weights of its own in a scope of its name.
type head struct {
	owner   Owner
	name    string
	weights func(c Config, vocab int) []layers.Weight
}

// heads are those of this package that every config has; see [Config.heads].
var heads = []head{
	{OwnerMain, HeadCLM, func(c Config, vocab int) []layers.Weight {
		return correctiveWeights(c.Main, c.EmbeddingWidth(), vocab)
	}},
	{OwnerMain, HeadLM, func(c Config, vocab int) []layers.Weight {
		return generatorHeadWeights(c.Main, c.EmbeddingWidth(), vocab, GeneratorHeadNorm)
	}},
	{OwnerMain, HeadRTD, func(c Config, _ int) []layers.Weight {
		return rtdHeadWeights(c.Main, c.Objective.RTDHead, c.Objective.RTDZeroInit)
	}},
	{OwnerMain, HeadSCL, func(c Config, _ int) []layers.Weight {
		return sequenceWeights(c.Main)
	}},
	{OwnerGenerator, HeadGenerator, func(c Config, vocab int) []layers.Weight {
		return generatorHeadWeights(c.Generator, c.EmbeddingWidth(), vocab, c.Objective.GeneratorHead)
	}},
}

// heads are those of this package, with those that c puts below the last layer.
func (c Config) heads() []head { return append(slices.Clip(heads), c.exitHeads()...) }

func (h head) inventory(c Config, vocab int) (inv Inventory) {
	for _, w := range h.weights(c, vocab) {
		inv = append(inv, placed(w, h.owner, Place{Head: h.name, Layer: -1}, c.encoderOf(h.owner).Layers+1))
	}
	return inv
}

// hasHead reports whether store has weights of a head of the main model.
func (m Model) hasHead(store *model.Store, name string) bool {
	for _, h := range m.Config.heads() {
		if h.owner != OwnerMain || h.name != name {
			continue
		}
		for _, w := range h.inventory(m.Config, m.Vocab) {
			if store.GetVariable(w.Path()) != nil {
				return true
			}
		}
	}
	return false
}

// paramHead is the store parameter of the scope of a [Pass.Head]: its name.
const paramHead = "head"

// Head returns the scope /main/name, for the weights of an objective's own head on the main model. They are trained like
// those of any head: at the full learning rate whatever the layer decay, in the [Group]s of the main model and of main/name,
// with a weight decay that spares what [layers.Role.Decays] says.
func (p *Pass) Head(name string) *model.Scope {
	scope := p.scope.At("main").At("%s", name)
	scope.SetParam(paramHead, name)
	return scope
}

// headWeight describes a variable that no config does.
func (m Model) headWeight(store *model.Store, v *model.Variable) Weight {
	scope := store.Scope(v.Scope())
	w := Weight{
		Place: Place{Layer: -1, Kind: v.Name()}, Shape: v.Shape().Dimensions, Role: layers.RoleOf(store, v),
		Depth: m.Config.Main.Layers + 1, ByMain: true,
	}
	if name := model.GetParamOr(scope, paramHead, ""); name != "" {
		w.Owner, w.Head = OwnerMain, name
	} else {
		w.Head = strings.Trim(v.Scope(), "/")
	}
	w.Part = strings.Trim(strings.TrimPrefix(v.Scope(), w.scope()), "/")
	return w
}
