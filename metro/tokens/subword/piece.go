// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"unicode/utf8"

	"metrolab/metro/tokens"
)

// piece is a part of a text on its way through normalizers and pre-tokenizers.
type piece struct {
	text string
	// at holds, for each byte of text, the bytes of the original that its character stands for. Where it is nil, text is what
	// the original has from the byte from on; or nobody wants to know.
	at   []tokens.Span
	from int
}

// whole is a piece of the original as it is, from the byte i to j.
func whole(original string, i, j int) piece { return piece{text: original[i:j], from: i} }

// slice is the part of p between two bytes of its text.
func (p piece) slice(i, j int) piece {
	if p.at == nil {
		return piece{text: p.text[i:j], from: p.from + i}
	}
	return piece{text: p.text[i:j], at: p.at[i:j]}
}

// start is where in the original its text begins.
func (p piece) start() int {
	if len(p.at) > 0 {
		return p.at[0].Start
	}
	return p.from
}

// origin is what the bytes from i to j of the text stand for: whole characters of the original.
func (p piece) origin(i, j int) tokens.Span {
	if i >= j {
		return tokens.Span{Start: p.start(), End: p.start()}
	}
	return tokens.Span{Start: p.span(i).Start, End: p.span(j - 1).End}
}

// span is what the byte at i stands for.
func (p piece) span(i int) tokens.Span {
	if p.at != nil {
		return p.at[i]
	}
	if p.text[i] < utf8.RuneSelf {
		return tokens.Span{Start: p.from + i, End: p.from + i + 1}
	}
	for i > 0 && !utf8.RuneStart(p.text[i]) {
		i--
	}
	_, size := utf8.DecodeRuneInString(p.text[i:])
	return tokens.Span{Start: p.from + i, End: p.from + i + size}
}

// rewriter makes a piece of another one, character by character. It counts as Hugging Face's NormalizedString does, so that
// places come out as there.
type rewriter struct {
	in    piece
	track bool // places are wanted
	pos   int  // the bytes of in that are done with
	out   []byte
	at    []tokens.Span
}

func rewrite(p piece, track bool) *rewriter {
	w := &rewriter{in: p, track: track, out: make([]byte, 0, len(p.text)+8)}
	if track {
		w.at = make([]tokens.Span, 0, len(p.text)+8)
	}
	return w
}

// put appends r. With change 0 it stands for the next character of in, with −n for the next one and n that are left out after
// it; with 1 it is new, and shares the place of the character before.
func (w *rewriter) put(r rune, change int) {
	n := len(w.out)
	w.out = utf8.AppendRune(w.out, r)
	if !w.track {
		return
	}
	at := tokens.Span{Start: w.in.start(), End: w.in.start()}
	switch {
	case change > 0 && w.pos > 0:
		at = w.in.span(w.pos - 1)
	case change <= 0 && len(w.in.text) > 0:
		at = w.in.span(min(w.pos, len(w.in.text)-1))
	}
	for range len(w.out) - n {
		w.at = append(w.at, at)
	}
	if change <= 0 {
		w.skip(1 - change)
	}
}

// skip leaves out n characters of in.
func (w *rewriter) skip(n int) {
	for ; n > 0 && w.pos < len(w.in.text); n-- {
		_, size := utf8.DecodeRuneInString(w.in.text[w.pos:])
		w.pos += size
	}
}

func (w *rewriter) piece() piece {
	return piece{text: string(w.out), at: w.at, from: w.in.from}
}

// valid puts U+FFFD in the place of every byte that is not UTF-8.
func valid(p piece, track bool) piece {
	if utf8.ValidString(p.text) {
		return p
	}
	return mapped(p, track, func(r rune) rune { return r })
}

// mapped puts f(r) in the place of every character r.
func mapped(p piece, track bool, f func(rune) rune) piece {
	w := rewrite(p, track)
	for _, r := range p.text {
		w.put(f(r), 0)
	}
	return w.piece()
}

// filtered keeps the characters that keep says.
func filtered(p piece, track bool, keep func(rune) bool) piece {
	w := rewrite(p, track)
	for _, r := range p.text {
		if keep(r) {
			w.put(r, 0)
		} else {
			w.skip(1)
		}
	}
	return w.piece()
}

// prepended puts s before a text that is not empty, as something that its first character stands for.
func prepended(p piece, track bool, s string) piece {
	if p.text == "" {
		return p
	}
	q := piece{text: s + p.text, from: p.from}
	if track {
		q.at = make([]tokens.Span, 0, len(q.text))
		first := p.span(0)
		for range len(s) {
			q.at = append(q.at, first)
		}
		q.at = p.appendSpans(q.at, 0, len(p.text))
	}
	return q
}

// replaced puts s in the place of every match: of p.text, ascending and apart. What is put there stands for the last
// character of the match.
func replaced(p piece, track bool, s string, matches func(yield func(i, j int))) piece {
	q := piece{from: p.from}
	var out []byte
	done := 0
	copyTo := func(i int) {
		out = append(out, p.text[done:i]...)
		if track {
			q.at = p.appendSpans(q.at, done, i)
		}
	}
	matches(func(i, j int) {
		copyTo(i)
		out = append(out, s...)
		if track {
			last := p.span(j - 1)
			for range len(s) {
				q.at = append(q.at, last)
			}
		}
		done = j
	})
	if done == 0 {
		return p
	}
	copyTo(len(p.text))
	q.text = string(out)
	if track && q.at == nil {
		q.at = []tokens.Span{}
	}
	return q
}

// appendSpans appends what the bytes from i to j stand for to dst.
func (p piece) appendSpans(dst []tokens.Span, i, j int) []tokens.Span {
	if p.at != nil {
		return append(dst, p.at[i:j]...)
	}
	for i < j {
		at := p.span(i)
		for end := min(j, i+at.End-at.Start); i < end; i++ {
			dst = append(dst, at)
		}
	}
	return dst
}
