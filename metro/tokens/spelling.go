// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"fmt"

	"github.com/dustin/go-humanize"

	"metrolab/layers"
	"metrolab/metro"
)

// Speller is a tokenizer that knows the bytes of its tokens. Those that ship do.
type Speller interface {
	Tokenizer
	// Bytes returns what the token of an id stands for in a text, in UTF-8 or a part of it: without the marks by which a vocabulary
	// writes spaces, bytes and continuing pieces, with a space where a word begins. It is nil for special tokens and for
	// ids outside [0, VocabSize).
	Bytes(id int32) []byte
}

// SpellingOf is [Spell] where a model of c reads the bytes of tokens, and nothing where it has a table.
func SpellingOf(c metro.Config, t Tokenizer) layers.Spelling {
	if _, ok := c.BytePool(t.VocabSize()); !ok {
		return layers.Spelling{}
	}
	return Spell(t)
}

// Spell returns the bytes of all tokens of t; its five special tokens are free. Of a tokenizer that is no [Speller], tokens are spelled
// as the vocabulary writes them.
func Spell(t Tokenizer) layers.Spelling {
	speller, ok := t.(Speller)
	list := make([][]byte, t.VocabSize())
	for i := range list {
		switch id := int32(i); {
		case t.IsSpecial(id):
		case ok:
			list[i] = speller.Bytes(id)
		default:
			list[i] = []byte(t.Token(id))
		}
	}
	s := t.Special()
	return layers.Spelling{Bytes: list, Free: []int32{s.PAD, s.UNK, s.CLS, s.SEP, s.MASK}}
}

// Cut says what is lost where of every token some bytes at most are read.
type Cut struct {
	Bytes  int // that are read
	Tokens int // of the vocabulary
	Longer int // tokens that have more
	Alike  int // tokens whose bytes, as they are read, another token has too
}

// CutOf looks at a spelling of which the first n bytes of each token are read.
func CutOf(s layers.Spelling, n int) Cut {
	c, seen := Cut{Bytes: n, Tokens: len(s.Bytes)}, map[string]int{}
	read := func(bytes []byte) string { return string(bytes[:min(n, len(bytes))]) }
	for _, bytes := range s.Bytes {
		if len(bytes) > n {
			c.Longer++
		}
		seen[read(bytes)]++
	}
	for _, bytes := range s.Bytes {
		if len(bytes) > 0 && seen[read(bytes)] > 1 {
			c.Alike++
		}
	}
	return c
}

// String says it in a sentence.
func (c Cut) String() string {
	count := func(n int) string { return humanize.Comma(int64(n)) }
	return fmt.Sprintf("byte-pooled vectors read %d bytes of a token: %s of %s tokens (%.2g %%) are cut, and %s have the vector of another", c.Bytes,
		count(c.Longer), count(c.Tokens), 100*float64(c.Longer)/float64(max(c.Tokens, 1)), count(c.Alike))
}
