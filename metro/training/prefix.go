// SPDX-License-Identifier: Apache-2.0

package training

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/metro"
)

// prefixed is a workload that can train a prefix of its main model.
type prefixed interface {
	Workload
	// Prefix is the same workload on the first d layers of the main model.
	Prefix(d int) Workload
}

// Prefix is w on the first d layers of the main model; see [metro.Config.Prefix].
func (w *Pretraining) Prefix(d int) Workload {
	prefix := *w
	prefix.model.Config = w.model.Config.Prefix(d)
	return &prefix
}

// trained is what the graphs of a step are of: the whole model, or a prefix of it. Each prefix has graphs of its own, over the same
// variables, so that what rests in a step has neither a gradient nor an update and keeps its bits, its moments among them.
type trained struct {
	*Program
	depth int // of the prefix; 0 for the whole
}

// trainedBy is what a step trains.
func (p *Program) trainedBy(step int) trained { return trained{p, p.model.Config.PrefixAt(step)} }

// of is the name of one of the graphs: that of the whole model or, since programs serve configs that differ in what moves of a
// prefix, with the layers that move.
func (t trained) of(graph string) string {
	if t.depth == 0 {
		return graph
	}
	return fmt.Sprintf("%s, layers %d to %d", graph, t.depth-t.model.Config.Training.PrefixLayers+1, t.depth)
}

// config is that of the model that is trained.
func (t trained) config() metro.Config {
	if t.depth == 0 {
		return t.model.Config
	}
	return t.model.Config.Prefix(t.depth)
}

// moves lists the weights that the step moves.
func (t trained) moves() metro.Inventory {
	if t.depth == 0 {
		return t.weights
	}
	return t.model.Config.MovedWith(t.depth, t.weights)
}

// forward reads the tensors of a batch or of one part, and the vector of the workload's scalars and the optimizer's rates.
func (t trained) forward(scope *model.Scope, in []*Node, key *Node, micro *metro.MicroBatch) (out Output, rates *Node) {
	w := t.workload
	if t.depth > 0 {
		w = w.(prefixed).Prefix(t.depth)
	}
	scalars, rates := t.split(in[len(in)-1])
	return w.Forward(scope, in[:len(in)-1], scalars, key, micro), rates
}
