// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"metrolab/metro/tokens/internal/parts"
)

// mark is one character of a decomposition. A head is the first character of what one source character decomposed to.
type mark struct {
	r     rune
	class uint8
	head  bool
}

// change is what the rewriter is told of a mark.
func (m mark) change() int {
	if m.head {
		return 0
	}
	return 1
}

// unicodeForm returns the normalizer of a form of Unicode, counting as Hugging Face's does: characters are sorted and
// composed, but what each is told to stand for goes by how many characters there were.
func unicodeForm(form norm.Form) normalizer {
	parted := norm.NFD
	if form == norm.NFKC || form == norm.NFKD {
		parted = norm.NFKD
	}
	return func(p piece, track bool) piece {
		if form.IsNormalString(p.text) {
			return p
		}
		marks := decomposed(p.text, parted)
		w := rewrite(p, track)
		if form == parted {
			for _, m := range marks {
				w.put(m.r, m.change())
			}
		} else {
			compose(marks, w.put)
		}
		return w.piece()
	}
}

// decomposed returns the characters of text taken apart, those of every run of non-starters in canonical order.
func decomposed(text string, form norm.Form) []mark {
	marks := make([]mark, 0, len(text))
	var in [utf8.UTFMax]byte
	var buf [64]byte
	for _, r := range text {
		if r < 0xA0 || !unicode.Is(parts.Decomposed, r) {
			marks = append(marks, mark{r, 0, true})
			continue
		}
		out := form.Append(buf[:0], in[:utf8.EncodeRune(in[:], r)]...)
		for i := 0; i < len(out); {
			d, size := utf8.DecodeRune(out[i:])
			marks = append(marks, mark{d, form.Properties(out[i:]).CCC(), i == 0})
			i += size
		}
	}
	for i := 0; i < len(marks); i++ {
		first := i
		for i < len(marks) && marks[i].class != 0 {
			i++
		}
		slices.SortStableFunc(marks[first:i], func(a, b mark) int { return int(a.class) - int(b.class) })
	}
	return marks
}

// compose puts together again what can be: each starter takes in the marks after it that nothing blocks.
func compose(marks []mark, put func(r rune, change int)) {
	var starter *counted
	var rest []counted // the marks after starter that stay
	var last uint8     // the class of the last of rest
	flush := func() {
		if starter != nil {
			put(starter.r, starter.change)
		}
		for _, m := range rest {
			put(m.r, m.change)
		}
		starter, rest = nil, rest[:0]
	}
	for _, m := range marks {
		if starter == nil {
			if m.class != 0 {
				put(m.r, m.change())
				continue
			}
			starter = &counted{m.r, m.change()}
			continue
		}
		if len(rest) == 0 || last < m.class {
			if r, ok := composition(starter.r, m.r); ok {
				starter.r, starter.change = r, starter.change+m.change()-1
				continue
			}
		}
		if m.class == 0 {
			flush()
			starter = &counted{m.r, m.change()}
			continue
		}
		rest, last = append(rest, counted{m.r, m.change()}), m.class
	}
	flush()
}

// composition returns the character that is a and b in one.
func composition(a, b rune) (rune, bool) {
	const firstMark = 0x300
	if b < firstMark || !unicode.Is(parts.Decomposed, a) || !unicode.Is(parts.Decomposed, b) {
		return 0, false
	}
	var in, buf [3 * utf8.UTFMax]byte
	n := utf8.EncodeRune(in[:], a)
	n += utf8.EncodeRune(in[n:], b)
	out := norm.NFC.Append(buf[:0], in[:n]...)
	r, size := utf8.DecodeRune(out)
	return r, size == len(out) && unicode.Is(parts.Decomposed, r)
}

// lowercase lowers every letter by itself. Only U+0130 becomes two characters: i and a combining dot.
func lowercase(p piece, track bool) piece {
	const dottedI, combiningDot = 0x130, 0x307
	w := rewrite(p, track)
	for _, r := range p.text {
		if r == dottedI {
			w.put('i', 0)
			w.put(combiningDot, 1)
			continue
		}
		w.put(parts.ToLower(r), 0)
	}
	return w.piece()
}
