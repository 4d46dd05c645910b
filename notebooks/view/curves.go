// SPDX-License-Identifier: Apache-2.0

package view

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	"metrolab/metro/metrics"
	"metrolab/metro/runs"
	"metrolab/viz"
)

// Curves draws a metric of several runs. Runs that differ in the seed alone, such as those of an arm, are one series with a
// band. Series of one name are told apart by the settings in which they differ. A fork beside its trunk is drawn from the step
// at which it leaves it.
func Curves(metric string, of ...*Run) viz.Curves { return Must(curves(metric, of)) }

func curves(metric string, of []*Run) (viz.Curves, error) {
	c := viz.OverSteps(metric, metrics.Of(metric).Label)
	var arms []arm
	for _, run := range of {
		line, err := run.line(metric)
		if err != nil {
			return c, err
		}
		line = run.branch(line, of)
		own := armOf(run)
		at := slices.IndexFunc(arms, func(a arm) bool { return a.name == own.name && maps.Equal(a.settings, own.settings) })
		if at < 0 {
			at, arms = len(arms), append(arms, own)
			c.Series = append(c.Series, viz.Series{})
		}
		c.Series[at].Runs = append(c.Series[at].Runs, line)
	}
	for i, name := range armNames(arms) {
		c.Series[i].Name = name
	}
	return c, nil
}

// branch is the part of a run's line that its trunk does not have, with the point at which it leaves it, if that is drawn too.
func (r *Run) branch(line viz.Line, drawn []*Run) viz.Line {
	var document struct {
		Config struct {
			Training struct {
				Fork string `json:"fork"`
			} `json:"training"`
		} `json:"config"`
	}
	if runs.ReadJSON(r.Path(runs.ConfigFile), &document) != nil {
		return line
	}
	trunk, at, _ := strings.Cut(filepath.Base(document.Config.Training.Fork), "@")
	step, err := strconv.ParseFloat(at, 64)
	if err != nil || !slices.ContainsFunc(drawn, func(other *Run) bool { return other.ID == trunk }) {
		return line
	}
	shared := sort.SearchFloat64s(line.X, step)
	if shared == len(line.X) {
		return line
	}
	return viz.Line{X: line.X[shared:], Y: line.Y[shared:]}
}

// arm is what runs of one series share: their name, and all that decides their numbers but the seed, by path.
type arm struct {
	name     string
	settings map[string]string
}

// armOf reads a run's config.json; of one that cannot be read the name has to do.
func armOf(r *Run) arm {
	a := arm{r.Name, map[string]string{}}
	var document json.RawMessage
	if runs.ReadJSON(r.Path(runs.ConfigFile), &document) != nil {
		return a
	}
	leaves, err := runs.Flatten(document)
	if err != nil {
		return a
	}
	for path, value := range leaves {
		a.settings[path] = fmt.Sprint(value)
	}
	for _, path := range []string{"seed", "config.seed", "key_hash", "name"} {
		delete(a.settings, path)
	}
	return a
}

// armNames are the names of arms, no two alike: those that share one say how they differ.
func armNames(arms []arm) []string {
	names := make([]string, len(arms))
	for i, a := range arms {
		var alike []arm
		for _, other := range arms {
			if other.name == a.name {
				alike = append(alike, other)
			}
		}
		names[i] = a.name
		if differs := a.among(alike); differs != "" {
			names[i] += " (" + differs + ")"
		}
	}
	return names
}

// among lists the settings in which arms of one name differ, as a has them; empty if there is no other.
func (a arm) among(alike []arm) string {
	var words []string
	for _, path := range paths(alike) {
		if slices.ContainsFunc(alike, func(other arm) bool { return other.settings[path] != a.settings[path] }) {
			words = append(words, strings.TrimPrefix(path, "config.")+"="+a.settings[path])
		}
	}
	return strings.Join(words, ", ")
}

// paths are those of all settings, in the order of their names.
func paths(arms []arm) []string {
	all := map[string]bool{}
	for _, a := range arms {
		for path := range a.settings {
			all[path] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
