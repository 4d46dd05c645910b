// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"metrolab/metro/tokens/internal/parts"
)

// byteRunes is how GPT-2 writes bytes in a vocabulary: those that print in Latin-1 as themselves, others from U+0100 on.
// runeBytes is its inverse.
var byteRunes, runeBytes = func() (runes [256]rune, bytes map[rune]byte) {
	next, bytes := rune(0x100), make(map[rune]byte, 256)
	for b := range 256 {
		r := rune(b)
		if b < '!' || '~' < b && b < 0xA1 || b == 0xAD {
			r, next = next, next+1
		}
		runes[b], bytes[r] = r, byte(b)
	}
	return runes, bytes
}()

// spaceRune is how a space is written.
const spaceRune = 'Ġ'

// ofBytes returns the bytes that token writes; ok is false where it has other characters.
func ofBytes(token string) (string, bool) {
	out := make([]byte, 0, len(token))
	for _, r := range token {
		b, ok := runeBytes[r]
		if !ok {
			return "", false
		}
		out = append(out, b)
	}
	return string(out), true
}

// byteLevel cuts a text as GPT-2 does, or not at all, and leaves its bytes as they are: the model reads them.
func byteLevel(prefixSpace, cut bool) splitter {
	return func(p piece, track bool, emit func(piece)) {
		if prefixSpace && !strings.HasPrefix(p.text, " ") {
			p = prepended(p, track, " ")
		}
		for i := 0; i < len(p.text); {
			end := len(p.text)
			if cut {
				end = i + gpt2Word(p.text[i:])
			}
			emit(p.slice(i, end))
			i = end
		}
	}
}

// gpt2Word returns the length of the first match of
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// in a text that is not empty.
func gpt2Word(text string) int {
	if n := contraction(text); n > 0 {
		return n
	}
	i := 0
	if text[0] == ' ' {
		i = 1
	}
	kind, size := kindAt(text[i:])
	switch {
	case kind != whiteSpace && size > 0:
		for i += size; i < len(text); i += size {
			var next charKind
			if next, size = kindAt(text[i:]); next != kind {
				break
			}
		}
		return i
	}
	last := 0 // the beginning of the last character of white space
	for i = 0; i < len(text); i += size {
		if kind, size = kindAt(text[i:]); kind != whiteSpace {
			break
		}
		last = i
	}
	if i < len(text) && last > 0 {
		return last
	}
	return i
}

// contraction returns the length of 's, 't, 're and so on at the beginning of text.
func contraction(text string) int {
	if text[0] != '\'' || len(text) < 2 {
		return 0
	}
	switch text[1] {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(text) > 2 {
		switch text[1:3] {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}

// charKind is what GPT-2's expression knows of a character.
type charKind uint8

const (
	otherChar charKind = iota
	letter
	number
	whiteSpace
)

var asciiKinds = func() (kinds [utf8.RuneSelf]charKind) {
	for r := range rune(utf8.RuneSelf) {
		kinds[r] = kindOf(r)
	}
	return kinds
}()

// kindAt returns the kind and the length of the first character of text; the length is 0 where there is none.
func kindAt(text string) (charKind, int) {
	if text == "" {
		return whiteSpace, 0
	}
	if c := text[0]; c < utf8.RuneSelf {
		return asciiKinds[c], 1
	}
	r, size := utf8.DecodeRuneInString(text)
	return kindOf(r), size
}

func kindOf(r rune) charKind {
	switch {
	case parts.IsLetter(r):
		return letter
	case parts.IsNumber(r):
		return number
	case unicode.IsSpace(r):
		return whiteSpace
	}
	return otherChar
}
