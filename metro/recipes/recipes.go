// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"maps"
	"slices"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro"
)

var byName = map[string]func() metro.Config{"micro": Micro, "tiny": Tiny, "mini": Mini, "base": Base}

// Names lists the recipes, smallest first.
func Names() []string {
	return slices.SortedFunc(maps.Keys(byName), func(a, b string) int {
		c, d := byName[a]().Main, byName[b]().Main
		return c.Layers*c.Width*c.Width - d.Layers*d.Width*d.Width
	})
}

// Get returns the recipe of that name. An unknown name is the user's error and lists the known ones.
func Get(name string) (metro.Config, error) {
	recipe, ok := byName[name]
	if !ok {
		return metro.Config{}, usererr.New("there is no recipe %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return recipe(), nil
}
