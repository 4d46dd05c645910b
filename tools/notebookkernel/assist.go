// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// An assistant answers the Tab key and the questions about names.
//
// The cell and what earlier cells have declared are two files of a package that only gopls sees. Both import, always, all
// that this checkout offers to cells and all that it imports itself: gopls reads a package's imports anew, by the go command,
// whenever their list changes, and that takes a second or more. A cell's own imports of the same packages are blanked.
type assistant struct {
	folder, root string
	group        int // of processes that end with this one
	memory       *memory
	known        map[string]string // packages that cells may use: name → path

	mu    sync.Mutex // one question at a time
	ready chan struct{}
	gopls *gopls // once ready; nil if there is none
}

// patience is for a question that comes before gopls is ready. JupyterLab waits one second, other programs longer.
const patience = 10 * time.Second

// newAssistant makes gopls ready in the background for cells that use the packages of the checkout at root. Without a gopls
// on the PATH it answers nothing.
func newAssistant(folder, root string, group int) *assistant {
	a := &assistant{folder: filepath.Join(folder, "cell"), root: root, group: group, memory: newMemory(), ready: make(chan struct{})}
	go func() {
		defer close(a.ready)
		if _, err := exec.LookPath("gopls"); err != nil {
			return
		}
		began := time.Now()
		if err := a.prepare(); err != nil {
			a.gopls = nil
			fmt.Fprintln(os.Stderr, "notebookkernel: the Tab key finds nothing:", err)
			return
		}
		fmt.Fprintf(os.Stderr, "notebookkernel: gopls is ready after %.1f s\n", time.Since(began).Seconds())
	}()
	return a
}

// prepare makes the package that gopls sees, starts gopls, and asks a first question, which makes it read all imports.
func (a *assistant) prepare() error {
	if err := os.Mkdir(a.folder, 0o700); err != nil {
		return err
	}
	module, err := a.makeModule()
	if err != nil {
		return err
	}
	if err := a.list(module); err != nil {
		return err
	}
	cell, others := a.files("%%\nfmt.Println()", 0)
	for file, text := range map[string]string{a.cellFile(): cell, a.memoryFile(): others} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
	}
	ctx := context.Background()
	if a.gopls, err = startGopls(ctx, a.folder, environment(), a.group); err != nil {
		return err
	}
	if err := a.gopls.open(a.cellFile(), cell); err != nil {
		return err
	}
	if err := a.gopls.open(a.memoryFile(), others); err != nil {
		return err
	}
	return a.gopls.ask(ctx, "textDocument/completion", at(a.cellFile(), 2, len("fmt.")), nil)
}

func (a *assistant) cellFile() string   { return filepath.Join(a.folder, "cell.go") }
func (a *assistant) memoryFile() string { return filepath.Join(a.folder, "memory.go") }

// environment is that of the go command for gopls: no network, no workspace, and no C, which takes a compiler to read.
func environment() []string {
	return append(os.Environ(), "GOPROXY=off", "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0", "GOTELEMETRY=off")
}

// makeModule writes a module that requires the checkout's and all that it requires; it returns the checkout's name.
func (a *assistant) makeModule() (module string, err error) {
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(a.root, name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(a.folder, name), text, 0o600); err != nil {
			return "", err
		}
	}
	out, err := run(a.root, "go", "list", "-m")
	if err != nil {
		return "", err
	}
	module = strings.TrimSpace(out)
	_, err = run(a.folder, "go", "mod", "edit", "-module=cell", "-require="+module+"@v0.0.0", "-replace="+module+"@v0.0.0="+a.root)
	return module, err
}

// list finds the packages that cells may use: those of the checkout that are no commands and not internal, and what these
// import. Of two with one name the checkout's comes first, then the one with the shorter path.
func (a *assistant) list(module string) error {
	out, err := run(a.root, "go", "list", "-e", "-deps", "-tags=noxla", "-f", `{{.Name}} {{.ImportPath}} {{.DepOnly}} {{join .Imports " "}}`, "./...")
	if err != nil {
		return err
	}
	names, wanted := map[string]string{}, map[string]bool{}
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		names[words[1]] = words[0]
		if words[2] == "true" || words[0] == "main" || isInternal(words[1]) {
			continue
		}
		wanted[words[1]] = true
		for _, path := range words[3:] {
			wanted[path] = !isInternal(path)
		}
	}
	a.known = map[string]string{}
	paths := slices.Sorted(maps.Keys(wanted))
	slices.SortStableFunc(paths, func(x, y string) int {
		ours := func(p string) int { return len(p) - 1000*btoi(strings.HasPrefix(p, module+"/")) }
		return ours(x) - ours(y)
	})
	for _, path := range paths {
		name := names[path]
		if _, taken := a.known[name]; wanted[path] && !taken && name != "" && path != "C" && path != "unsafe" {
			a.known[name] = path
		}
	}
	return nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func isInternal(path string) bool {
	return slices.Contains(strings.Split(path, "/"), "internal") || strings.HasPrefix(path, "vendor/")
}

// headOf is the first line of the files: all known packages, but those whose names the cell gives to others of its own or
// cells have declared.
func (a *assistant) headOf(own map[string]string, declared map[string]bool) string {
	imports := maps.Clone(a.known)
	maps.Copy(imports, own)
	var b strings.Builder
	b.WriteString("package main; import (")
	for _, name := range slices.Sorted(maps.Keys(imports)) {
		if !declared[name] {
			fmt.Fprintf(&b, "%s %q; ", name, imports[name])
		}
	}
	b.WriteString(")")
	return b.String()
}

// run runs a command of the go tool and returns what it prints.
func run(folder string, words ...string) (string, error) {
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir, cmd.Env = folder, environment()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(words[:2], " "), err, stderr.String())
	}
	return string(out), nil
}

// question is what a request asks, as a function that answers it; nil if it is GoNB's to answer.
func (a *assistant) question(kind string, content []byte) func() (string, any) {
	select {
	case <-a.ready:
		if a.gopls == nil {
			return nil
		}
	default:
	}
	var asked struct {
		Code   string `json:"code"`
		Cursor int    `json:"cursor_pos"`
	}
	if json.Unmarshal(content, &asked) != nil || !isGo(asked.Code) {
		return nil
	}
	before := prefix(asked.Code, asked.Cursor)
	if isCommand(lastLine(before)) {
		return nil
	}
	return func() (string, any) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		select {
		case <-a.ready:
		case <-ctx.Done():
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if kind == "inspect_request" {
			return "inspect_reply", a.inspect(ctx, asked.Code, before)
		}
		return "complete_reply", a.complete(ctx, asked.Code, before)
	}
}

// prefix is the part of a text before a cursor, which Jupyter counts in code points.
func prefix(code string, cursor int) string {
	for at := range code {
		if cursor--; cursor < 0 {
			return code[:at]
		}
	}
	return code
}

func lastLine(text string) string { return text[strings.LastIndexByte(text, '\n')+1:] }

// at is a place in a file, by line and by column in UTF-16 units, from 0.
func at(file string, line, column int) map[string]any {
	return map[string]any{
		"textDocument": map[string]string{"uri": uri(file)},
		"position":     map[string]int{"line": line, "character": column},
	}
}

// show shows gopls a cell and returns the place of the end of before, which the cell begins with.
func (a *assistant) show(code, before string) (map[string]any, error) {
	line := 1 + strings.Count(before, "\n")
	cell, others := a.files(code, line)
	if err := a.gopls.show(a.cellFile(), cell); err != nil {
		return nil, err
	}
	if err := a.gopls.show(a.memoryFile(), others); err != nil {
		return nil, err
	}
	return at(a.cellFile(), line, len(utf16.Encode([]rune(lastLine(before))))), nil
}

// files are a cell as a Go file whose first line imports what the cell imports, in which the cell's own imports are blank, and
// a file of what earlier cells have declared. An import on the line of the cursor is left, to be completed. What earlier
// cells have imported is there too.
func (a *assistant) files(code string, cursor int) (cell, others string) {
	own := map[string]string{}
	a.memory.eachImport(func(name, path string) { a.add(own, name, path) })
	const begin = "package main"
	text := []byte(goFile(begin, code))
	set := token.NewFileSet()
	file, _ := parser.ParseFile(set, "", text, parser.SkipObjectResolution) // a cell in the making has mistakes
	for _, d := range file.Decls {
		d, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range d.Specs {
			spec, ok := spec.(*ast.ImportSpec)
			if !ok || pathOf(spec) == "" || set.Position(spec.Pos()).Line-1 == cursor || !a.add(own, aliasOf(spec), pathOf(spec)) {
				continue
			}
			for i := spec.Pos() - 1; i < spec.End()-1; i++ {
				text[i] = ' '
			}
			if !d.Lparen.IsValid() {
				copy(text[spec.Pos()-1:], "()")
			}
		}
	}
	declared := declaredIn(file)
	hidden := a.memory.names()
	maps.Copy(hidden, declared)
	return a.headOf(own, hidden) + string(text[len(begin):]), a.memory.besides(a.headOf(nil, hidden), declared)
}

// add notes an import of a cell, unless every file has it. It says false for one that has no name of its own.
func (a *assistant) add(own map[string]string, alias, path string) bool {
	if alias == "_" || alias == "." {
		return false
	}
	if alias == "" {
		alias = path[strings.LastIndex(path, "/")+1:]
		for name, known := range a.known {
			if known == path {
				alias = name
			}
		}
	}
	if token.IsIdentifier(alias) && a.known[alias] != path {
		own[alias] = path
	}
	return token.IsIdentifier(alias)
}

// complete answers a complete_request.
func (a *assistant) complete(ctx context.Context, code, before string) any {
	end := utf8.RuneCountInString(before)
	answer := map[string]any{"status": "ok", "matches": []string{}, "cursor_start": end, "cursor_end": end, "metadata": struct{}{}}
	if a.gopls == nil {
		return answer
	}
	place, err := a.show(code, before)
	if err != nil {
		return answer
	}
	var list struct {
		Items []item `json:"items"`
	}
	if err := a.gopls.ask(ctx, "textDocument/completion", place, &list); err != nil {
		return answer
	}
	position := place["position"].(map[string]int)
	matches, types, length := []string{}, []map[string]string{}, -1
	for _, it := range list.Items {
		n := it.length(position)
		if length < 0 && n >= 0 {
			length = n
		}
		if n < 0 || n != length || slices.Contains(matches, it.Edit.Text) {
			continue
		}
		matches = append(matches, it.Edit.Text)
		types = append(types, map[string]string{"text": it.Edit.Text, "type": kinds[it.Kind]})
	}
	if len(matches) > 0 {
		answer["matches"], answer["cursor_start"] = matches, end-runesIn(lastLine(before), length)
		answer["metadata"] = map[string]any{"_jupyter_types_experimental": types}
	}
	return answer
}

// kinds are the names of the language server protocol's numbers, for the letter that JupyterLab shows beside a name.
var kinds = map[int]string{2: "method", 3: "function", 5: "field", 6: "variable", 7: "type", 8: "interface", 9: "module", 14: "keyword", 21: "constant", 22: "struct"}

// item is a completion.
type item struct {
	Kind int `json:"kind"`
	Edit struct {
		Text  string `json:"newText"`
		Range struct {
			Start, End struct {
				Line      int `json:"line"`
				Character int `json:"character"`
			}
		} `json:"range"`
	} `json:"textEdit"`
}

// length is how much before the cursor the item takes the place of, in UTF-16 units; -1 if that is not all it changes.
func (it item) length(cursor map[string]int) int {
	start, end := it.Edit.Range.Start, it.Edit.Range.End
	if it.Edit.Text == "" || start.Line != cursor["line"] || end.Line != cursor["line"] || end.Character < cursor["character"] {
		return -1
	}
	return cursor["character"] - start.Character
}

// runesIn counts the code points in the last units of a line in UTF-16.
func runesIn(line string, units int) int {
	all := utf16.Encode([]rune(line))
	return len(utf16.Decode(all[len(all)-min(units, len(all)):]))
}

// inspect answers an inspect_request.
func (a *assistant) inspect(ctx context.Context, code, before string) any {
	answer := map[string]any{"status": "ok", "found": false, "data": struct{}{}, "metadata": struct{}{}}
	if a.gopls == nil {
		return answer
	}
	place, err := a.show(code, before)
	if err != nil {
		return answer
	}
	var hover struct {
		Contents struct {
			Value string `json:"value"`
		} `json:"contents"`
	}
	if err := a.gopls.ask(ctx, "textDocument/hover", place, &hover); err != nil || hover.Contents.Value == "" {
		return answer
	}
	answer["found"] = true
	answer["data"] = map[string]string{"text/markdown": hover.Contents.Value, "text/plain": hover.Contents.Value}
	return answer
}
