// SPDX-License-Identifier: Apache-2.0

package metro

import "metrolab/metro/masking"

// PatternFunc makes the way in which the masked positions of a row are drawn; option gives the values of its options.
type PatternFunc func(option func(name string) any) masking.Func

// PatternEntry is a registered masking pattern: what config field masking.pattern can name.
type PatternEntry struct {
	Part
	Draw PatternFunc

	// Again is the same with replacement (masking.with_replacement); nil where the pattern has no such form.
	Again PatternFunc
}

func always(f masking.Func) PatternFunc { return func(func(string) any) masking.Func { return f } }

var patterns = newRegistry("pattern",
	PatternEntry{Part{Name: MaskIndependent, Version: 1}, always(masking.Independent), always(masking.WithReplacement)},
	PatternEntry{Part{Name: MaskWholeWord, Version: 1}, always(masking.WholeWord), nil},
	PatternEntry{Part{Name: MaskSpan, Version: 1}, always(masking.Span), nil},
)

// RegisterPattern makes a masking pattern of one's own available as masking.pattern, with its options as
// masking.options.NAME. See [RegisterObjective] for name and version.
func RegisterPattern(name string, version int, draw PatternFunc, options ...Option) {
	patterns.add(PatternEntry{Part: Part{Name: name, Version: version, Options: options}, Draw: draw})
}

// MaskPattern is the way in which c draws the masked positions of a row.
func (c Config) MaskPattern() masking.Func {
	entry := patterns.get(c.Masking.Pattern)
	draw := entry.Draw
	if c.Masking.WithReplacement && entry.Again != nil {
		draw = entry.Again
	}
	return draw(c.optionsAt("masking.options"))
}
