// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tree is what pages may name: the project's files and what its Go files declare.
type tree struct {
	root  fs.FS
	files map[string][]string        // base name → paths
	tests map[string][]string        // test, benchmark, fuzz target or example → folders
	decls map[string]map[string]bool // package → Name, Type.Member
	names map[string]bool            // every exported name: Name, Member, Type.Member
	text  strings.Builder            // of all Go files and scripts, for names of environment variables
}

// readTree walks the project, without what is built or trained in it.
func readTree(t *testing.T, root fs.FS) *tree {
	t.Helper()
	tr := &tree{root: root, files: map[string][]string{}, tests: map[string][]string{}, decls: map[string]map[string]bool{}, names: map[string]bool{}}
	require.NoError(t, fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (built(name) || name != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		tr.files[d.Name()] = append(tr.files[d.Name()], name)
		script := path.Ext(name) == ".sh" || strings.HasPrefix(name, "scripts/") && path.Ext(name) == ""
		if path.Ext(name) != ".go" && !script {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		tr.text.Write(text)
		if script {
			return nil
		}
		return tr.add(name, text)
	}))
	return tr
}

// built says whether a path leads to what is no part of the project: results, binaries, other people's packages.
func built(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return slices.Contains([]string{"runs", "bin", ".venv"}, first) || strings.HasPrefix(name, "tools/bin")
}

// add notes what a Go file declares.
func (tr *tree) add(name string, text []byte) error {
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	isTest := strings.HasSuffix(name, "_test.go")
	pkg := tr.decls[file.Name.Name]
	if pkg == nil && !isTest {
		pkg = map[string]bool{}
		tr.decls[file.Name.Name] = pkg
	}
	declare := func(owner, name string) {
		if isTest || !ast.IsExported(name) {
			return
		}
		tr.names[name] = true
		if owner != "" {
			name = owner + "." + name
		}
		pkg[name], tr.names[name] = true, true
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if isTest && d.Recv == nil && ast.IsExported(d.Name.Name) {
				tr.tests[d.Name.Name] = append(tr.tests[d.Name.Name], path.Dir(name))
			}
			declare(receiver(d), d.Name.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					declare("", spec.Name.Name)
					for _, member := range members(spec.Type) {
						declare(spec.Name.Name, member)
					}
				case *ast.ValueSpec:
					for _, n := range spec.Names {
						declare("", n.Name)
					}
				}
			}
		}
	}
	return nil
}

// receiver is the name of a method's type, "" for a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	of := d.Recv.List[0].Type
	for {
		switch t := of.(type) {
		case *ast.StarExpr:
			of = t.X
		case *ast.IndexExpr:
			of = t.X
		case *ast.IndexListExpr:
			of = t.X
		case *ast.Ident:
			return t.Name
		default:
			return ""
		}
	}
}

// members are the fields of a struct, the embedded ones by their type's name, or the methods of an interface.
func members(of ast.Expr) []string {
	var fields *ast.FieldList
	switch t := of.(type) {
	case *ast.StructType:
		fields = t.Fields
	case *ast.InterfaceType:
		fields = t.Methods
	default:
		return nil
	}
	var all []string
	for _, f := range fields.List {
		for _, n := range f.Names {
			all = append(all, n.Name)
		}
		if len(f.Names) == 0 {
			all = append(all, receiver(&ast.FuncDecl{Recv: &ast.FieldList{List: []*ast.Field{f}}}))
		}
	}
	return all
}

// has says whether a file or folder is there; a star stands for any names, and /... for all below.
func (tr *tree) has(name string) bool {
	found, err := fs.Glob(tr.root, path.Clean(strings.TrimSuffix(name, "...")))
	return err == nil && len(found) > 0
}

func (tr *tree) isDir(name string) bool {
	info, err := fs.Stat(tr.root, path.Clean(name))
	return err == nil && info.IsDir()
}

// project is this checkout, read once a test.
func project(t *testing.T) *tree {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	return readTree(t, os.DirFS(root))
}
