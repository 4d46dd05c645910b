// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"metrolab/metro/runs"
	"metrolab/viz/report"
)

// provenance merges that of all runs that have started: one line a fact, with every value that occurred.
func (r Results) provenance() ([]report.Field, error) {
	values := map[string][]string{}
	note := func(name string, value any) {
		if text := fmt.Sprint(value); text != "" && !slices.Contains(values[name], text) {
			values[name] = append(values[name], text)
		}
	}
	err := r.eachStarted(func(_ Run, dir *runs.Run) error {
		var p runs.Provenance
		if err := runs.ReadJSON(dir.Path(runs.ProvenanceFile), &p); err != nil {
			return err
		}
		note("revision", p.Source.Commit)
		note("uncommitted changes", map[bool]string{true: "yes", false: "no"}[p.Source.Dirty])
		note("command", strings.Join(p.Command, " "))
		note("go", strings.TrimSpace(p.Go+" "+p.Experiments))
		note("system", p.OS+"/"+p.Architecture)
		note("processor", fmt.Sprintf("%s, %d cores", p.CPU, p.Cores))
		note("backend", p.Backend.Name+" "+p.Backend.Platform)
		note("plugin", strings.TrimSpace(p.Backend.Plugin+" "+p.Backend.Version))
		note("date", p.Started.UTC().Format(time.DateOnly))
		for _, module := range []string{"github.com/gomlx/gomlx", "github.com/gomlx/compute", "github.com/gomlx/go-xla"} {
			note(module, p.Modules[module])
		}
		return nil
	})
	var list []report.Field
	for _, name := range slices.Sorted(maps.Keys(values)) {
		list = append(list, report.Field{Name: name, Value: strings.Join(values[name], "; ")})
	}
	return list, err
}
