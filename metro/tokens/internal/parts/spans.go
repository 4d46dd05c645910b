// SPDX-License-Identifier: Apache-2.0

package parts

import (
	"unicode/utf8"

	"metrolab/metro/tokens"
)

// CharSpans turns byte spans of text into code-point spans. Starts hardly ever decrease and neither do ends, so one walk
// over the text does for each; empty spans at 0 stay.
func CharSpans(text string, bytes []tokens.Span) []tokens.Span {
	out := make([]tokens.Span, len(bytes))
	starts, ends := runeCounter{text: text}, runeCounter{text: text}
	for i, s := range bytes {
		if s.End > 0 {
			out[i] = tokens.Span{Start: starts.at(s.Start), End: ends.at(s.End)}
		}
	}
	return out
}

// runeCounter counts the code points before growing byte positions.
type runeCounter struct {
	text       string
	pos, runes int
}

func (c *runeCounter) at(pos int) int {
	if pos < c.pos {
		c.pos, c.runes = 0, 0
	}
	c.runes += utf8.RuneCountInString(c.text[c.pos:pos])
	c.pos = pos
	return c.runes
}
