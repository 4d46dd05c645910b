// SPDX-License-Identifier: Apache-2.0

package parts

import "slices"

// Matcher finds added tokens in text: the leftmost, and of those that begin there the longest.
type Matcher struct {
	ids     map[string]int32
	first   [256]bool // bytes that a token begins with
	lengths []int     // the lengths of tokens, descending
}

// NewMatcher returns a matcher of the tokens of ids, none of which may be empty.
func NewMatcher(ids map[string]int32) Matcher {
	m := Matcher{ids: ids}
	for token := range ids {
		m.first[token[0]] = true
		m.lengths = append(m.lengths, len(token))
	}
	slices.Sort(m.lengths)
	slices.Reverse(m.lengths)
	m.lengths = slices.Compact(m.lengths)
	return m
}

// Next returns the id and the byte range of the first added token of text at or after from; start is len(text) where
// there is none.
func (m *Matcher) Next(text string, from int) (id int32, start, end int) {
	for start = from; start < len(text); start++ {
		if !m.first[text[start]] {
			continue
		}
		for _, n := range m.lengths {
			if n > len(text)-start {
				continue
			}
			if id, ok := m.ids[text[start:start+n]]; ok {
				return id, start, start + n
			}
		}
	}
	return 0, start, start
}
