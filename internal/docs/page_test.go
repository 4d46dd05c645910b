// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"fmt"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"metrolab/internal/docs"
)

func ExamplePage_Commands() {
	page := docs.Parse("README.md", "Say `metro runs ls`, or:\n\n```bash\nBACKEND=go ./bin/metro correct \"a | b\"   # a comment\n```\n")
	for _, c := range page.Commands("metro") {
		fmt.Printf("line %d: %q\n", c.Line, c.Words)
	}
	// Output:
	// line 4: ["./bin/metro" "correct" "a | b"]
	// line 1: ["metro" "runs" "ls"]
}

func TestParse(t *testing.T) {
	page := docs.Parse("x.md", "# A `page`, of\n\nOne [link](a.md#b) and `code\nover` lines.\n- an ![image](i.png)\n- `[no](link)`\n\n"+
		"| a | b |\n|---|---|\n| `x|y` | [z](z.go) |\n\n```go\npackage p\n```\n\n## Twice\n## Twice\n")
	require.Equal(t, []docs.Text{
		{1, "# A `page`, of"}, {3, "One [link](a.md#b) and `code\nover` lines."}, {5, "- an ![image](i.png)"}, {6, "- `[no](link)`"},
		{8, "a"}, {8, "b"}, {10, "`x|y`"}, {10, "[z](z.go)"}, {16, "## Twice"}, {17, "## Twice"},
	}, page.Units)
	require.Equal(t, []docs.Block{{docs.Text{13, "package p"}, "go"}}, page.Blocks)
	require.Equal(t, map[string]bool{"a-page-of": true, "twice": true, "twice-1": true}, page.Anchor)
	require.Equal(t, []docs.Text{{3, "code over"}}, page.Units[1].Spans())
	require.Equal(t, []docs.Text{{3, "a.md#b"}}, page.Units[1].Links())
	require.Equal(t, []docs.Text{{5, "i.png"}}, page.Units[2].Links())
	require.Empty(t, page.Units[3].Links())
}

func TestCommands(t *testing.T) {
	page := docs.Parse("x.md", "```bash\n# metro no\necho metro no\nA=1 B='2 3' metro one \\\n  --two=\"$(go env X) y\" | metro three < file\n```\n\n```\nmetro no\n```\n")
	require.Equal(t, []docs.Command{
		{4, []string{"metro", "one", "--two=$(go env X) y"}, true}, {4, []string{"metro", "three"}, true},
	}, page.Commands("metro")[:2])
	redirected := docs.Parse("x.md", "```bash\nX=1 a b >c 2>&1 | d 2> e f & g <<< h\n```\n")
	require.Equal(t, []docs.Command{{2, []string{"a", "b"}, true}, {2, []string{"d", "f"}, true}, {2, []string{"g"}, true}}, redirected.Commands())
}

// Every kind of mistake is found at its line, and nothing is found in a page that is right.
func TestMistakesAreFound(t *testing.T) {
	tr := readTree(t, fstest.MapFS{
		"metro/a.go":           {Data: []byte("package metro\n\ntype Config struct{ Seed int }\n\nfunc (c Config) Validate() {}\n")},
		"metro/data/b.go":      {Data: []byte("package data\n\nvar env = \"METROLAB_CACHE\"\n")},
		"metro/data/b_test.go": {Data: []byte("package data\n\nfunc TestOrder(t *testing.T) {}\n")},
		"scripts/test":         {Data: []byte("#!/usr/bin/env bash\n")},
		"CONTRIBUTING.md":      {},
		"other.md":             {Data: []byte("# Here\n")},
	})
	for text, want := range map[string]string{
		"[a](other.md), [b](other.md#here), [c](https://example.org/x), [d](metro/)": "",
		"see\n[a](gone.md)":                                   "2: link to gone.md: no such file",
		"![a](images/x.png)":                                  "1: link to images/x.png: no such file",
		"[a](other.md#there)":                                 "1: link to other.md#there: no heading of other.md has the anchor #there",
		"[a](#there)":                                         "1: link to #there: no heading of CONTRIBUTING.md has the anchor #there",
		"`metro/a.go`, `metro/{data,a.go}`":                   "",
		"`metro/data`: `b.go` and `./metro/*`":                "",
		"`1/fan-in`, `github.com/x/y`, `runs/x`, `runs/x.md`": "",
		"`metro/c.go`":                                        "1: no file or folder metro/c.go",
		"`metro/{data,base}`":                                 "1: no file or folder metro/base",
		"`elsewhere/c.go`":                                    "1: no file or folder elsewhere/c.go",
		"`metro/a.go`, `b.go`":                                "1: no file b.go in metro; it is in: metro/data/b.go",
		"`c.go`":                                              "1: no file c.go anywhere",
		"`./scripts/tset --quick`":                            "1: no file or folder scripts/tset",
		"```bash\n./scripts/tset\n```":                        "2: no ./scripts/tset",
		"```bash\n./bin/metro x\n```":                         "",
		"`TestOrder`, `TestOrder/sub`":                        "",
		"`…Order`, `go test -run Order`":                      "",
		"`TestOrders`":                                        "1: no test TestOrders",
		"`…Orders`":                                           "1: no test has a name that ends with Orders",
		"`go test -run 'Nothing'`":                            "1: no test matches Nothing",
		"`TestOrder` (metro)":                                 "",
		"`TestOrder` (scripts)":                               "1: TestOrder is in metro/data, not in scripts",
		"`metro.Config.Seed`, `metro.Config{}`, `x.Y`":        "",
		"`metro.Confg`":                                       "1: no metro.Confg",
		"`metro.Config.Sed`":                                  "1: no metro.Config.Sed",
		"```go\nmetro.Confg{}\n```":                           "2: no metro.Confg",
		"`Config.Validate`, `Validate`, `P`":                  "",
		"`Confg`":                                             "1: no exported Confg in the project",
		"`METROLAB_CACHE=x go test`":                          "",
		"`METROLAB_CASH`":                                     "1: nothing reads $METROLAB_CASH",
	} {
		page := docs.Parse("CONTRIBUTING.md", text)
		other := docs.Parse("other.md", "# Here\n")
		var expected []string
		if want != "" {
			expected = []string{"CONTRIBUTING.md:" + want}
		}
		require.Equal(t, expected, tr.check(map[string]docs.Page{"CONTRIBUTING.md": page, "other.md": other}, "CONTRIBUTING.md"), text)
	}
}
