// SPDX-License-Identifier: Apache-2.0

package parts

import (
	"unicode"

	"golang.org/x/text/unicode/rangetable"
)

// Hugging Face's tokenizers reads character categories from tables of Unicode 8.0, canonical combining classes and
// decompositions from tables of Unicode 9.0, and letter case from those of Unicode 17.0. What is newer is an ordinary
// letter to it. The limits below hold Go's tables to the same versions, whatever Unicode the Go toolchain knows.
var (
	categorized = rangetable.Assigned("8.0.0")
	// Decomposed holds the characters that have a decomposition or a combining class if Unicode gives them one.
	Decomposed = rangetable.Assigned("9.0.0")
)

// The few characters of Unicode 8.0 whose category changed later: these were not yet (or were still) nonspacing marks
// and punctuation.
var (
	marksSince       = rangetable.New(0x1885, 0x1886, 0xA9BD, 0x111C9)
	marksUntil       = rangetable.New(0x1734)
	punctuationUntil = rangetable.New(0x166D, 0x111C9)
)

// newCase holds the lower-case mappings of Unicode 16.0 and 17.0, which Go's tables (15.0) lack.
var newCase = unicode.SpecialCase{
	lowerBy(0x1C89, 0x1C89, 1),
	lowerBy(0xA7CB, 0xA7CB, 0x264-0xA7CB),
	lowerBy(0xA7CC, 0xA7CC, 1),
	lowerBy(0xA7CE, 0xA7CE, 1),
	lowerBy(0xA7D2, 0xA7D2, 1),
	lowerBy(0xA7D4, 0xA7D4, 1),
	lowerBy(0xA7DA, 0xA7DA, 1),
	lowerBy(0xA7DC, 0xA7DC, 0x19B-0xA7DC),
	lowerBy(0x10D50, 0x10D65, 0x20),
	lowerBy(0x16EA0, 0x16EB8, 0x1B),
}

func lowerBy(lo, hi uint32, delta rune) unicode.CaseRange {
	return unicode.CaseRange{Lo: lo, Hi: hi, Delta: [unicode.MaxCase]rune{unicode.LowerCase: delta}}
}

// ToLower returns r in lower case, for all but U+0130, which becomes two characters.
func ToLower(r rune) rune { return newCase.ToLower(r) }

// IsDropped reports whether text cleaning deletes r: NUL, the replacement character, controls (Cc) other than tab,
// line feed and carriage return, format characters (Cf) and private use (Co). Unassigned code points stay.
func IsDropped(r rune) bool {
	switch r {
	case '\t', '\n', '\r':
		return false
	case unicode.ReplacementChar:
		return true
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co) && unicode.Is(categorized, r)
}

// IsPunctuation reports whether r is a word of its own: every ASCII symbol, and Unicode's P categories.
func IsPunctuation(r rune) bool {
	if r < 0x80 {
		return '!' <= r && r <= '/' || ':' <= r && r <= '@' || '[' <= r && r <= '`' || '{' <= r && r <= '~'
	}
	return unicode.Is(unicode.P, r) && unicode.Is(categorized, r) || unicode.Is(punctuationUntil, r)
}

// IsMark reports whether accent stripping deletes r (category Mn).
func IsMark(r rune) bool {
	return unicode.Is(unicode.Mn, r) && unicode.Is(categorized, r) && !unicode.Is(marksSince, r) ||
		unicode.Is(marksUntil, r)
}

// IsIdeograph reports whether r gets a space on both sides. The blocks are BERT's: they leave out U+2B820 to U+2B91F
// and all that came after extension E.
func IsIdeograph(r rune) bool {
	switch {
	case r < 0x3400:
		return false
	case r <= 0x4DBF, 0x4E00 <= r && r <= 0x9FFF, 0xF900 <= r && r <= 0xFAFF,
		0x20000 <= r && r <= 0x2A6DF, 0x2A700 <= r && r <= 0x2B81F, 0x2B920 <= r && r <= 0x2CEAF,
		0x2F800 <= r && r <= 0x2FA1F:
		return true
	}
	return false
}

// IsCombining reports whether r is a mark of any kind (category M) to Hugging Face's StripAccents, whose tables are of
// Unicode 9.0.
func IsCombining(r rune) bool {
	return unicode.Is(unicode.M, r) && unicode.Is(Decomposed, r) && r != 0x111C9 || r == 0x1CF2 || r == 0x1CF3
}

// The classes of Hugging Face's regular expressions are of Unicode 16.0, and what it calls a digit of 17.0; Go's tables
// are of 15.0.
var (
	newLetters = between(0x1C89, 0x1C8A, 0xA7CB, 0xA7CD, 0xA7DA, 0xA7DC, 0x105C0, 0x105F3, 0x10D4A, 0x10D65, 0x10D6F, 0x10D85,
		0x10EC2, 0x10EC4, 0x11380, 0x11389, 0x1138B, 0x1138B, 0x1138E, 0x1138E, 0x11390, 0x113B5, 0x113B7, 0x113B7, 0x113D1,
		0x113D1, 0x113D3, 0x113D3, 0x11BC0, 0x11BE0, 0x13460, 0x143FA, 0x16100, 0x1611D, 0x16D40, 0x16D6C, 0x18CFF, 0x18CFF,
		0x1E5D0, 0x1E5ED, 0x1E5F0, 0x1E5F0, 0x2EBF0, 0x2EE5D)
	newNumbers = between(0x10D40, 0x10D49, 0x116D0, 0x116E3, 0x11BF0, 0x11BF9, 0x16130, 0x16139, 0x16D70, 0x16D79,
		0x1CCF0, 0x1CCF9, 0x1E5F1, 0x1E5FA)
	newestNumbers = between(0x11DE0, 0x11DE9, 0x16FF4, 0x16FF6)
	newMarks      = between(0x897, 0x897, 0x10D69, 0x10D6D, 0x10EFC, 0x10EFC, 0x113B8, 0x113C0, 0x113C2, 0x113C2, 0x113C5, 0x113C5,
		0x113C7, 0x113CA, 0x113CC, 0x113D0, 0x113D2, 0x113D2, 0x113E1, 0x113E2, 0x11F5A, 0x11F5A, 0x1611E, 0x1612F, 0x1E5EE, 0x1E5EF)
)

// between is the table of the characters from the first to the second, from the third to the fourth, and so on.
func between(ends ...uint32) *unicode.RangeTable {
	t := &unicode.RangeTable{}
	for i := 0; i < len(ends); i += 2 {
		if lo, hi := ends[i], ends[i+1]; hi < 1<<16 {
			t.R16 = append(t.R16, unicode.Range16{Lo: uint16(lo), Hi: uint16(hi), Stride: 1})
		} else {
			t.R32 = append(t.R32, unicode.Range32{Lo: lo, Hi: hi, Stride: 1})
		}
	}
	return t
}

// IsLetter reports whether r is \p{L}.
func IsLetter(r rune) bool { return unicode.IsLetter(r) || unicode.Is(newLetters, r) }

// IsNumber reports whether r is \p{N}.
func IsNumber(r rune) bool { return unicode.IsNumber(r) || unicode.Is(newNumbers, r) }

// IsDigit reports whether the pre-tokenizer Digits takes r for one.
func IsDigit(r rune) bool { return IsNumber(r) || unicode.Is(newestNumbers, r) }

// IsWord reports whether r is \w.
func IsWord(r rune) bool {
	return r == '_' || IsLetter(r) || unicode.Is(newMarks, r) || unicode.Is(newNumbers, r) ||
		unicode.In(r, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
}
