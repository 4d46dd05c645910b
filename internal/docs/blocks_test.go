// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"metrolab/internal/docs"
)

// TestEveryBlockIsTested holds what is printed to what is run. A fenced block of a page or of a notebook's text is a program
// that a test runs, byte for byte; a notebook's cell, which must compile; shell commands, each of which must be there with
// its flags; or output, which has no language. A block of any other kind fails until somebody says how it is tested. What
// the commands of package cli are told stands in that package's tests, and a notebook's own cells are run by
// scripts/notebooks.
func TestEveryBlockIsTested(t *testing.T) {
	tr := project(t)
	pages := readPages(t, tr.root)
	blocks := 0
	for _, name := range sortedNames(pages) {
		for _, b := range pages[name].Blocks {
			blocks++
			for _, problem := range tr.checkBlock(b) {
				t.Errorf("%s:%d: %s", name, b.Line, problem)
			}
		}
		for _, c := range pages[name].Commands() {
			if problem := tr.checkCommand(c.Words); c.Whole && problem != "" {
				t.Errorf("%s:%d: %s", name, c.Line, problem)
			}
		}
	}
	require.Greater(t, blocks, 15)
}

// TestCellsInPagesCompile compiles each cell that a page prints, as the kernel does: a main function, with the imports that
// its names ask for.
func TestCellsInPagesCompile(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command to compile them; put it on the PATH")
	}
	tr := project(t)
	pages := readPages(t, tr.root)
	cells := 0
	for _, name := range sortedNames(pages) {
		for _, b := range pages[name].Blocks {
			body, isCell := strings.CutPrefix(b.Text.Text, "%%\n")
			if b.Language != "go" || !isCell {
				continue
			}
			cells++
			file := filepath.Join(t.TempDir(), "main.go")
			require.NoError(t, os.WriteFile(file, []byte(tr.program(t, body)), 0o600))
			out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput()
			require.NoError(t, err, "%s:%d: the cell does not compile:\n%s", name, b.Line, out)
		}
	}
	require.NotZero(t, cells)
}

// program makes the body of a cell a program.
func (tr *tree) program(t *testing.T, body string) string {
	t.Helper()
	const head = "package main\n\nfunc main() {\n"
	file, err := parser.ParseFile(token.NewFileSet(), "", head+body+"\n}\n", 0)
	require.NoError(t, err)
	imports := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := s.X.(*ast.Ident); ok && id.Obj == nil {
			imports[id.Name] = true
		}
		return true
	})
	var lines []string
	for name := range imports {
		lines = append(lines, fmt.Sprintf("import %q", tr.importPath(t, name)))
	}
	slices.Sort(lines)
	return "package main\n\n" + strings.Join(lines, "\n") + "\n\nfunc main() {\n" + body + "\n}\n"
}

// importPath finds a package by its name: one of the project's, or the standard library's with the shortest path.
func (tr *tree) importPath(t *testing.T, name string) string {
	t.Helper()
	for _, files := range tr.files {
		for _, file := range files {
			if folder := path.Dir(file); path.Base(folder) == name && path.Ext(file) == ".go" && !strings.Contains(folder, "internal") {
				return "metrolab/" + folder
			}
		}
	}
	out, err := exec.Command("go", "list", "std").Output()
	require.NoError(t, err)
	paths := slices.DeleteFunc(strings.Fields(string(out)), func(p string) bool { return path.Base(p) != name })
	require.NotEmpty(t, paths, "no package %s", name)
	return slices.MinFunc(paths, func(a, b string) int { return len(a) - len(b) })
}

// checkBlock returns what is wrong with a block as a whole.
func (tr *tree) checkBlock(b docs.Block) []string {
	switch {
	case b.Language == "":
		return nil
	case b.Language == "go" && strings.HasPrefix(b.Text.Text, "package main\n"):
		if !tr.tested(b.Text.Text) {
			return []string{"the program is not, byte for byte, a main.go in a testdata folder, which a test runs"}
		}
	case b.Language == "go" && strings.HasPrefix(b.Text.Text, "%%\n"): // TestCellsInPagesCompile
	case b.Language == "yaml": // a task file; TestTaskFilesOfPages of metro/tasks reads it
	case b.Language == "bash":
		cmd := exec.Command("bash", "-n")
		cmd.Stdin = strings.NewReader(b.Text.Text)
		if out, err := cmd.CombinedOutput(); err != nil {
			return []string{fmt.Sprintf("bash does not read it: %s", out)}
		}
	default:
		return []string{fmt.Sprintf("nothing tests a block of %q that begins with %q", b.Language, strings.SplitN(b.Text.Text, "\n", 2)[0])}
	}
	return nil
}

// tested says whether a program is one of those in testdata folders, but for the line of the licence.
func (tr *tree) tested(program string) bool {
	return slices.ContainsFunc(tr.files["main.go"], func(name string) bool {
		text, err := fs.ReadFile(tr.root, name)
		_, rest, _ := strings.Cut(string(text), "\n\n") // the licence's line
		return err == nil && strings.Contains(name, "testdata/") && strings.TrimSuffix(rest, "\n") == strings.TrimSuffix(program, "\n")
	})
}

// others are programs that are not ours, and whose arguments nobody checks here.
var others = []string{"cd", "cp", "docker", "git", "grep", "rm", "ssh", "tee", "true"}

// checkCommand returns what is wrong with a shell command, as far as that shows without running it.
func (tr *tree) checkCommand(words []string) string {
	program := strings.TrimPrefix(strings.TrimPrefix(words[0], "../metrolab/"), "./")
	switch {
	case path.Base(program) == "metro", slices.Contains(others, program): // the flags of metro are checked in metro/cli
		return ""
	case program == "." && len(words) == 2:
		if file := strings.TrimPrefix(words[1], "../metrolab/"); !tr.has(file) {
			return "no " + file
		}
		return ""
	case program == "go":
		return tr.checkGo(words[1:])
	case strings.HasPrefix(program, "scripts/"):
		return tr.checkScript(program, words[1:])
	}
	return fmt.Sprintf("nothing checks the command %s", words[0])
}

// checkGo checks the packages that a go command names.
func (tr *tree) checkGo(words []string) string {
	if len(words) == 0 || !slices.Contains([]string{"build", "doc", "env", "list", "mod", "run", "test", "vet"}, words[0]) {
		return fmt.Sprintf("nothing checks go %s", strings.Join(words, " "))
	}
	for i, word := range words {
		if strings.HasPrefix(word, "./") && words[i-1] != "-o" && !tr.has(word) {
			return "no package " + word
		}
	}
	return ""
}

// checkScript checks that a script is there and speaks of the flags; three pass on what is not theirs.
func (tr *tree) checkScript(name string, words []string) string {
	text, err := fs.ReadFile(tr.root, name)
	if err != nil {
		return "no " + name
	}
	for _, word := range words {
		flag, _, _ := strings.Cut(word, "=")
		passesOn := slices.Contains([]string{"scripts/babylm", "scripts/lab", "scripts/quickstart"}, name)
		if strings.HasPrefix(flag, "--") && !passesOn && !strings.Contains(string(text), flag) {
			return fmt.Sprintf("%s has no flag %s", name, flag)
		}
	}
	return ""
}

// A block that nobody tests is found, of every kind.
func TestUntestedBlocksAreFound(t *testing.T) {
	const program = "package main\n\nfunc main() {}"
	tr := readTree(t, fstest.MapFS{
		"x/testdata/y/main.go": {Data: []byte("// SPDX-License-Identifier: Apache-2.0\n\n" + program + "\n")},
		"scripts/test":         {Data: []byte("--quick\n")},
		"layers/a.go":          {Data: []byte("package layers\n")},
	})
	for text, want := range map[string]string{
		"```\noutput\n```":                                 "",
		"```go\n" + program + "\n```":                      "",
		"```go\n" + program + " // more\n```":              "the program is not, byte for byte, a main.go in a testdata folder, which a test runs",
		"```go\nx := 1\n```":                               `nothing tests a block of "go" that begins with "x := 1"`,
		"```json\n{}\n```":                                 `nothing tests a block of "json" that begins with "{}"`,
		"```bash\n./scripts/test --quick\n```":             "",
		"```bash\n./scripts/test --fast\n```":              "scripts/test has no flag --fast",
		"```bash\n. ../metrolab/scripts/env.sh\n```":       "no scripts/env.sh",
		"```bash\nX=1 go test ./layers\n```":               "",
		"```bash\ngo test ./layer\n```":                    "no package ./layer",
		"```bash\ngo fix ./layers\n```":                    "nothing checks go fix ./layers",
		"```bash\ncurl https://example.org | python3\n```": "nothing checks the command curl; nothing checks the command python3",
	} {
		page := docs.Parse("x.md", text)
		problems := tr.checkBlock(page.Blocks[0])
		for _, c := range page.Commands() {
			if problem := tr.checkCommand(c.Words); problem != "" {
				problems = append(problems, problem)
			}
		}
		require.Equal(t, want, strings.Join(problems, "; "), text)
	}
}
