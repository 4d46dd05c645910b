// SPDX-License-Identifier: Apache-2.0

package metro

import (
	. "github.com/gomlx/gomlx/core/graph"

	"metrolab/layers"
)

// promptTable is the [Place.Part] of a prompt's embeddings.
const promptTable = "prompt_embedding"

// promptAdaptation is prompt tuning: embeddings of slots that hold no token, in front of each row. They have no position, no token
// type and no relative bias to the text, pass the embedding's normalisation, dropout and projection as tokens do, are seen by every
// token, and leave the row's length, positions and pooling as they are. That they begin as rows of the token table do is ours.
// The map behind them is the one of eP-ALM's code: a dense map, tanh, and a dense map, of the width of the embeddings.
var promptAdaptation = adaptation{
	Part: Part{Name: AdaptationPrompt, Version: 1, Options: []Option{
		{Name: "tokens", Neutral: 10, Low: 0, High: 4096, Help: "slots, k; 0 is a linear head"},
		{Name: "mlp", Neutral: false, Help: "the slots' embeddings are learned through a map with tanh"},
	}},
	weights: func(c Config, option func(string) any) []Weight {
		k, width := option("tokens").(int), c.EmbeddingWidth()
		if k == 0 {
			return nil
		}
		weights := []layers.Weight{promptWeight(c, k)}
		if option("mlp").(bool) {
			dense := layers.DenseWeights(width, width, layers.InitFanIn)
			weights = append(weights, layers.Within("prompt_in", dense...)...)
			weights = append(weights, layers.Within("prompt_out", dense...)...)
		}
		return beside(-1, weights...)
	},
	prompt: func(a *adapting) *Node {
		k := a.option("tokens").(int)
		if k == 0 {
			return nil
		}
		slots := promptWeight(a.model.Config, k).Node(a.scope(-1, ""), a.tokens)
		if a.option("mlp").(bool) {
			width := slots.Shape().Dim(-1)
			slots = Tanh(layers.Dense(a.scope(-1, "prompt_in"), slots, width, layers.InitFanIn))
			slots = layers.Dense(a.scope(-1, "prompt_out"), slots, width, layers.InitFanIn)
		}
		return slots
	},
	layer: func(a *adapting, _ int) layers.Adapter {
		return layers.Adapter{Reads: func(x, bias *Node) (*Node, *Node) { return x, a.bias(bias, a.option("tokens").(int)) }}
	},
	check: func(v *validation, c Config, option func(string) any) {
		if k := option("tokens").(int); k > 0 {
			v.withoutExperts(c)
		} else if option("mlp").(bool) {
			v.bad("task.adaptation_options.mlp is about the embeddings of slots, and task.adaptation_options.tokens=0 has none")
		}
	},
}

func promptWeight(c Config, k int) layers.Weight { return c.table(promptTable, k) }
