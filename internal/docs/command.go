// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// Commands returns what a page tells its reader to type: each line of its shell blocks, and each code span, that calls a
// program of one of these names, or any program if none is given, as words. A program may be called by a path and with variables set before it. A comment
// ends a line; a backslash goes on with it.
func (p Page) Commands(programs ...string) []Command {
	var all []Command
	add := func(t Text, whole bool) {
		for _, words := range splitCommands(t.Text) {
			words = words[assignments(words):]
			if len(words) > 0 && (len(programs) == 0 || slices.Contains(programs, path.Base(words[0]))) {
				all = append(all, Command{t.Line, words, whole})
			}
		}
	}
	for _, b := range p.Blocks {
		if b.Language != "bash" && b.Language != "sh" {
			continue
		}
		var lines []Text
		for _, line := range b.Lines() {
			if n := len(lines) - 1; n >= 0 && strings.HasSuffix(lines[n].Text, `\`) {
				lines[n].Text = strings.TrimSuffix(lines[n].Text, `\`) + line.Text
				continue
			}
			lines = append(lines, line)
		}
		for _, line := range lines {
			add(line, true)
		}
	}
	for _, u := range p.Units {
		for _, span := range u.Spans() {
			add(span, false)
		}
	}
	return all
}

// A Command is a line to type. Words begins with the program. Whole says that it stands in a block, where it can be typed
// as it is; in running text, words may be left out.
type Command struct {
	Line  int
	Words []string
	Whole bool
}

// assignments counts the variables that are set at the beginning of a command.
func assignments(words []string) int {
	for i, word := range words {
		if !variable.MatchString(word) {
			return i
		}
	}
	return len(words)
}

var stream = regexp.MustCompile(`^\d+$`) // before a redirection

var variable = regexp.MustCompile(`^[A-Za-z_]\w*=`)

// splitCommands cuts a shell line into commands and these into words, as far as pages need it: quotes of both kinds,
// $( ) within them, comments, redirections, which are left out, and the operators that end a command. A bar within a word, as
// in ls|rm, is none.
func splitCommands(line string) [][]string {
	var all [][]string
	var words []string
	var word strings.Builder
	started, quote, depth := false, rune(0), 0
	redirected := false // the next word is a file
	end := func() {
		if started && !redirected {
			words = append(words, word.String())
		}
		redirected = redirected && !started
		word.Reset()
		started = false
	}
	next := func() {
		if end(); len(words) > 0 {
			all = append(all, words)
		}
		words = nil
	}
	for _, r := range line {
		switch {
		case r == '(' && strings.HasSuffix(word.String(), "$"), r == '(' && depth > 0:
			depth++
			word.WriteRune(r)
		case depth > 0:
			if r == ')' {
				depth--
			}
			word.WriteRune(r)
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, started = r, true
		case r == ' ' || r == '\t':
			end()
		case r == '#' && !started:
			next()
			return all
		case r == '>' || r == '<':
			if stream.MatchString(word.String()) {
				word.Reset()
				started = false
			}
			end()
			redirected = true
		case r == '&' && redirected && !started: // 2>&1
		case r == '&' || r == ';' || r == '|' && !started:
			next()
		default:
			started = true
			word.WriteRune(r)
		}
	}
	next()
	return all
}
