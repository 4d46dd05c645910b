// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"unicode/utf8"

	"metrolab/metro/tokens/internal/parts"
)

// Encode returns [CLS], the tokens of text, [SEP].
//
// Added tokens such as [MASK] are recognized where they stand in the text, so a text that spells [PAD] holds the
// padding id. A byte that is not UTF-8 is read as U+FFFD, one code point long. Spans never decrease from token to
// token, but tokens made of one character share its span (a Hangul syllable taken apart).
func (t *Tokenizer) Encode(text string) Encoding {
	e := t.encoders.Get().(*encoder)
	defer t.release(e)
	e.ids, e.spans, e.wantSpans = append([]int32(nil), t.special.CLS), []Span{{}}, true
	e.encode(text)
	out := Encoding{IDs: append(e.ids, t.special.SEP), Bytes: append(e.spans, Span{})}
	out.Chars = parts.CharSpans(text, out.Bytes)
	return out
}

// EncodeIDs appends the ids of text to dst and returns it: those of [Tokenizer.Encode] without [CLS] and [SEP] around
// them, in half the time. It allocates nothing but what dst needs.
func (t *Tokenizer) EncodeIDs(dst []int32, text string) []int32 {
	e := t.encoders.Get().(*encoder)
	defer t.release(e)
	e.ids, e.wantSpans = dst, false
	e.encode(text)
	return e.ids
}

// encoder is the state of one call, kept for the next.
type encoder struct {
	*Tokenizer
	splitter
	ids       []int32
	spans     []Span
	wantSpans bool
	text      []byte // the word at hand
	at        []int  // where each of its characters begins in text, and its end
}

// release gives e back, without what belongs to the caller and without the buffers of an oversized word.
func (t *Tokenizer) release(e *encoder) {
	const keep = 1 << 14
	e.ids, e.spans = nil, nil
	if cap(e.chars)+cap(e.source)+cap(e.marks) > keep {
		e.chars, e.source, e.marks = nil, nil, nil
	}
	t.encoders.Put(e)
}

func (e *encoder) encode(text string) {
	for pos := 0; pos < len(text); {
		id, start, end := e.matcher.Next(text, pos)
		e.split(text[pos:start], pos, e.word)
		if start < end {
			e.emit(id, start, end)
		}
		pos = end
	}
}

func (e *encoder) emit(id int32, start, end int) {
	e.ids = append(e.ids, id)
	if e.wantSpans {
		e.spans = append(e.spans, Span{Start: start, End: end})
	}
}

// word emits the pieces of one word: from the left always the longest piece in the vocabulary. A word that cannot be
// covered, or is too long, is one unknown token.
func (e *encoder) word(chars []char) {
	tokens, spans := len(e.ids), len(e.spans)
	if len(chars) > e.maxWordChars {
		e.unknown(chars, tokens, spans)
		return
	}
	e.text, e.at = e.text[:0], e.at[:0]
	for _, c := range chars {
		e.at = append(e.at, len(e.text))
		e.text = utf8.AppendRune(e.text, c.r)
	}
	e.at = append(e.at, len(e.text))
	pieces, longest := e.pieces, e.longestFirst
	for first := 0; first < len(chars); {
		id, last := e.longestPiece(pieces, first, min(len(chars), first+longest))
		if last == first {
			e.unknown(chars, tokens, spans)
			return
		}
		e.emit(id, chars[first].start, chars[last-1].end)
		pieces, longest, first = e.continuing, e.longestInside, last
	}
}

// longestPiece returns the id and the end of the longest piece of the word's characters [first, ≤ last); the end is
// first where there is none.
func (e *encoder) longestPiece(pieces map[string]int32, first, last int) (id int32, end int) {
	for ; last > first; last-- {
		if id, ok := pieces[string(e.text[e.at[first]:e.at[last]])]; ok {
			return id, last
		}
	}
	return 0, first
}

// unknown puts one unknown token in the place of all that was emitted since there were so many tokens and spans.
func (e *encoder) unknown(chars []char, tokens, spans int) {
	e.ids, e.spans = e.ids[:tokens], e.spans[:spans]
	e.emit(e.special.UNK, chars[0].start, chars[len(chars)-1].end)
}
