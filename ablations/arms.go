// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"slices"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro"
)

// Axis is a setting and the values that it takes in turn, as [metro.Config.Set] takes them.
type Axis struct {
	Path   string
	Values []string
}

// mostCells caps a grid: a study of more arms is a slip.
const mostCells = 10_000

// OneFactor returns a change for each value of each axis, all else as in the baseline. A value that the baseline has is left
// out. The changes are named by what they set.
func OneFactor(baseline metro.Config, axes ...Axis) ([]Change, error) {
	var all []Change
	for _, axis := range axes {
		changes, err := Grid(baseline, axis)
		if err != nil {
			return nil, err
		}
		all = append(all, changes...)
	}
	return all, nil
}

// Grid returns a change for each combination of the axes' values, the last axis fastest. A change sets, and is named by, what
// differs from the baseline alone; the combination that is the baseline is left out.
func Grid(baseline metro.Config, axes ...Axis) ([]Change, error) {
	cells := [][]string{nil}
	for i, axis := range axes {
		if slices.ContainsFunc(axes[:i], func(a Axis) bool { return a.Path == axis.Path }) {
			return nil, usererr.New("the grid has %s twice; list its values together", axis.Path)
		}
		if len(axis.Values) == 0 {
			return nil, usererr.New("the grid has no values for %s", axis.Path)
		}
		var more [][]string
		for _, cell := range cells {
			for _, value := range axis.Values {
				more = append(more, append(slices.Clone(cell), axis.Path+"="+value))
			}
		}
		if cells = more; len(cells) > mostCells {
			return nil, usererr.New("the grid has more than %d combinations", mostCells)
		}
	}
	var changes []Change
	for _, cell := range cells {
		set, err := differing(baseline, cell)
		if err != nil {
			return nil, err
		}
		if len(set) > 0 {
			changes = append(changes, Change{Name: NameOf(set), Set: set})
		}
	}
	return changes, nil
}

// Ladder returns the rungs as changes of which each keeps what those before it set: the first is the baseline and its own
// settings, the last has all of them.
func Ladder(rungs ...Change) []Change {
	var changes []Change
	var set []string
	for _, rung := range rungs {
		set = slices.DeleteFunc(slices.Clone(set), func(a string) bool {
			return slices.ContainsFunc(rung.Set, func(b string) bool { return pathOf(a) == pathOf(b) })
		})
		set = append(set, rung.Set...)
		changes = append(changes, Change{Name: rung.Name, Set: slices.Clone(set)})
	}
	return changes
}

// differing are those of the assignments that change something, made one after the other. What a fine-tuning's do is not known.
func differing(c metro.Config, assignments []string) (set []string, err error) {
	for _, a := range assignments {
		before := c
		if !strings.HasPrefix(a, finetunePrefix) {
			if err := c.Set(a); err != nil {
				return nil, err
			}
			if c == before {
				continue
			}
		}
		set = append(set, a)
	}
	return set, nil
}

// NameOf names a change by its settings, path=value each: "learning_rate=1e-3 rtd_weight=10", with whole paths where the last parts are alike.
func NameOf(set []string) string {
	words := make([]string, len(set))
	leaves := map[string]int{}
	for _, a := range set {
		leaves[leafOf(a)]++
	}
	for i, a := range set {
		_, value, _ := strings.Cut(a, "=")
		if words[i] = strings.TrimSpace(a); leaves[leafOf(a)] == 1 {
			words[i] = leafOf(a) + "=" + strings.TrimSpace(value)
		}
	}
	return strings.Join(words, " ")
}

// pathOf and leafOf are the path of an assignment and its last part.
func pathOf(assignment string) string {
	path, _, _ := strings.Cut(assignment, "=")
	return strings.TrimSpace(path)
}

func leafOf(assignment string) string {
	path := pathOf(assignment)
	return path[strings.LastIndexByte(path, '.')+1:]
}
