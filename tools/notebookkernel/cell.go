// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strings"
	"sync"
)

// isGo says whether a cell is Go, and not a script or a file to write.
func isGo(code string) bool {
	first, _, _ := strings.Cut(code, "\n")
	return !strings.HasPrefix(first, "%%") || strings.Fields(first)[0] == "%%"
}

// isCommand says whether a line is for GoNB or the shell.
func isCommand(line string) bool { return strings.HasPrefix(line, "%") || strings.HasPrefix(line, "!") }

// isMain says whether a line begins the cell's main function.
func isMain(line string) bool {
	word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	return word == "%%" || word == "%main"
}

// goFile makes a cell a Go file: line i of the cell is line i+1 of the file, column by column, and the first line is head.
func goFile(head, code string) string {
	var b strings.Builder
	b.WriteString(head)
	inMain := false
	for line := range strings.Lines(code + "\n") {
		b.WriteByte('\n')
		switch line = strings.TrimSuffix(line, "\n"); {
		case isMain(line) && !inMain:
			inMain = true
			b.WriteString("func main() {")
		case isCommand(line), strings.HasPrefix(line, "package "):
		default:
			b.WriteString(line)
		}
	}
	if inMain {
		b.WriteString("\n}")
	}
	b.WriteByte('\n')
	return b.String()
}

// memory is what earlier cells have declared, as GoNB keeps it: a later declaration of a name takes the place of the former.
type memory struct {
	mu      sync.Mutex
	decls   map[string]string // by name: Go text
	imports map[string]string // path → the name that the cell gives it, or ""
	locals  map[string]int    // variable of a cell's main → the cell's number
}

func newMemory() *memory {
	return &memory{decls: map[string]string{}, imports: map[string]string{}, locals: map[string]int{}}
}

// learn takes in a cell that was compiled. count is its number.
func (m *memory) learn(code string, count int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.obey(code)
	if !isGo(code) {
		return
	}
	text := goFile("package main", code)
	file, err := parser.ParseFile(token.NewFileSet(), "", text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return
	}
	for _, spec := range file.Imports {
		m.imports[pathOf(spec)] = aliasOf(spec)
	}
	for names, decl := range declarations(text, file) {
		for name := range strings.FieldsSeq(names) {
			for other := range m.decls {
				if slices.Contains(strings.Fields(other), name) {
					delete(m.decls, other)
				}
			}
			delete(m.locals, name)
		}
		m.decls[names] = decl
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "main" && f.Body != nil {
			for name := range locals(f.Body) {
				m.locals[name] = count
			}
		}
	}
}

// obey follows the commands that forget.
func (m *memory) obey(code string) {
	for line := range strings.Lines(code) {
		switch words := strings.Fields(line); {
		case len(words) > 0 && words[0] == "%reset":
			m.decls, m.imports = map[string]string{}, map[string]string{}
		case len(words) > 1 && (words[0] == "%rm" || words[0] == "%remove"):
			for _, name := range words[1:] {
				delete(m.decls, name)
			}
		}
	}
}

func pathOf(spec *ast.ImportSpec) string { return strings.Trim(spec.Path.Value, "`\"") }

// aliasOf is the name that an import is given, or "".
func aliasOf(spec *ast.ImportSpec) string {
	if spec.Name == nil {
		return ""
	}
	return spec.Name.Name
}

// eachImport calls do with what earlier cells have imported.
func (m *memory) eachImport(do func(alias, path string)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, path := range slices.Sorted(maps.Keys(m.imports)) {
		do(m.imports[path], path)
	}
}

// declarations are the texts of a file's declarations but imports and main, by the names that each declares.
func declarations(text string, file *ast.File) map[string]string {
	found := map[string]string{}
	for _, d := range file.Decls {
		if names := strings.Join(namesOf(d), " "); names != "" && names != "main" {
			found[names] = text[d.Pos()-1 : d.End()-1]
		}
	}
	return found
}

// namesOf are the names that a declaration declares; an import declares none.
func namesOf(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return []string{functionName(d)}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, spec.Name.Name)
			case *ast.ValueSpec:
				for _, n := range spec.Names {
					names = append(names, n.Name)
				}
			}
		}
	}
	return names
}

// functionName is a function's name, with its receiver's type before it.
func functionName(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return d.Name.Name
	}
	of := ""
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && of == "" {
			of = id.Name
		}
		return true
	})
	return of + "." + d.Name.Name
}

// locals are the variables that a function's body declares at its outermost level.
func locals(body *ast.BlockStmt) map[string]bool {
	names := map[string]bool{}
	for _, s := range body.List {
		switch s := s.(type) {
		case *ast.AssignStmt:
			for _, left := range s.Lhs {
				if id, ok := left.(*ast.Ident); ok && s.Tok == token.DEFINE && id.Name != "_" {
					names[id.Name] = true
				}
			}
		case *ast.DeclStmt:
			if d, ok := s.Decl.(*ast.GenDecl); ok {
				for _, spec := range d.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok {
						for _, id := range v.Names {
							names[id.Name] = true
						}
					}
				}
			}
		}
	}
	return names
}

// local says which cell has a variable of that name in its main.
func (m *memory) local(name string) (count int, found bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	count, found = m.locals[name]
	return count, found
}

// declaredIn are the names of a file's declarations.
func declaredIn(file *ast.File) map[string]bool {
	own := map[string]bool{}
	for _, d := range file.Decls {
		for _, name := range namesOf(d) {
			own[name] = true
		}
	}
	return own
}

// names are all that are remembered, but methods.
func (m *memory) names() map[string]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]bool{}
	for names := range m.decls {
		for name := range strings.FieldsSeq(names) {
			all[name] = true
		}
	}
	return all
}

// besides is a Go file of all that is remembered but what the cell declares itself.
func (m *memory) besides(head string, own map[string]bool) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	b.WriteString(head)
	for _, names := range slices.Sorted(maps.Keys(m.decls)) {
		if !slices.ContainsFunc(strings.Fields(names), func(n string) bool { return own[n] }) {
			b.WriteString("\n" + m.decls[names])
		}
	}
	b.WriteByte('\n')
	return b.String()
}
