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
