// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strings"
	"unicode"
)

// A Page is a Markdown file in pieces.
type Page struct {
	Name   string          // as messages name it
	Units  []Text          // headings, paragraphs, list items and table cells, as they are written
	Blocks []Block         // fenced code
	Anchor map[string]bool // what a link to a heading of the page may name, by GitHub's rule
}

// Text is a piece of a page and the line that it begins on, from 1.
type Text struct {
	Line int
	Text string
}

// A Block is fenced code. Its Line is that of the code's first line.
type Block struct {
	Text
	Language string
}

var (
	fence     = regexp.MustCompile("^ *```+ *([A-Za-z]*)")
	heading   = regexp.MustCompile(`^#{1,6} +(.+?)[ #]*$`)
	listItem  = regexp.MustCompile(`^ *([-*+]|\d+[.)]) `)
	tableRule = regexp.MustCompile(`^[-:| ]+$`)
	codeSpan  = regexp.MustCompile("``((?s:.+?))``|`([^`]+)`")
	link      = regexp.MustCompile(`\]\(\s*([^)\s]+)[^)]*\)`)
)

// Parse takes a page apart.
func Parse(name, text string) Page {
	p := Page{Name: name, Anchor: map[string]bool{}}
	var unit, code []string
	begin, language, fenced := 0, "", false
	flush := func() {
		if len(unit) > 0 {
			p.Units = append(p.Units, Text{begin, strings.Join(unit, "\n")})
		}
		unit = nil
	}
	for i, line := range strings.Split(text, "\n") {
		number := i + 1
		if mark := fence.FindStringSubmatch(line); mark != nil {
			if flush(); fenced {
				p.Blocks = append(p.Blocks, Block{Text{begin, strings.Join(code, "\n")}, language})
			}
			fenced, language, begin, code = !fenced, mark[1], number+1, nil
			continue
		}
		if fenced {
			code = append(code, line)
			continue
		}
		title := heading.FindStringSubmatch(line)
		switch {
		case strings.TrimSpace(line) == "" || tableRule.MatchString(line):
			flush()
		case title != nil:
			flush()
			p.Units = append(p.Units, Text{number, line})
			p.addAnchor(title[1])
		case strings.HasPrefix(line, "|"):
			flush()
			p.Units = append(p.Units, cells(number, line)...)
		default:
			if listItem.MatchString(line) {
				flush()
			}
			if len(unit) == 0 {
				begin = number
			}
			unit = append(unit, line)
		}
	}
	flush()
	return p
}

// ParseFile takes a file apart that is a page or, by its name, a Jupyter notebook, of which the Markdown cells are the page.
func ParseFile(name string, text []byte) (Page, error) {
	if path.Ext(name) != ".ipynb" {
		return Parse(name, string(text)), nil
	}
	var notebook struct {
		Cells []struct {
			Kind   string   `json:"cell_type"`
			Source []string `json:"source"`
		} `json:"cells"`
	}
	if err := json.Unmarshal(text, &notebook); err != nil {
		return Page{}, fmt.Errorf("read notebook %s: %w", name, err)
	}
	var all []string
	for _, c := range notebook.Cells {
		if c.Kind == "markdown" {
			all = append(all, strings.Join(c.Source, ""))
		}
	}
	return Parse(name, strings.Join(all, "\n\n")), nil
}

// addAnchor notes a heading's anchor: lower case, punctuation left out, spaces as hyphens, a number from the second on.
func (p *Page) addAnchor(title string) {
	slug := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		}
		return -1
	}, title)
	unique := slug
	for n := 1; p.Anchor[unique]; n++ {
		unique = fmt.Sprintf("%s-%d", slug, n)
	}
	p.Anchor[unique] = true
}

// cells cuts a table's row at the bars that stand outside code spans.
func cells(line int, row string) []Text {
	var all []Text
	begin, blank := 0, withoutSpans(row)
	for i := range len(row) + 1 {
		if i == len(row) || blank[i] == '|' {
			if cell := strings.TrimSpace(row[begin:i]); cell != "" {
				all = append(all, Text{line, cell})
			}
			begin = i + 1
		}
	}
	return all
}

// Spans returns the code between backticks. Line breaks within a span are spaces.
func (t Text) Spans() []Text {
	var all []Text
	for _, at := range codeSpan.FindAllStringSubmatchIndex(t.Text, -1) {
		code := t.Text[max(at[2], at[4]):max(at[3], at[5])]
		all = append(all, Text{t.lineAt(at[0]), strings.Join(strings.Fields(code), " ")})
	}
	return all
}

// Links returns the targets of links and images.
func (t Text) Links() []Text {
	var all []Text
	for _, at := range link.FindAllStringSubmatchIndex(withoutSpans(t.Text), -1) {
		all = append(all, Text{t.lineAt(at[2]), t.Text[at[2]:at[3]]})
	}
	return all
}

// Lines returns t line by line.
func (t Text) Lines() []Text {
	var all []Text
	for i, line := range strings.Split(t.Text, "\n") {
		all = append(all, Text{t.Line + i, line})
	}
	return all
}

func (t Text) lineAt(offset int) int { return t.Line + strings.Count(t.Text[:offset], "\n") }

// withoutSpans blanks out code spans; what is left stays where it is.
func withoutSpans(text string) string {
	return codeSpan.ReplaceAllStringFunc(text, func(span string) string { return strings.Repeat("x", len(span)) })
}
