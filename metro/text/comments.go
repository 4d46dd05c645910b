// SPDX-License-Identifier: Apache-2.0

package text

import (
	"go/scanner"
	"go/token"
	"strings"
)

// commentParagraphs returns the paragraphs of prose in the comments of a Go source file, in order, each as one line
// with single spaces. It never fails: what is not Go yields what comments can be made out.
//
// Comments on successive lines that start in the same column are one text. In it
//   - a blank line ends a paragraph, and so does an indented line, which is code and dropped;
//   - a list item ("- ", "* ", "1. ") is a paragraph of its own, with its indented lines and without its bullet;
//   - a line comment without a space before its first lower-case letter is a directive or disabled code and dropped
//     ("//go:build", "//sys", "//nolint"), and so is "// +build";
//   - what follows "Output:" is the expected output of an example and dropped, and so is the C code above import "C".
func commentParagraphs(src []byte) []string {
	var paragraphs []string
	for _, text := range commentTexts(src) {
		paragraphs = append(paragraphs, textParagraphs(text)...)
	}
	return paragraphs
}

// commentTexts returns the lines of each comment text, markers removed.
func commentTexts(src []byte) [][]string {
	file := token.NewFileSet().AddFile("", -1, len(src))
	var s scanner.Scanner
	s.Init(file, src, func(token.Position, string) {}, scanner.ScanComments)

	var texts [][]string
	var nextLine, column int // where a comment must start to continue the text before it
	previous := token.ILLEGAL
	for {
		pos, tok, lit := s.Scan()
		switch {
		case tok == token.EOF:
			return texts
		case tok == token.COMMENT:
			at := file.Position(pos)
			if at.Line != nextLine || at.Column != column {
				texts = append(texts, nil)
			}
			texts[len(texts)-1] = append(texts[len(texts)-1], commentLines(lit)...)
			nextLine, column = at.Line+strings.Count(lit, "\n")+1, at.Column
		case tok == token.STRING && lit == `"C"` && previous == token.IMPORT && file.Line(pos) == nextLine:
			texts = texts[:len(texts)-1]
			nextLine = 0
		case tok != token.IMPORT && (tok != token.SEMICOLON || lit != "\n"):
			nextLine = 0
		}
		previous = tok
	}
}

// commentLines strips the markers from one comment. Directives become blank lines.
func commentLines(lit string) []string {
	if line, ok := strings.CutPrefix(lit, "//"); ok {
		if isDirective(line) {
			return []string{""}
		}
		return []string{strings.TrimPrefix(line, " ")}
	}
	lines := strings.Split(strings.TrimSuffix(strings.TrimPrefix(lit, "/*"), "*/"), "\n")
	lines[0] = strings.TrimLeft(lines[0], "* \t")
	for i, line := range lines[1:] {
		if rest, ok := strings.CutPrefix(strings.TrimLeft(line, " \t"), "*"); ok {
			lines[i+1] = strings.TrimPrefix(rest, " ")
		}
	}
	dedent(lines[1:])
	return lines
}

func isDirective(line string) bool {
	return line != "" && (line[0] >= 'a' && line[0] <= 'z' || line[0] == '#') || strings.HasPrefix(line, " +build")
}

// dedent removes the white space that all lines with text in them start with.
func dedent(lines []string) {
	common, found := "", false
	for _, line := range lines {
		text := strings.TrimLeft(line, " \t")
		if text == "" {
			continue
		}
		indent := line[:len(line)-len(text)]
		if !found {
			common, found = indent, true
		}
		for !strings.HasPrefix(indent, common) {
			common = common[:len(common)-1]
		}
	}
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, common)
	}
}

// textParagraphs applies the rules of commentParagraphs to the lines of one text.
func textParagraphs(lines []string) []string {
	var paragraphs, paragraph []string
	flush := func() {
		if len(paragraph) > 0 {
			paragraphs = append(paragraphs, strings.Join(paragraph, " "))
		}
		paragraph = paragraph[:0]
	}
	inList := false
	for _, line := range lines {
		words := strings.Fields(line)
		if isOutput(words) {
			break
		}
		switch {
		case len(words) == 0:
			flush()
			inList = false
		case isBullet(words):
			flush()
			inList = true
			words = words[1:]
		case (line[0] == ' ' || line[0] == '\t') && !inList:
			flush()
			words = nil
		}
		paragraph = append(paragraph, words...)
	}
	flush()
	return paragraphs
}

func isOutput(words []string) bool {
	if len(words) > 1 && strings.EqualFold(words[0], "unordered") {
		words = words[1:]
	}
	return len(words) > 0 && strings.EqualFold(words[0], "output:")
}

func isBullet(words []string) bool {
	if len(words) < 2 {
		return false
	}
	mark := words[0]
	last := mark[len(mark)-1]
	if last == '.' || last == ')' {
		return len(mark) > 1 && strings.Trim(mark[:len(mark)-1], "0123456789") == ""
	}
	return mark == "-" || mark == "*" || mark == "+" || mark == "•"
}
