// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"metrolab/layers"
)

// loraMaps are attention's maps that have maps of low rank beside them, by the names of the option.
var loraMaps = map[string][]string{
	"query_value": {"query", "value"},
	"attention":   {"query", "key", "value", "output"},
}

// loraAdaptation is low-rank adaptation. The paper adapts query and value; that the scale α/r is 1 unless set is ours.
var loraAdaptation = adaptation{
	Part: Part{Name: AdaptationLoRA, Version: 1, Options: []Option{
		{Name: "rank", Neutral: 4, Low: 1, High: 1 << 20, Help: "of the maps, r"},
		{Name: "alpha", Neutral: 0.0, Low: 0, High: 1e6, Help: "what the maps count is alpha/rank; 0 is rank"},
		{Name: "maps", Neutral: "query_value", Choices: []string{"query_value", "attention"}, Help: "of attention that have one beside them"},
	}},
	weights: func(c Config, option func(string) any) (list []Weight) {
		l := lowRank(option)
		for i := range c.Main.Layers {
			for _, name := range loraMaps[option("maps").(string)] {
				list = append(list, beside(i, layers.Within(layers.AttentionPart(name), l.Weights(c.Main.Width, c.Main.Width)...)...)...)
			}
		}
		return list
	},
	layer: func(a *adapting, layer int) layers.Adapter {
		return layers.Adapter{Adds: func(name string, x *Node, width int) *Node {
			if !slices.Contains(loraMaps[a.option("maps").(string)], name) {
				return nil
			}
			return lowRank(a.option).Apply(a.scope(layer, layers.AttentionPart(name)), x, width)
		}}
	},
	check: func(v *validation, c Config, option func(string) any) {
		if rank := option("rank").(int); rank > c.Main.Width {
			v.bad("task.adaptation_options.rank must be at most main.width (%d), it is %d", c.Main.Width, rank)
		}
	},
}

func lowRank(option func(string) any) layers.LowRank {
	l := layers.LowRank{Rank: option("rank").(int), Scale: 1}
	if alpha := option("alpha").(float64); alpha != 0 {
		l.Scale = alpha / float64(l.Rank)
	}
	return l
}
