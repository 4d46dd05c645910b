// SPDX-License-Identifier: Apache-2.0

package text

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestCommentParagraphs(t *testing.T) {
	for name, c := range map[string]struct {
		src  string
		want []string
	}{
		"lines are joined": {"// one  two\n//\tthree\n// four", []string{"one two", "four"}},
		"blank line":       {"// one\n//\n// two", []string{"one", "two"}},
		"gap between":      {"// one\n\n// two", []string{"one", "two"}},
		"code between":     {"// one\nvar x int\n// two", []string{"one", "two"}},
		"trailing":         {"var x int // one\nvar y int // two", []string{"one", "two"}},
		"other column":     {"var x int // one\n// two", []string{"one", "two"}},
		"same column":      {"var x int // one\n          // two", []string{"one two"}},
		"code block":       {"// one\n//\n//\tx := 1\n//\n// two", []string{"one", "two"}},
		"list":             {"// Of:\n//   - one\n//     more\n//   - two\n//\n//\tcode", []string{"Of:", "one more", "two"}},
		"numbered":         {"// 1. one\n// 2) two\n// 3.5 three", []string{"one", "two 3.5 three"}},
		"lone bullet":      {"// -\n// one", []string{"- one"}},
		"directives":       {"//go:build x\n\n// +build x\n\n//nolint:all\n//sys f()\n// one\n//line a:1", []string{"one"}},
		"directive inside": {"// one\n//go:noinline\n// two", []string{"one", "two"}},
		"no space, upper":  {"//One two", []string{"One two"}},
		"example output":   {"// one\n// Output:\n// two\n// three", []string{"one"}},
		"unordered output": {"// Unordered output: two", nil},
		"block":            {"/* one\n   two\n\n   three */", []string{"one two", "three"}},
		"starred block":    {"/**\n * one\n * two\n *\n *\tcode\n */", []string{"one two"}},
		"indented block":   {"func f() {\n\t/*\n\t\tone\n\t\ttwo\n\n\t\t\tcode\n\t*/\n}", []string{"one two"}},
		"C above import":   {"// one\n\n/*\n#include <x.h>\n*/\nimport \"C\"\n// two", []string{"one", "two"}},
		"import after gap": {"// one\n\nimport \"C\"", []string{"one"}},
		"not in strings":   {"var x = \"// one\" + `/* two */` + '/'", nil},
		"carriage returns": {"// one\r\n// two\r\n", []string{"one two"}},
		"unterminated":     {"x := \"\n// one\n/* two", []string{"one two"}},
		"no Go at all":     {"\x00\xff }{ ' // one", nil},
		"empty comments":   {"//\n/**/\n/***/", nil},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, commentParagraphs([]byte(c.src))) })
	}
}

func FuzzCommentParagraphs(f *testing.F) {
	for _, seed := range []string{
		"// Package x is one.\n//\n//   - two\n//     three\npackage x // four", "/*\n * a\n */ import \"C\"", "/*", "//", "/*\n\t\n x*/",
		"// Output:", "// - ", "// 1.", "\xff// \xff", "/*\r*/", "import \"C\"", "//\x00\n//\u2028a", "`\n// a",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		clean, _ := replaceInvalid(src)
		for _, p := range commentParagraphs(clean) {
			require.NotEmpty(t, p)
			require.True(t, utf8.ValidString(p), "%q", p)
			require.Equal(t, strings.Join(strings.Fields(p), " "), p)
		}
	})
}
