// SPDX-License-Identifier: Apache-2.0

package compress

import (
	"cmp"
	"fmt"
	"slices"

	"metrolab/internal/usererr"
	"metrolab/layers"
	"metrolab/metro"
	"metrolab/metro/weights"
)

// pruned is a source of the weights of fewer experts.
type pruned struct {
	weights.Source // of all of them
	model          metro.Model
	kept           [][]int                 // by layer, in their old order
	shrunk         map[string]metro.Weight // those of whole that experts share, by tensor
	list           []weights.Tensor
}

// Prune returns the weights of src with the keep most chosen experts of each layer of the main model, by loads (see [outputs.Loads]; of equal
// ones the first), and which these are, counted from 0. Tokens that chose another go to the next best that is left. Fewer experts
// than a token chooses, more than there are, and a model without are the user's error. Closing the result closes src.
func Prune(src weights.Source, keep int, loads [][]float32) (weights.Source, [][]int, error) {
	m := src.Model()
	f, ok := m.Config.Experts(metro.OwnerMain)
	switch {
	case !ok:
		return nil, nil, usererr.New("%s has no experts: main.feed_forward is %s", src, cmp.Or(m.Config.Main.FeedForward, metro.FeedForwardDense))
	case m.Config.Sharing == metro.SharingAll:
		return nil, nil, usererr.New("%s has sharing=all: the generator goes to the same experts, and nothing is known of its choices", src)
	case keep < f.Router.Choices || keep >= f.Router.Experts:
		return nil, nil, usererr.New("of %d experts, of which a token chooses %d, %d to %d can be kept, not %d", f.Router.Experts, f.Router.Choices, f.Router.Choices, f.Router.Experts-1, keep)
	case len(loads) != m.Config.Main.Layers:
		return nil, nil, fmt.Errorf("prune %s: loads of %d layers, the model has %d", src, len(loads), m.Config.Main.Layers)
	}
	p := &pruned{Source: src, model: m, shrunk: map[string]metro.Weight{}}
	if err := p.model.Config.Set(fmt.Sprint("main.feed_forward_options.experts=", keep)); err != nil {
		return nil, nil, err
	}
	for _, load := range loads {
		order := make([]int, len(load))
		for e := range order {
			order[e] = e
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(load[b], load[a]) })
		p.kept = append(p.kept, slices.Sorted(slices.Values(order[:keep])))
	}
	for _, w := range metro.Describe(m.Config, m.Vocab) {
		if _, ofExpert := m.Config.ExpertsOf(w); w.ByMain && (ofExpert || w.Role == layers.RoleGate) {
			p.shrunk[w.Tensor()] = w
		}
	}
	for _, t := range src.Tensors() {
		if w, ok := p.shrunk[t.Name]; ok {
			t.Shape = slices.Clone(t.Shape)
			t.Shape[expertAxis(w)] = keep
		}
		p.list = append(p.list, t)
	}
	return p, p.kept, nil
}

// expertAxis is the axis of w that counts experts: the last of a gate, else the first.
func expertAxis(w metro.Weight) int {
	if w.Role == layers.RoleGate {
		return len(w.Shape) - 1
	}
	return 0
}

// Model implements [weights.Source].
func (p *pruned) Model() metro.Model { return p.model }

// Tensors implements [weights.Source].
func (p *pruned) Tensors() []weights.Tensor { return p.list }

// Read implements [weights.Source].
func (p *pruned) Read(name string, dst []float32) error {
	w, ok := p.shrunk[name]
	if !ok {
		return p.Source.Read(name, dst)
	}
	all := make([]float32, w.Size())
	if err := p.Source.Read(name, all); err != nil {
		return err
	}
	axis, kept := expertAxis(w), p.kept[w.Layer]
	each := 1 // numbers of one expert beside each other
	for _, n := range w.Shape[axis+1:] {
		each *= n
	}
	var left []float32
	for block := range slices.Chunk(all, w.Shape[axis]*each) {
		for _, e := range kept {
			left = append(left, block[e*each:(e+1)*each]...)
		}
	}
	if len(left) != len(dst) {
		return fmt.Errorf("%s: tensor %s has %d elements, the buffer %d", p, name, len(left), len(dst))
	}
	copy(dst, left)
	return nil
}
