// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

func equal[T comparable](t *testing.T, want, got T) {
	t.Helper()
	if want != got {
		t.Errorf("want %#v\ngot  %#v", want, got)
	}
}

func TestGoFileKeepsLines(t *testing.T) {
	for code, want := range map[string]string{
		"%noautoget":                     "head\n\n",
		"var x = 1\n%%\nfmt.Println(x)":  "head\nvar x = 1\nfunc main() {\nfmt.Println(x)\n}\n",
		"%% -steps=9\n!ls\nx()\n%% y":    "head\nfunc main() {\n\nx()\n\n}\n",
		"package main\n\nfunc f() {\n\t": "head\n\n\nfunc f() {\n\t\n",
	} {
		equal(t, want, goFile("head", code))
	}
	for code, want := range map[string]bool{"": true, "%%": true, "%% -a": true, "%%bash\nls": false, "%%writefile x": false, "x": true} {
		equal(t, want, isGo(code))
	}
}

func TestMemory(t *testing.T) {
	m := newMemory()
	m.learn("import \"metrolab/viz\"\n\ntype arm struct{ w int }\n\nfunc (a *arm) f() {}\n\nvar a, b = 1, 2\n\n%%\nloss, err := f()\nvar left int\n_ = loss", 3)
	m.learn("var b = 3\n\nfunc err() {}", 4)
	m.learn("not Go at all", 5)
	rest := m.besides("package main", map[string]bool{"arm": true})
	if _, err := parser.ParseFile(token.NewFileSet(), "", rest, 0); err != nil {
		t.Error(err, rest)
	}
	equal(t, "package main\nfunc (a *arm) f() {}\nvar b = 3\nfunc err() {}\n", rest)
	for name, want := range map[string]int{"loss": 3, "left": 3, "err": 0, "b": 0} {
		count, _ := m.local(name)
		equal(t, want, count)
	}
	m.learn("%rm b", 6)
	equal(t, false, strings.Contains(m.besides("", nil), "var b"))
	m.learn("%reset", 7)
	equal(t, "\n", m.besides("", nil))
}

// The cell's imports are blank in its file, whose first line has them; the one under the cursor is left.
func TestFile(t *testing.T) {
	a := &assistant{memory: newMemory(), known: map[string]string{"viz": "metrolab/viz", "rand": "math/rand"}}
	a.memory.learn("import \"text/template\"", 1)
	a.memory.learn("var b = 1", 2)
	cell, others := a.files("import \"metrolab/viz\"\nimport (\n\t\"crypto/rand\"\n)\n%%\nx", 6)
	equal(t, `package main; import (rand "crypto/rand"; template "text/template"; viz "metrolab/viz"; )`+
		"\nimport ()            \nimport (\n\t             \n)\nfunc main() {\nx\n}\n", cell)
	equal(t, `package main; import (rand "math/rand"; viz "metrolab/viz"; )`+"\nvar b = 1\n", others)

	cell, _ = a.files("import \"metrolab/vi", 1)
	equal(t, `package main; import (rand "math/rand"; template "text/template"; viz "metrolab/viz"; )`+"\nimport \"metrolab/vi\n", cell)

	cell, others = a.files("var viz = 1\nvar b = 2", 1) // its own names are not those of packages
	equal(t, `package main; import (rand "math/rand"; template "text/template"; )`+"\nvar viz = 1\nvar b = 2\n", cell)
	equal(t, `package main; import (rand "math/rand"; )`+"\n", others)
}

func TestCursor(t *testing.T) {
	equal(t, "é😀", prefix("é😀x", 2))
	equal(t, "é😀x", prefix("é😀x", 9))
	equal(t, 2, runesIn("aé😀x", 3))
}
