// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"metrolab/metro/tokens/internal/parts"
)

// rules are the fields of Hugging Face's BertNormalizer, strip_accents: null being resolved to its meaning (as lowercase).
type rules struct {
	cleanText, spaceIdeographs, stripAccents, lowercase bool
}

// char is a normalized character and the bytes of the original text that it stands for.
type char struct {
	r          rune
	start, end int
}

// normalizer turns text into normalized characters. It owns buffers: one goroutine at a time.
type normalizer struct {
	rules
	chars, source []char
	marks         []mark
}

// normalize returns the normalized characters of text, valid until the next call; base is added to every offset.
// A byte that is not UTF-8 counts as one U+FFFD.
func (n *normalizer) normalize(text string, base int) []char {
	n.chars = n.chars[:0]
	plain := true
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if r := n.ascii(c); r >= 0 {
				n.chars = append(n.chars, char{r, base + i, base + i + 1})
			}
			i++
			continue
		}
		plain = false
		r, size := utf8.DecodeRuneInString(text[i:])
		n.clean(char{r, base + i, base + i + size})
		i += size
	}
	if plain || !n.stripAccents && !n.lowercase {
		return n.chars
	}
	n.source, n.chars = n.chars, n.source[:0]
	if n.stripAccents {
		n.strip()
	} else {
		for _, c := range n.source {
			n.lower(c)
		}
	}
	return n.chars
}

// ascii is the whole of normalization for one ASCII byte; -1 deletes it. It may be applied before a decomposition of
// its neighbors, since ASCII neither decomposes nor moves.
func (n *normalizer) ascii(c byte) rune {
	switch {
	case n.lowercase && 'A' <= c && c <= 'Z':
		return rune(c | 0x20)
	case n.cleanText && (c < ' ' || c == 0x7F):
		if c == '\t' || c == '\n' || c == '\r' {
			return ' '
		}
		return -1
	}
	return rune(c)
}

// clean appends c after text cleaning and the spacing of ideographs.
func (n *normalizer) clean(c char) {
	if n.cleanText {
		if parts.IsDropped(c.r) {
			return
		}
		if unicode.IsSpace(c.r) {
			c.r = ' '
		}
	}
	if n.spaceIdeographs && parts.IsIdeograph(c.r) {
		space := char{' ', c.start, c.end}
		n.chars = append(n.chars, space, c, space)
		return
	}
	n.chars = append(n.chars, c)
}

// lower appends c in lower case where that is wanted. Only U+0130 becomes two characters: i and a combining dot.
func (n *normalizer) lower(c char) {
	const dottedI, combiningDot = 0x130, 0x307
	switch {
	case !n.lowercase:
	case c.r == dottedI:
		c.r = 'i'
		n.chars = append(n.chars, c)
		c.r = combiningDot
	default:
		c.r = parts.ToLower(c.r)
	}
	n.chars = append(n.chars, c)
}

// mark is one character of a decomposition. A head is the first character of what one source character decomposed to.
type mark struct {
	r     rune
	class uint8
	head  bool
}

// strip decomposes the source characters canonically (NFD), deletes nonspacing marks and lowers the rest. Offsets follow
// the count of heads passed, as Hugging Face's alignments do, so the sorting of marks never makes offsets cross.
func (n *normalizer) strip() {
	n.marks = decompose(n.marks[:0], n.source)
	sortMarks(n.marks)
	at := -1
	for _, m := range n.marks {
		if m.head {
			at++
		}
		if !parts.IsMark(m.r) {
			n.lower(char{m.r, n.source[at].start, n.source[at].end})
		}
	}
}

func decompose(dst []mark, chars []char) []mark {
	var in [utf8.UTFMax]byte
	var buf [64]byte
	for _, c := range chars {
		if c.r < 0xC0 || !unicode.Is(parts.Decomposed, c.r) {
			dst = append(dst, mark{c.r, 0, true})
			continue
		}
		out := norm.NFD.Append(buf[:0], in[:utf8.EncodeRune(in[:], c.r)]...)
		for i := 0; i < len(out); {
			r, size := utf8.DecodeRune(out[i:])
			dst = append(dst, mark{r, norm.NFD.Properties(out[i:]).CCC(), i == 0})
			i += size
		}
	}
	return dst
}

// sortMarks puts every run of non-starters into canonical order.
func sortMarks(marks []mark) {
	for i := 0; i < len(marks); i++ {
		first := i
		for i < len(marks) && marks[i].class != 0 {
			i++
		}
		slices.SortStableFunc(marks[first:i], func(a, b mark) int { return int(a.class) - int(b.class) })
	}
}
