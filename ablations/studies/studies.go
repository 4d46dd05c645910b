// SPDX-License-Identifier: Apache-2.0

package studies

import (
	"maps"
	"slices"
	"strings"

	"metrolab/ablations"
	"metrolab/internal/usererr"
	"metrolab/metro/recipes"
)

// byName makes a study for a kind of backend ("go" for pure Go).
var byName = map[string]func(backend string) ablations.Study{
	"quickstart":   Quickstart,
	"babylm":       BabyLM("babylm", "babylm-small", recipes.BabyLMSmall()),
	"babylm-micro": BabyLM("babylm-micro", "micro", recipes.Micro()),
	"supertiny":    SuperTiny,
	"aa":           AA("aa", "tiny", recipes.Tiny(), aaSeeds...),
	"aa-micro":     AA("aa-micro", "micro", recipes.Micro(), 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111),
}

// Names lists the studies.
func Names() []string { return slices.Sorted(maps.Keys(byName)) }

// Get returns the study of that name, cut to what the kind of backend can do in the time that the study promises. An
// unknown name is the user's error.
func Get(name, backend string) (ablations.Study, error) {
	study, ok := byName[name]
	if !ok {
		return ablations.Study{}, usererr.New("there is no study %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return study(backend), nil
}
