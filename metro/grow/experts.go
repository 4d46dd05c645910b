// SPDX-License-Identifier: Apache-2.0

package grow

import (
	"fmt"
	"slices"

	"metrolab/layers"
	"metrolab/layers/moe"
	"metrolab/metro"
)

// upcycles returns the experts that the dense feed-forward maps of one of the models become; false if it has none, or had them before.
func upcycles(from, to metro.Config, reader metro.Owner) (moe.FeedForward, bool) {
	if _, had := from.Experts(reader); had {
		return moe.FeedForward{}, false
	}
	return to.Experts(reader)
}

// expertsNotes says why a mixture of copies of a map does not answer as that map does, a sentence each.
//
// The weights of two choices add up to 1, and so do those of whole ones, so that copies answer as one does. That of a single choice is
// its probability.
func expertsNotes(from, to metro.Config, reader metro.Owner) (notes []string) {
	f, ok := upcycles(from, to, reader)
	if !ok {
		return nil
	}
	path := string(reader) + ".feed_forward_options."
	if r := f.Router; r.Choices == 1 && r.Experts > 1 && !r.Whole {
		notes = append(notes, fmt.Sprintf("%stop_k=1: an answer counts by the probability of its expert, about 1/%d at first; %swhole=true lets it count whole", path, r.Experts, path))
	}
	tokens := to.Data.SeqLen * max(1, f.Router.EvaluationRows)
	if slots := f.Router.Capacity(tokens, false); slots < tokens {
		notes = append(notes, fmt.Sprintf("%sevaluation_capacity=%g: an expert has %d slots for the %d tokens of a row, and those that find none are not computed; 0 has slots for all",
			path, f.Router.EvaluationCapacity, slots, tokens))
	}
	return notes
}

// isGate reports whether w chooses among the experts that dense maps become.
func (g *grown) isGate(w metro.Weight) bool {
	_, ok := upcycles(g.Source.Model().Config, g.model.Config, readerOf(w))
	return ok && w.Role == layers.RoleGate
}

// one is w as each of times experts has it, or w itself, which belongs to no expert.
func (g *grown) one(w metro.Weight) (one metro.Weight, times int) {
	if f, ok := g.model.Config.ExpertsOf(w); ok {
		w.Shape = slices.Clone(w.Shape[1:])
		return w, f.Router.Experts
	}
	return w, 1
}
