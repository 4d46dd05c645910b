// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"unicode"

	"metrolab/metro/tokens/internal/parts"
)

// splitter cuts text into normalized words: at white space, which is dropped, and around every punctuation character,
// which is a word of its own. It owns buffers: one goroutine at a time.
type splitter struct {
	normalizer
}

// split calls word for every word of text in order; its argument is valid during the call. base is added to offsets.
//
// The text is normalized piece by piece between ASCII white space, which no rule of normalization reaches across, so
// that buffers stay as small as the longest run without a space.
func (s *splitter) split(text string, base int, word func([]char)) {
	for i := 0; i < len(text); {
		if isASCIISpace(text[i]) {
			i++
			continue
		}
		first := i
		for i < len(text) && !isASCIISpace(text[i]) {
			i++
		}
		eachWord(s.normalize(text[first:i], base+first), word)
	}
}

func isASCIISpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\t' || c == '\r'
}

func eachWord(chars []char, word func([]char)) {
	for len(chars) > 0 {
		end := 1
		switch r := chars[0].r; {
		case unicode.IsSpace(r):
		case parts.IsPunctuation(r):
			word(chars[:1])
		default:
			for end < len(chars) && !unicode.IsSpace(chars[end].r) && !parts.IsPunctuation(chars[end].r) {
				end++
			}
			word(chars[:end])
		}
		chars = chars[end:]
	}
}
