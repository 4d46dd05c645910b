// SPDX-License-Identifier: Apache-2.0

package typeset

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable replaces what could move a cursor, break a line or reverse the text: control and format characters.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s)
}

// Wrap breaks txt into lines that fit: between words, and inside one that is wider than a line. Control characters and line
// breaks count as spaces. Empty text has no lines.
func Wrap(fits func(string) bool, txt string) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(Printable(txt)) {
		switch {
		case line == "":
			line = word
		case fits(line + " " + word):
			line += " " + word
			continue
		default:
			lines = append(lines, line)
			line = word
		}
		for !fits(line) && utf8.RuneCountInString(line) > 1 {
			head := fittingHead(fits, line)
			lines = append(lines, head)
			line = line[len(head):]
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// Joints are the characters that a compound name, such as a dotted path, may be cut after.
const Joints = "-_./=,:+"

// fittingHead is the longest start of word that fits, one rune at least, cut after a joint of a compound name (such as
// the dot of "model.width") where there is one past its first third.
func fittingHead(fits func(string) bool, word string) string {
	end := 0
	for i, r := range word {
		next := i + utf8.RuneLen(r)
		if end > 0 && !fits(word[:next]) {
			break
		}
		end = next
	}
	if joint := strings.LastIndexAny(word[:end], Joints) + 1; joint > end/3 {
		end = joint
	}
	return word[:end]
}
