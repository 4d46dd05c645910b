// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/docs"
)

// planned are paths that pages name before they are there.
var planned []string

// TestPagesNameWhatIsThere checks the links, paths and names of the project's own pages.
func TestPagesNameWhatIsThere(t *testing.T) {
	tr := project(t)
	pages := readPages(t, tr.root)
	require.Contains(t, pages, "README.md")
	require.Contains(t, pages, "docs/design.md")
	for _, name := range sortedNames(pages) {
		for _, problem := range tr.check(pages, name) {
			t.Error(problem)
		}
	}
	for _, name := range planned {
		require.False(t, tr.has(name), "%s is there now; take it from the list of what is planned", name)
	}
}

// TestProgramsInPagesBuild type-checks each whole program of a page.
func TestProgramsInPagesBuild(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command to check them; put it on the PATH")
	}
	pages := readPages(t, project(t).root)
	for _, name := range sortedNames(pages) {
		for _, b := range pages[name].Blocks {
			if b.Language != "go" || !strings.HasPrefix(b.Text.Text, "package main") {
				continue
			}
			file := filepath.Join(t.TempDir(), "main.go")
			require.NoError(t, os.WriteFile(file, []byte(b.Text.Text), 0o600))
			out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput()
			require.NoError(t, err, "%s:%d: the program does not build:\n%s", name, b.Line, out)
		}
	}
}

// readPages parses the pages at the root, in docs and in notebooks, and the text of the notebooks.
func readPages(t *testing.T, root fs.FS) map[string]docs.Page {
	t.Helper()
	pages := map[string]docs.Page{}
	for _, pattern := range []string{"*.md", "docs/*.md", "notebooks/*/*.md", "notebooks/*.ipynb"} {
		names, err := fs.Glob(root, pattern)
		require.NoError(t, err)
		for _, name := range names {
			text, err := fs.ReadFile(root, name)
			require.NoError(t, err)
			pages[name], err = docs.ParseFile(name, text)
			require.NoError(t, err, name)
		}
	}
	return pages
}

func sortedNames(pages map[string]docs.Page) []string {
	var names []string
	for name := range pages {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// check returns a sentence for everything that a page names and that is not there.
func (tr *tree) check(pages map[string]docs.Page, name string) []string {
	var problems []string
	report := func(line int, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%s:%d: ", name, line)+fmt.Sprintf(format, args...))
	}
	page := pages[name]
	for _, unit := range page.Units {
		for _, l := range unit.Links() {
			if problem := tr.checkLink(pages, name, l.Text); problem != "" {
				report(l.Line, "%s", problem)
			}
		}
		var folders []string // that the unit has named so far
		for _, span := range unit.Spans() {
			for _, problem := range tr.checkPath(span.Text, &folders) {
				report(span.Line, "%s", problem)
			}
			for _, problem := range tr.checkNames(span.Text) {
				report(span.Line, "%s", problem)
			}
			if identifier.MatchString(span.Text) && path.Base(name) == "CONTRIBUTING.md" && !tr.names[span.Text] && !testName.MatchString(span.Text) {
				report(span.Line, "no exported %s in the project", span.Text)
			}
		}
		for _, problem := range tr.checkPlaces(unit) {
			report(unit.Line, "%s", problem)
		}
	}
	for _, b := range page.Blocks {
		for _, line := range b.Lines() {
			for _, problem := range tr.checkNames(line.Text) {
				report(line.Line, "%s", problem)
			}
			for _, word := range strings.Fields(line.Text) {
				if strings.HasPrefix(word, "./") && !built(path.Clean(word)) && b.Language == "bash" && !tr.has(word) {
					report(line.Line, "no %s", word)
				}
			}
		}
	}
	return problems
}

// checkLink returns what is wrong with a link of a page. Addresses of other sites are not looked up.
func (tr *tree) checkLink(pages map[string]docs.Page, from, target string) string {
	if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
		return ""
	}
	file, anchor, _ := strings.Cut(target, "#")
	to := from
	if file != "" {
		to = path.Join(path.Dir(from), file)
	}
	if !tr.has(to) {
		return fmt.Sprintf("link to %s: no such file", target)
	}
	if page, ok := pages[to]; ok && anchor != "" && !page.Anchor[anchor] {
		return fmt.Sprintf("link to %s: no heading of %s has the anchor #%s", target, to, anchor)
	}
	return ""
}

var (
	pathLike   = regexp.MustCompile(`^[\w./*{},-]+$`)
	sourceFile = regexp.MustCompile(`\.(go|md|ipynb|sh)$`)
	braces     = regexp.MustCompile(`^(.*)\{([^{}]*)\}(.*)$`)
)

// checkPath returns what is wrong with a path: "metro/rtd.go", "layers", "metro/{data,runs}", "./scripts/lab --check" or,
// after a folder has been named, a file or folder in it. Only a path that begins with a name of the root, or ends like a
// source file, is taken for one of ours.
func (tr *tree) checkPath(span string, folders *[]string) []string {
	word, _, _ := strings.Cut(span, " ")
	if word != span && !strings.HasPrefix(word, "./") || !pathLike.MatchString(word) {
		return nil
	}
	if b := braces.FindStringSubmatch(word); b != nil {
		var problems []string
		for _, part := range strings.Split(b[2], ",") {
			problems = append(problems, tr.checkPath(b[1]+part+b[3], folders)...)
		}
		return problems
	}
	name := path.Clean(strings.TrimPrefix(word, "metrolab/"))
	if name == "." || built(name) || slices.Contains(planned, name) {
		return nil
	}
	first, _, nested := strings.Cut(name, "/")
	switch {
	case tr.has(name):
		if folder := path.Dir(name); tr.isDir(name) {
			*folders = append(*folders, name)
		} else if folder != "." {
			*folders = append(*folders, folder)
		}
	case slices.ContainsFunc(*folders, func(f string) bool { return tr.has(path.Join(f, name)) }):
	case nested && tr.has(first), nested && sourceFile.MatchString(name):
		return []string{fmt.Sprintf("no file or folder %s", name)}
	case !nested && sourceFile.MatchString(name) && len(*folders) > 0:
		return []string{fmt.Sprintf("no file %s in %s; it is in: %s", name, strings.Join(*folders, ", "), strings.Join(tr.files[name], ", "))}
	case !nested && sourceFile.MatchString(name) && len(tr.files[name]) == 0:
		return []string{fmt.Sprintf("no file %s anywhere", name)}
	}
	return nil
}

var (
	testName   = regexp.MustCompile(`^(…|\b)(?:Test|Benchmark|Fuzz|Example)(?:[A-Z]\w*)?`)
	anyTest    = regexp.MustCompile(`\b(?:Test|Benchmark|Fuzz)[A-Z]\w*`)
	ending     = regexp.MustCompile(`^…([A-Z]\w*)$`)
	runFlag    = regexp.MustCompile(`-(?:run|bench|fuzz)[ =]'?"?([^\s'"]+)`)
	qualified  = regexp.MustCompile(`(?:^|[^\w./])([a-z]\w*)\.([A-Z]\w*)(?:\.([A-Z]\w*))?`)
	identifier = regexp.MustCompile(`^[A-Z]\w*[a-z]\w*(\.[A-Z]\w*)?$`)
	variable   = regexp.MustCompile(`\bMETROLAB_\w+`)
)

// checkNames returns what is wrong with the names in a piece of code: of tests, of what our packages declare, and of
// environment variables.
func (tr *tree) checkNames(code string) []string {
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if end := ending.FindStringSubmatch(code); end != nil && !tr.anyTest(end[1]+"$") {
		add("no test has a name that ends with %s", end[1])
	}
	patterns := runFlag.FindStringSubmatch(code)
	if patterns != nil && !tr.anyTest(patterns[1]) && patterns[1] != "." && patterns[1] != "^$" {
		add("no test matches %s", patterns[1])
	}
	for _, name := range anyTest.FindAllString(code, -1) {
		if len(tr.tests[name]) == 0 && (patterns == nil || !strings.Contains(patterns[1], name)) {
			add("no test %s", name)
		}
	}
	for _, m := range qualified.FindAllStringSubmatch(code, -1) {
		pkg, ours := tr.decls[m[1]]
		if !ours || m[1] == "main" {
			continue
		}
		name := m[2]
		if m[3] != "" && pkg[name] {
			name += "." + m[3]
		}
		if !pkg[name] {
			add("no %s.%s", m[1], name)
		}
	}
	for _, name := range variable.FindAllString(code, -1) {
		if !strings.Contains(tr.text.String(), name) {
			add("nothing reads $%s", name)
		}
	}
	return problems
}

// anyTest says whether a pattern matches the name of a test.
func (tr *tree) anyTest(pattern string) bool {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return false
	}
	for name := range tr.tests {
		if re.MatchString(name) {
			return true
		}
	}
	return false
}

var testsInFolder = regexp.MustCompile("((?:`(?:…|Test|Benchmark|Fuzz)[^`]*`(?:, | and )?)+) \\(([\\w/]+)\\)")

// checkPlaces returns the tests that are not where the text says: "`TestOne`, `TestTwo` (metro/data)".
func (tr *tree) checkPlaces(unit docs.Text) []string {
	var problems []string
	for _, m := range testsInFolder.FindAllStringSubmatch(unit.Text, -1) {
		for _, span := range (docs.Text{Text: m[1]}).Spans() {
			name := anyTest.FindString(span.Text)
			folders := tr.tests[name]
			inside := func(folder string) bool { return folder == m[2] || strings.HasPrefix(folder, m[2]+"/") }
			if len(folders) > 0 && !slices.ContainsFunc(folders, inside) {
				problems = append(problems, fmt.Sprintf("%s is in %s, not in %s", name, strings.Join(folders, ", "), m[2]))
			}
		}
	}
	return problems
}
