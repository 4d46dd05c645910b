// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"metrolab/internal/spelling"
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

// Moves returns how training moves w: the factor of its learning rate, of its group and of its layer, and its weight decay. It
// panics on groups that cannot be read.
func (c Config) Moves(w Weight) (factor, decay float64) {
	groups, err := ParseGroups(c.Optimizer.Groups)
	if err != nil {
		panic(err)
	}
	return c.moves(w, groups)
}

func (c Config) moves(w Weight, groups []Group) (factor, decay float64) {
	factor, decay = c.layerDecay(w), c.Optimizer.WeightDecay
	for _, g := range slices.Backward(groups) {
		if g.Has(w) {
			factor *= g.LearningRate
			if g.WeightDecay >= 0 {
				decay = g.WeightDecay
			}
			break // the last one counts
		}
	}
	if !w.Role.Decays() {
		decay = 0
	}
	return factor, decay
}

// layerDecay returns decay^(n+1−d) for what lies at depth d of an encoder of n layers: embeddings at d = 0, layer i at i+1;
// heads have 1. ELECTRA's code has one power more below the heads: its top layer has decay².
func (c Config) layerDecay(w Weight) float64 {
	n := c.Main.Layers
	if w.Owner == OwnerGenerator {
		n = c.Generator.Layers
	}
	power := n + 1 - w.Depth
	if power <= 0 {
		return 1
	}
	if c.Optimizer.LayerDecayRule == LayerDecayElectra {
		power++
	}
	return math.Pow(c.Optimizer.LayerDecay, float64(power))
}

// CheckGroups reports, as the user's error, each of optimizer.groups that changes nothing for the weights that a run trains:
// since it has none of them, since later groups have them all, or since it says what holds anyway.
func (c Config) CheckGroups(trained Inventory) error {
	groups, err := ParseGroups(c.Optimizer.Groups)
	if err != nil {
		return err
	}
	for i, g := range groups {
		its := trained.Learning().Where(g.Has)
		if len(its) == 0 {
			return usererr.New("optimizer.groups: no weight that learns has a path that begins with %q%s", g.Prefix, trained.nearestPrefix(g.Prefix))
		}
		without := slices.Delete(slices.Clone(groups), i, i+1)
		if !slices.ContainsFunc(its, func(w Weight) bool {
			factor, decay := c.moves(w, groups)
			otherFactor, otherDecay := c.moves(w, without)
			return factor != otherFactor || decay != otherDecay
		}) {
			return usererr.New("optimizer.groups: the group %q changes nothing: what it says holds for its weights anyway, or later groups say otherwise for all of them", g.Prefix)
		}
	}
	return nil
}

// nearestPrefix proposes the beginning of a path that prefix most likely stands for, if there is one near it.
func (inv Inventory) nearestPrefix(prefix string) string {
	best, distance := "", len(prefix)
	for _, w := range inv {
		if w.Frozen && prefix+"/" == w.Path()[1:][:min(len(prefix)+1, len(w.Path())-1)] {
			if w.Owner != OwnerGenerator {
				return "; task.adaptation leaves them as they are"
			}
			return "; the frozen generator's do not learn"
		}
		parts := strings.Split(w.Path()[1:], "/")
		for n := 1; n <= len(parts); n++ {
			candidate := strings.Join(parts[:n], "/")
			if d := spelling.Distance(prefix, candidate); d < distance {
				best, distance = candidate, d
			}
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}
