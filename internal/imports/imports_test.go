// SPDX-License-Identifier: Apache-2.0

package imports

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mayImport says for each room which other rooms its packages may import outside tests; every room may import itself and
// internal. A package belongs to the room with the longest matching name.
var mayImport = map[string][]string{
	"internal":             {},
	"internal/backendtest": {"metro/backend"},
	"layers":               {},
	"layers/moe":           {"layers"},
	"metro":                {"layers", "layers/moe", "metro/masking"},
	"metro/backend":        {},
	"metro/bench":          append([]string{"viz", "viz/table"}, aboveMetro...),
	"metro/compress":       aboveMetro,
	"metro/corruptions":    {},
	"metro/data":           aboveMetro,
	"metro/grow":           append([]string{"layers/moe"}, aboveMetro...),
	"metro/hf":             aboveMetro,
	"metro/hlo":            {},
	"metro/masking":        {},
	"metro/metrics":        {},
	"metro/minimalpairs":   aboveMetro,
	"metro/outputs":        aboveMetro,
	"metro/plan":           {"layers", "metro", "metro/training"},
	"metro/recipes":        aboveMetro,
	"metro/runs":           aboveMetro,
	"metro/tasks":          aboveMetro,
	"metro/text":           aboveMetro,
	"metro/tokens":         aboveMetro,
	"metro/training":       aboveMetro,
	"metro/weights":        {"layers", "metro"},
	"metro/cli":            everything,
	"metro/workspace":      append([]string{"metro/backend"}, aboveMetro...),
	"viz":                  {"viz/display", "viz/internal", "viz/table"},
	"viz/display":          {},
	"viz/internal":         {},
	"viz/notebook":         {"viz/display", "viz/internal"},
	"viz/report":           {"viz", "viz/internal", "viz/table"},
	"viz/table":            {"viz/display", "viz/internal"},
	"ablations":            append([]string{"viz", "viz/report", "viz/table"}, aboveMetro...),
	"scripts":              append([]string{"metro/cli"}, everything...),
	"notebooks":            append([]string{"notebooks/view", "viz/display", "viz/notebook"}, everything...),
	"notebooks/lab":        {"ablations", "metro", "metro/runs", "metro/text", "metro/training", "notebooks/view", "viz/display", "viz/notebook", "viz/table"},
	"notebooks/lab/local":  append([]string{"notebooks/lab", "notebooks/view"}, everything...),
	"notebooks/lab/worker": append([]string{"notebooks/lab", "notebooks/lab/local", "notebooks/view"}, everything...),
	"notebooks/view":       {"metro/metrics", "metro/runs", "viz", "viz/display", "viz/notebook", "viz/table"},
	"notebooks/shelf":      {"metro/runs", "notebooks/view", "viz", "viz/display", "viz/table"},
}

var (
	aboveMetro = []string{"layers", "metro", "metro/compress", "metro/corruptions", "metro/data", "metro/grow", "metro/hf", "metro/masking", "metro/metrics", "metro/minimalpairs", "metro/outputs", "metro/recipes", "metro/runs", "metro/tasks", "metro/text", "metro/tokens", "metro/training", "metro/weights"}
	everything = append([]string{"ablations", "metro/backend", "metro/bench", "metro/hlo", "metro/plan", "metro/workspace", "viz", "viz/report", "viz/table"}, aboveMetro...)
)

const module = "metrolab/"

// engines are the packages that run graphs; only programs and tests choose one.
var engines = []string{"github.com/gomlx/go-xla", "github.com/gomlx/compute/gobackend"}

type pkg struct {
	ImportPath                               string
	Imports, TestImports, XTestImports, Deps []string
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range project(t) {
		from := room(p.ImportPath)
		require.NotEmpty(t, from, "%s is in no room; see docs/design.md", p.ImportPath)
		for _, path := range p.Imports {
			require.True(t, allowed(from, room(path)), "%s must not import %s", p.ImportPath, path)
		}
	}
}

func TestTheRules(t *testing.T) {
	for path, want := range map[string]string{
		"metrolab/layers": "layers", "metrolab/metro": "metro", "metrolab/metro/tokens/wordpiece": "metro/tokens",
		"metrolab/ablations/studies": "ablations", "metrolab/internal/usererr": "internal", "metrolab/elsewhere": "",
		"github.com/gomlx/gomlx/core/graph": "", "fmt": "",
	} {
		require.Equal(t, want, room(path), path)
	}
	require.True(t, allowed("metro", "layers"))
	require.True(t, allowed("metro/training", "metro/data"))
	require.True(t, allowed("viz", "internal"))
	require.True(t, allowed("viz/report", "viz"))
	require.False(t, allowed("viz/table", "viz"))
	require.True(t, allowed("layers", ""))
	require.False(t, allowed("layers", "metro"))
	require.True(t, allowed("metro", "metro/masking"))
	require.False(t, allowed("metro", "metro/data"))
	require.False(t, allowed("metro/masking", "metro"))
	require.False(t, allowed("viz", "metro/runs"))
	require.False(t, allowed("ablations", "metro/backend"))
	require.False(t, allowed("internal", "metro"))
}

func TestOnlyTheBackendPackageImportsXLA(t *testing.T) {
	for _, p := range project(t) {
		if room(p.ImportPath) == "metro/backend" {
			continue
		}
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			require.False(t, strings.HasPrefix(path, engines[0]), "%s imports %s; use metro/backend", p.ImportPath, path)
		}
	}
}

func TestLibrariesLinkNoEngine(t *testing.T) {
	for _, p := range project(t) {
		switch room(p.ImportPath) {
		case "metro/backend", "metro/workspace", "metro/cli", "internal/backendtest", "scripts", "notebooks", "notebooks/lab/local", "notebooks/lab/worker":
			continue
		}
		for _, engine := range engines {
			linked := func(dep string) bool { return dep == engine || strings.HasPrefix(dep, engine+"/") }
			require.False(t, slices.ContainsFunc(p.Deps, linked), "%s links %s", p.ImportPath, engine)
		}
	}
}

// Fonts, the plotting library and the notebook's protocol are linked by those who draw, and by nobody else.
func TestWhoPrintsLinksNoFontsAndNoNotebook(t *testing.T) {
	drawing := []string{"gonum.org/v1/plot", "golang.org/x/image", "codeberg.org/go-fonts"}
	const gonb = "github.com/janpfeifer/gonb"
	cells := []string{"notebooks", "notebooks/lab", "notebooks/lab/local", "notebooks/lab/worker", "notebooks/view", "notebooks/shelf"}
	draws := append([]string{"viz", "viz/report", "viz/notebook", "ablations", "metro/bench", "metro/cli", "scripts"}, cells...)
	shows := append([]string{"viz/notebook"}, cells...)
	for _, p := range project(t) {
		for _, dep := range p.Deps {
			within := func(path string) bool { return dep == path || strings.HasPrefix(dep, path+"/") }
			require.False(t, !slices.Contains(draws, room(p.ImportPath)) && slices.ContainsFunc(drawing, within), "%s links %s", p.ImportPath, dep)
			require.False(t, !slices.Contains(shows, room(p.ImportPath)) && within(gonb), "%s links %s", p.ImportPath, dep)
		}
	}
}

// A reader of tables is linked by programs that make corpora and by those that write tables, and not by cells, which wait for the linker.
func TestCellsLinkNoParquet(t *testing.T) {
	const parquet = "github.com/parquet-go/parquet-go"
	for _, p := range project(t) {
		switch room(p.ImportPath) {
		case "metro/text", "metro/workspace", "metro/cli", "scripts", "notebooks/lab/local", "notebooks/lab/worker":
			continue // metro/text/parquet is in the room of metro/text
		}
		require.NotContains(t, p.Deps, parquet, p.ImportPath)
	}
}

// The Hugging Face hub is the command's alone: nothing else of the project reaches for the network.
func TestTheCommandAloneLinksTheHub(t *testing.T) {
	for _, p := range project(t) {
		if r := room(p.ImportPath); r != "metro/cli" && r != "scripts" {
			require.NotContains(t, p.Deps, "github.com/gomlx/go-huggingface/hub", p.ImportPath)
		}
	}
}

// allowed reports whether a package of one room may import a package of the other. Packages of other modules are in no room.
func allowed(from, to string) bool {
	return to == "" || to == from || to == "internal" || slices.Contains(mayImport[from], to)
}

// room returns the room that a package of this module belongs to, or "" for other packages.
func room(path string) string {
	path, ours := strings.CutPrefix(path, module)
	for ours && path != "" {
		if _, ok := mayImport[path]; ok {
			return path
		}
		path = path[:max(0, strings.LastIndexByte(path, '/'))]
	}
	return ""
}

func project(t *testing.T) []pkg {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command to list the packages; put it on the PATH")
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports,Deps", module+"...")
	out, err := cmd.Output()
	require.NoError(t, err, "%s", cmd)
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		pkgs = append(pkgs, p)
	}
	require.NotEmpty(t, pkgs)
	return pkgs
}
