// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"

	"metrolab/layers"
)

// Update is one step of an optimizer for one weight, under construction. All nodes but the corrections have the weight's
// shape and dtype.
type Update struct {
	Weight                   Weight
	Value                    *Node // of the weight, before the step
	Gradient                 *Node // after clipping
	Correction1, Correction2 *Node // scalars, 1/(1−β₁ᵗ) and 1/(1−β₂ᵗ) at step t; 1 without optimizer.bias_correction
	Config                   Optimizer
	Option                   func(name string) any

	State map[string]*Node // what the optimizer remembers, by the names of its entry; 0 at first
	Next  map[string]*Node // what it will remember, for the function to set
}

// OptimizerFunc returns the direction d of a step: training sets w = w − lr·factor·(d + decay·w), with the learning rate, the
// group's and the layer's factor, and the weight decay of the config.
type OptimizerFunc func(u *Update) *Node

// OptimizerEntry is a registered optimizer: what config field optimizer.name can name.
type OptimizerEntry struct {
	Part
	State  []string // names of what it remembers of a weight
	Update OptimizerFunc

	// Remembers lists those of State that it remembers of one weight; nil stands for all of State, whatever the weight.
	Remembers func(w Weight) []string

	// Products counts the operations of the matrix products by which it moves one weight, for [Config.FLOPs]; nil stands for none.
	Products func(w Weight) float64
}

// StateOf lists what the optimizer remembers of w.
func (e OptimizerEntry) StateOf(w Weight) []string {
	if e.Remembers == nil {
		return e.State
	}
	return e.Remembers(w)
}

// least is the number of tensors that it remembers of a weight of which it remembers least: the matrix of a layer.
func (e OptimizerEntry) least() int {
	return len(e.StateOf(Weight{Shape: []int{1, 1}, Role: layers.RoleDense}))
}

var optimizers = newRegistry("optimizer",
	OptimizerEntry{Part: Part{Name: OptimizerAdamW, Version: 1}, State: []string{"m", "v"}, Update: adamW},
	muonEntry,
)

// RegisterOptimizer makes an optimizer of one's own available as optimizer.name, with its options as optimizer.options.NAME;
// state are the names of what it remembers of each weight. See [RegisterObjective] for name and version. It panics if the
// name is taken, as are those of the scopes of weights.
func RegisterOptimizer(name string, version int, state []string, update OptimizerFunc, options ...Option) {
	if slices.Contains([]string{"main", "shared", "generator", "task", "accumulated"}, name) {
		exceptions.Panicf("metro: an optimizer cannot be called %q: its state lies in a scope of its name", name)
	}
	optimizers.add(OptimizerEntry{Part: Part{Name: name, Version: version, Options: options}, State: state, Update: update})
}

// OptimizerNamed returns a registered optimizer; false if there is none.
func OptimizerNamed(name string) (OptimizerEntry, bool) { return optimizers.find(name) }

// OptimizerNames lists the registered optimizers.
func OptimizerNames() []string { return optimizers.names() }

// OptionsOf returns the values of the options below a path, "optimizer.options", by their names.
func (c Config) OptionsOf(path string) func(name string) any { return c.optionsAt(path) }

// adamW is Adam (Kingma & Ba, 2015) with decoupled weight decay (Loshchilov & Hutter, 2019), which is not its business here:
//
//	m = β₁m+(1−β₁)g;  v = β₂v+(1−β₂)g²;  d = m·c₁/(√(v·c₂)+ε)
func adamW(u *Update) *Node {
	o := u.Config
	first := Add(MulScalar(u.State["m"], o.Beta1), MulScalar(u.Gradient, 1-o.Beta1))
	second := Add(MulScalar(u.State["v"], o.Beta2), MulScalar(Square(u.Gradient), 1-o.Beta2))
	u.Next["m"], u.Next["v"] = first, second
	return Div(Mul(first, u.Correction1), AddScalar(Sqrt(Mul(second, u.Correction2)), o.Epsilon))
}
