// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"maps"
	"math"
	"slices"

	"metrolab/internal/usererr"
)

// sizingRules make a generator's shape from the main model's: its width as a part of the main model's, and its depth as
// another.
var sizingRules = map[string]struct{ width, depth float64 }{
	"same":            {1, 1},      // ELECTRA's released small checkpoint
	"narrow_third":    {1. / 3, 1}, // ELECTRA base
	"narrow_quarter":  {1. / 4, 1}, // ELECTRA small and large
	"shallow_third":   {1, 1. / 3}, // COCO-LM and METRO-T0 base: 4 of 12 layers
	"shallow_quarter": {1, 1. / 4}, // COCO-LM and METRO-T0 large: 6 of 24 layers
}

// SizingRules lists the rules of [SizeGenerator].
func SizingRules() []string { return slices.Sorted(maps.Keys(sizingRules)) }

// SizeGenerator returns the shape of a generator for main by a rule's name: "narrow_third" and "narrow_quarter" keep
// the depth and cut the width (ELECTRA), "shallow_third" and "shallow_quarter" keep the width and cut the depth
// (COCO-LM, METRO-T0), "same" cuts neither. Heads and feed-forward width follow as [Narrow] says. What is not shape stays
// main's. An unknown rule is the user's error.
func SizeGenerator(main Encoder, rule string) (Encoder, error) {
	r, ok := sizingRules[rule]
	if !ok {
		return Encoder{}, usererr.New("there is no sizing rule %q; there are %q", rule, SizingRules())
	}
	generator := Narrow(main, r.width)
	generator.Layers = max(1, int(math.Round(float64(main.Layers)*r.depth)))
	return generator, nil
}

// Narrow returns e at ratio of its width, with heads of the same size (at least one) and a feed-forward width of the
// same proportion, as ELECTRA's code sizes its generators. A width that its heads do not divide is rounded to the next
// multiple.
func Narrow(e Encoder, ratio float64) Encoder {
	headSize := max(1, e.Width/max(1, e.Heads))
	width := math.Round(float64(e.Width) * ratio)
	heads := max(1, int(math.Round(width/float64(headSize))))
	if ratio == 1 {
		heads = e.Heads
	}
	proportion := float64(e.FFN) / float64(max(1, e.Width))
	e.Heads = heads
	e.Width = max(heads, int(math.Round(width/float64(heads)))*heads)
	e.FFN = max(1, int(math.Round(float64(e.Width)*proportion)))
	return e
}
