// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"metrolab/metro/tokens/internal/parts"
)

// added finds added tokens in a text.
type added struct {
	matcher parts.Matcher
	tokens  map[int32]parts.AddedToken
}

// newAdded returns what finds tokens, by how they are written.
func newAdded(tokens map[string]parts.AddedToken) added {
	ids, byID := make(map[string]int32, len(tokens)), make(map[int32]parts.AddedToken, len(tokens))
	for text, a := range tokens {
		ids[text], byID[int32(a.ID)] = int32(a.ID), a
	}
	return added{parts.NewMatcher(ids), byID}
}

// cut calls token for every added token of text, with its bytes, and between for what lies between them.
func (a *added) cut(text string, token func(id int32, i, j int), between func(i, j int)) {
	if len(a.tokens) == 0 {
		between(0, len(text))
		return
	}
	done := 0
	for at := 0; at < len(text); {
		id, start, end := a.matcher.Next(text, at)
		at = end
		if start == end {
			break
		}
		t := a.tokens[id]
		if t.SingleWord && (endsInWord(text[:start]) || beginsInWord(text[end:])) {
			continue
		}
		if t.LStrip {
			start = max(done, len(strings.TrimRightFunc(text[:start], unicode.IsSpace)))
		}
		if t.RStrip {
			end = len(text) - len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
		}
		if start < done {
			start = done
		}
		if done < start {
			between(done, start)
		}
		token(id, start, end)
		done = end
		at = max(at, done)
	}
	if done < len(text) {
		between(done, len(text))
	}
}

func endsInWord(text string) bool {
	r, size := utf8.DecodeLastRuneInString(text)
	return size > 0 && parts.IsWord(r)
}

func beginsInWord(text string) bool {
	r, size := utf8.DecodeRuneInString(text)
	return size > 0 && parts.IsWord(r)
}
