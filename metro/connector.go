// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"strconv"

	. "github.com/gomlx/gomlx/core/graph"

	"metrolab/layers"
)

// connectorAdaptation puts what the generator makes of the row into the main model: c = W·h + b of its state h of [CLS], after each
// of its last n layers, with a map each. From one layer of the main model on, c stands in a slot in front of the tokens, which every
// later layer finds overwritten, by the first state in the first n-th of those layers, and so on: eP-ALM's code (models/epalm.py and
// models/opt.py), whose main model is a frozen language model and whose second one sees. Slot and tokens have no relative bias. The
// generator reads the same row, without dropout, and stands still as the main model does.
//
// That the slot stays until the last layer, and in which layer it begins unless set, is ours.
var connectorAdaptation = adaptation{
	Part: Part{Name: AdaptationConnector, Version: 1, Options: []Option{
		{Name: "states", Neutral: 1, Low: 1, High: mostLayers, Help: "of the generator that are put in, after its last n layers"},
		{Name: "first_layer", Neutral: 0, Low: 0, High: mostLayers, Help: "of the main model that reads one, from 0"},
		{Name: "random_generator", Neutral: false, Help: "the control: the generator's own weights are drawn, not read"},
	}},
	weights: func(c Config, option func(string) any) (list []Weight) {
		for i := range option("states").(int) {
			list = append(list, beside(-1, layers.Within(connectorPart(i), layers.DenseWeights(c.Generator.Width, c.Main.Width, layers.InitFanIn)...)...)...)
		}
		return list
	},
	layer: func(a *adapting, layer int) layers.Adapter {
		first := a.option("first_layer").(int)
		if layer < first {
			return layers.Adapter{}
		}
		return layers.Adapter{Reads: func(x, bias *Node) (*Node, *Node) {
			slots := a.connected()
			step := max(1, (a.model.Config.Main.Layers-first)/len(slots))
			slot := slots[min((layer-first)/step, len(slots)-1)]
			return layers.Slots(slot, withoutSlots(x, a.tokens.Shape().Dim(1))), a.bias(bias, 1)
		}}
	},
	check: func(v *validation, c Config, option func(string) any) {
		v.withoutExperts(c)
		n, first := option("states").(int), option("first_layer").(int)
		switch {
		case c.Generator.Width == 0:
			v.bad("task.adaptation=%s reads the states of a generator, and the model has none; begin with a run that trained one", AdaptationConnector)
		case n > c.Generator.Layers:
			v.bad("task.adaptation_options.states must be at most generator.layers (%d), it is %d", c.Generator.Layers, n)
		case first+n > c.Main.Layers:
			v.bad("task.adaptation_options.first_layer=%d leaves %d of main.layers=%d to put task.adaptation_options.states=%d into; set it to %d at most",
				first, max(0, c.Main.Layers-first), c.Main.Layers, n, c.Main.Layers-n)
		case option("random_generator").(bool) && c.Sharing == SharingAll:
			v.bad("task.adaptation_options.random_generator draws the generator's own weights, and under sharing=%s it has none", SharingAll)
		}
	},
}

func connectorPart(i int) string { return "connector_" + strconv.Itoa(i) }

// ReadsGenerator reports whether a fine-tuning reads the generator's states, and whether its own weights are drawn anew.
func (c Config) ReadsGenerator() (reads, random bool) {
	a, option, ok := c.adaptation()
	if !ok || a.Name != AdaptationConnector {
		return false, false
	}
	return true, option("random_generator").(bool)
}

// connected are what stands in the slot, [B, 1, H] each, the state of the lowest of the generator's layers first.
func (a *adapting) connected() []*Node {
	if a.injected != nil {
		return a.injected
	}
	n, width := a.option("states").(int), a.model.Config.Main.Width
	states := a.model.GeneratorLayers(a.root, a.tokens, a.nonPad, a.biasScale, nil)
	for i, state := range states[len(states)-n:] {
		cls := StopGradient(Slice(state, AxisRange(), AxisRange(0, 1)))
		a.injected = append(a.injected, layers.Dense(a.scope(-1, connectorPart(i)), cls, width, layers.InitFanIn))
	}
	return a.injected
}
