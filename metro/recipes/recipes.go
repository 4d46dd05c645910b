// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro"
)

// Recipe is a named config.
type Recipe struct {
	Name      string
	Certainty string              // where its numbers come from, in a few words; the header says it number by number
	Config    func() metro.Config // a new copy at each call
}

var all = []Recipe{
	{"micro", "ours, for tests", Micro},
	{"tiny", "ours", Tiny},
	{"mini", "ours, hours on two cores", Mini},
	{"babylm-small", "ours, not run", BabyLMSmall},
	{"electra-small", "published code", ElectraSmall},
	{"electra-base", "published code", ElectraBase},
	{"electra-large", "published code", ElectraLarge},
	{"cocolm-base", "code; rates from memory", CocoLMBase},
	{"cocolm-base++", "code; schedule from memory", CocoLMBasePP},
	{"cocolm-large++", "code; schedule from memory", CocoLMLargePP},
	{"metro-base", "METRO-T0's code, and ours", MetroBase},
	{"metro-base++", "METRO-T0's code, and ours", MetroBasePP},
	{"metro-large", "ours; no such model known", MetroLarge},
	{"metro-large++", "METRO-T0's code, and ours", MetroLargePP},
	{"fast-electra", "reviews, memory, and ours", FastElectra},
}

// All lists the recipes by family, smallest first.
func All() []Recipe { return slices.Clone(all) }

// Names lists their names in that order.
func Names() []string {
	names := make([]string, len(all))
	for i, r := range all {
		names[i] = r.Name
	}
	return names
}

// Find returns the recipe of that name. An unknown name is the user's error and lists the known ones.
func Find(name string) (Recipe, error) {
	named := func(r Recipe) bool { return r.Name == name }
	if i := slices.IndexFunc(all, named); i >= 0 {
		return all[i], nil
	}
	if slices.ContainsFunc(Shapes(), named) {
		return Recipe{}, usererr.New("%s is a size for planning and no recipe: too little is known of it to train it; the nearest recipe is metro-large++", name)
	}
	return Recipe{}, usererr.New("there is no recipe %q; there are %s", name, strings.Join(Names(), ", "))
}

// Get returns the config of the recipe of that name; see [Find].
func Get(name string) (metro.Config, error) {
	r, err := Find(name)
	if err != nil {
		return metro.Config{}, err
	}
	return r.Config(), nil
}

// The headers are read from the sources, so that each stands in one place.
//
//go:embed micro.go tiny.go mini.go babylm_*.go electra_*.go cocolm_*.go metro_*.go fast_*.go
var sources embed.FS

// About returns the header of the recipe's file, a Go doc comment.
func (r Recipe) About() string {
	name := strings.NewReplacer("-", "_", "++", "pp").Replace(r.Name) + ".go"
	source, err := sources.ReadFile(name)
	if err != nil {
		panic(err) // a test asks each recipe
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments)
	if err != nil {
		panic(err)
	}
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok {
			return f.Doc.Text()
		}
	}
	panic(fmt.Sprintf("recipes: %s holds no recipe", name))
}

// withGenerator gives c's generator the shape that a rule of [metro.SizeGenerator] makes of the main model's.
func withGenerator(c metro.Config, rule string) metro.Config {
	if err := c.Set("generator.size=" + rule); err != nil {
		panic(err)
	}
	return c
}
