// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"metrolab/metro/tokens"
	"metrolab/metro/tokens/internal/parts"
)

// Encode returns [CLS], the tokens of text, [SEP], by whatever names the file has for them.
//
// Added tokens are recognized where they stand in the text. A byte that is not UTF-8 is read as U+FFFD, one code point
// long. A token that is a part of a character has the whole character's place.
func (t *Tokenizer) Encode(text string) tokens.Encoding {
	e := t.encoders.Get().(*encoder)
	defer t.release(e)
	e.ids, e.spans, e.track, e.wantSpans = append([]int32(nil), t.special.CLS), []tokens.Span{{}}, true, true
	e.encode(text)
	out := tokens.Encoding{IDs: append(e.ids, t.special.SEP), Bytes: append(e.spans, tokens.Span{})}
	if t.trim {
		e.trimmed(text, out.Bytes[1:len(out.IDs)-1])
	}
	out.Chars = parts.CharSpans(text, out.Bytes)
	return out
}

// EncodeIDs appends the ids of text to dst and returns it: those of [Tokenizer.Encode] without [CLS] and [SEP] around
// them, in less time.
func (t *Tokenizer) EncodeIDs(dst []int32, text string) []int32 {
	e := t.encoders.Get().(*encoder)
	defer t.release(e)
	e.ids, e.track, e.wantSpans = dst, t.pre.places, false
	e.encode(text)
	return e.ids
}

// The cache of an encoder holds so many words, none longer than so many bytes.
const (
	cachedWords = 1 << 14
	cachedBytes = 256
)

// encoder is the state of one call, kept for the next.
type encoder struct {
	*Tokenizer
	ids       []int32
	spans     []tokens.Span
	track     bool // places are carried along
	wantSpans bool
	written   []string    // with wantSpans, what is written where each token stands
	emit      func(piece) // encodes a word
	cache     map[string][]segment
	segments  []segment
	scratch   scratch
}

// scratch is what models need for a word.
type scratch struct {
	symbols []symbol   // of BPE
	queue   candidates // of BPE
	steps   []step     // of Unigram
	path    []segment  // of Unigram
}

func (t *Tokenizer) newEncoder() any {
	e := &encoder{Tokenizer: t, cache: make(map[string][]segment)}
	e.emit = e.word
	return e
}

// release gives e back, without what belongs to the caller and without the buffers of an oversized word.
func (t *Tokenizer) release(e *encoder) {
	const keep = 1 << 14
	e.ids, e.spans, e.written = nil, nil, e.written[:0]
	if s := &e.scratch; cap(s.symbols)+cap(s.queue)+cap(s.steps)+cap(s.path)+cap(e.segments) > keep {
		e.scratch, e.segments = scratch{}, nil
	}
	t.encoders.Put(e)
}

func (e *encoder) encode(text string) {
	e.raw.cut(text, e.add(piece{text: text}), func(i, j int) {
		p := valid(whole(text, i, j), e.track)
		for _, n := range e.normalizers {
			if p = n(p, e.track); p.text == "" {
				return
			}
		}
		e.normalized.cut(p.text, e.add(p), func(i, j int) { e.pre.split(p.slice(i, j), e.track, e.emit) })
	})
}

// add returns a function that appends an added token that stands in p.
func (e *encoder) add(p piece) func(id int32, i, j int) {
	return func(id int32, i, j int) {
		e.ids = append(e.ids, id)
		if e.wantSpans {
			e.spans = append(e.spans, p.origin(i, j))
			e.written = append(e.written, p.text[i:j])
		}
	}
}

// word appends the tokens of a word.
func (e *encoder) word(p piece) {
	if p.text == "" {
		return
	}
	segments, ok := e.cache[p.text]
	if !ok {
		e.segments = e.model.segment(e.segments[:0], p.text, &e.scratch)
		segments = e.segments
		if len(p.text) <= cachedBytes {
			if len(e.cache) >= cachedWords {
				clear(e.cache)
			}
			e.cache[p.text] = append([]segment(nil), segments...)
		}
	}
	for _, s := range segments {
		e.ids = append(e.ids, s.id)
	}
	if e.wantSpans {
		for _, s := range segments {
			e.spans = append(e.spans, p.origin(int(s.start), int(s.end)))
			e.written = append(e.written, e.tokens[s.id])
		}
	}
}

// trimmed leaves white space at the ends of tokens out of their places: as many characters as the token has of it, as
// Hugging Face's byte-level post-processor does.
func (e *encoder) trimmed(text string, spans []tokens.Span) {
	for i := range spans {
		s, token := &spans[i], e.written[i]
		inner := strings.TrimLeftFunc(token, isWrittenSpace)
		leading := utf8.RuneCountInString(token) - utf8.RuneCountInString(inner)
		trailing := utf8.RuneCountInString(token) - utf8.RuneCountInString(strings.TrimRightFunc(token, isWrittenSpace))
		if leading == 1 && e.prefixSpace && (i == 0 || s.Start == 0) {
			leading = 0
		}
		for ; leading > 0 && s.Start < s.End; leading-- {
			_, size := utf8.DecodeRuneInString(text[s.Start:])
			s.Start += size
		}
		for ; trailing > 0 && s.Start < s.End; trailing-- {
			_, size := utf8.DecodeLastRuneInString(text[:s.End])
			s.End -= size
		}
	}
}

func isWrittenSpace(r rune) bool { return r == spaceRune || unicode.IsSpace(r) }
