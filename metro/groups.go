// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"strconv"
	"strings"

	"metrolab/internal/usererr"
)

// Group is a part of the variables with a learning rate and a weight decay of its own.
type Group struct {
	Prefix       string  // of the variables' paths without the first slash: "main/rtd", "generator", "shared/token_embedding"
	LearningRate float64 // times the schedule's
	WeightDecay  float64 // in place of optimizer.weight_decay; negative = that one
}

// Has reports whether w belongs to the group: whether the group's prefix is the beginning of its path, in whole parts.
func (g Group) Has(w Weight) bool {
	path, prefix := w.Path(), "/"+g.Prefix
	return strings.HasPrefix(path, prefix) && (len(path) == len(prefix) || path[len(prefix)] == '/')
}

// ParseGroups reads optimizer.groups: groups with semicolons between, each "prefix: lr=FACTOR decay=VALUE", either of
// the two left out as one likes. Of several groups that have a variable, the last one counts.
func ParseGroups(text string) ([]Group, error) {
	var groups []Group
	for part := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		prefix, settings, ok := strings.Cut(part, ":")
		g := Group{Prefix: strings.Trim(strings.TrimSpace(prefix), "/"), LearningRate: 1, WeightDecay: -1}
		if !ok || g.Prefix == "" || strings.TrimSpace(settings) == "" {
			return nil, badGroup(part)
		}
		for setting := range strings.FieldsSeq(settings) {
			name, value, _ := strings.Cut(setting, "=")
			x, err := strconv.ParseFloat(value, 64)
			if err != nil || !(x >= 0 && x <= 1e6) {
				return nil, badGroup(part)
			}
			switch name {
			case "lr":
				g.LearningRate = x
			case "decay":
				g.WeightDecay = x
			default:
				return nil, badGroup(part)
			}
		}
		groups = append(groups, g)
	}
	return groups, nil
}

func badGroup(part string) error {
	return usererr.New(`optimizer.groups: cannot read %q; write "main/rtd: lr=2; generator: lr=0.5 decay=0", numbers from 0 to 1e6`, strings.TrimSpace(part))
}
