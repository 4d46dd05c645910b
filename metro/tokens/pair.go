// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"slices"

	"metrolab/internal/usererr"
)

// Template says how two texts are put together for a model: tokens of its own, and the places of the texts.
type Template []Part

// Part is one element of a [Template].
type Part struct {
	Text int   // 1 for the first text, 2 for the second, 0 for a token
	ID   int32 // the token
	Type int32 // the token type id of what stands here
}

// BertTemplate is [CLS] first [SEP] second [SEP], the second text and the [SEP] after it of type 1.
func BertTemplate(s Special) Template {
	return Template{{ID: s.CLS}, {Text: 1}, {ID: s.SEP}, {Text: 2, Type: 1}, {ID: s.SEP, Type: 1}}
}

// Strategy says which of two texts is cut when they are too long together.
type Strategy int

// The strategies.
const (
	LongestFirst Strategy = iota // the longer one; both to halves where either is longer than its half
	OnlyFirst
	OnlySecond
)

// Limit says how long an encoding may be.
type Limit struct {
	Tokens   int // in all, those of the template counted; 0 for no limit
	Strategy Strategy
	Left     bool // texts are cut at their beginning, not at their end
}

// Encoded is one text or two as a model reads them. All slices have one entry a token; places are those in the text that
// the token comes from.
type Encoded struct {
	Encoding
	Types []int32 // token type ids
	Texts []int   // 1 for the first text, 2 for the second, 0 for a token that is in neither
}

// EncodeText returns [CLS], the tokens of text, [SEP], no longer than limit, as Hugging Face's tokenizers does. A limit that
// has no room for the two tokens is the user's error.
func EncodeText(t Tokenizer, text string, limit Limit) (Encoded, error) {
	single := Template{{ID: t.Special().CLS}, {Text: 1}, {ID: t.Special().SEP}}
	return single.fill(limit, inner(t, text))
}

// EncodePair returns two texts as one row, as the tokenizer's template for pairs says, no longer than limit, as Hugging
// Face's tokenizers does; but in texts that are cut at their beginning, the place of the first token has no space before it, as
// everywhere. A limit that cannot be kept by the strategy, because nothing of the text to cut would remain, is
// the user's error.
func EncodePair(t Tokenizer, first, second string, limit Limit) (Encoded, error) {
	return t.Pair().fill(limit, inner(t, first), inner(t, second))
}

// inner encodes text, without the tokens around it.
func inner(t Tokenizer, text string) Encoding {
	e := t.Encode(text)
	return e.slice(1, len(e.IDs)-1)
}

func (e Encoding) slice(i, j int) Encoding { return Encoding{e.IDs[i:j], e.Bytes[i:j], e.Chars[i:j]} }

// fill puts texts in their places.
func (t Template) fill(limit Limit, texts ...Encoding) (Encoded, error) {
	own := len(t) - len(texts)
	if limit.Tokens > 0 {
		if limit.Tokens < own {
			return Encoded{}, usererr.New("%d tokens are too few: %d are put around the text", limit.Tokens, own)
		}
		keep, err := limit.keep(limit.Tokens-own, texts)
		if err != nil {
			return Encoded{}, err
		}
		for i, n := range keep {
			if from := len(texts[i].IDs) - n; limit.Left {
				texts[i] = texts[i].slice(from, from+n)
			} else {
				texts[i] = texts[i].slice(0, n)
			}
		}
	}
	var out Encoded
	for _, p := range t {
		e := Encoding{[]int32{p.ID}, []Span{{}}, []Span{{}}}
		if p.Text > 0 {
			e = texts[p.Text-1]
		}
		out.IDs, out.Bytes, out.Chars = append(out.IDs, e.IDs...), append(out.Bytes, e.Bytes...), append(out.Chars, e.Chars...)
		out.Types = append(out.Types, slices.Repeat([]int32{p.Type}, len(e.IDs))...)
		out.Texts = append(out.Texts, slices.Repeat([]int{p.Text}, len(e.IDs))...)
	}
	return out, nil
}

// keep returns how many tokens of each text there is room for.
func (l Limit) keep(room int, texts []Encoding) ([]int, error) {
	n, total := make([]int, len(texts)), 0
	for i, e := range texts {
		n[i] = len(e.IDs)
		total += n[i]
	}
	over := total - room
	switch {
	case over <= 0:
		return n, nil
	case room == 0:
		return make([]int, len(texts)), nil
	case len(texts) == 1:
		return []int{room}, nil
	case l.Strategy == LongestFirst:
		short, long := 0, 1
		if n[0] > n[1] {
			short, long = 1, 0
		}
		if n[short] <= room/2 {
			n[long] = room - n[short]
		} else {
			n[short], n[long] = room/2, room-room/2
		}
		return n, nil
	}
	cut := 0
	if l.Strategy == OnlySecond {
		cut = 1
	}
	if n[cut] <= over {
		return nil, usererr.New("the two texts have %d tokens and there is room for %d; one of them has only %d, so cutting that one alone is not enough", total, room, n[cut])
	}
	n[cut] -= over
	return n, nil
}
