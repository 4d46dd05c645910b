// SPDX-License-Identifier: Apache-2.0

package training

import (
	"cmp"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"metrolab/metro"
)

// stateScope holds what an optimizer remembers of each variable, at its name, the name of the memory, and the variable's path:
// "/adamw/m/main/…".
func stateScope(o metro.Optimizer, name string) string {
	return "/" + cmp.Or(o.Name, metro.OptimizerAdamW) + "/" + name
}

// stepRates are the inputs of a step: the learning rate and the bias corrections 1/(1−β₁ᵗ), 1/(1−β₂ᵗ).
type stepRates struct{ learningRate, correction1, correction2 *Node }

// Optimize adds one step of the config's optimizer to the graph of loss, on the variables in store of every weight of inv that
// learns, and returns the global norm of the gradients before clipping. rates, [RatesSize], is what [Rates] gives for the
// step: an input of the graph, so that one compiled step serves them all.
//
//	g = ∇loss · min(1, clip/(‖∇loss‖+1e-6));  d = direction of g (see [metro.OptimizerFunc]);  w = w − lr·(d + decay·w)
//
// Decay spares biases, gains and offsets. A weight's lr is the schedule's times [metro.Group]'s and the layer decay's.
// All arithmetic is in the variables' own dtype. It panics if store lacks a weight.
func Optimize(store *model.Store, loss, rates *Node, inv metro.Inventory, c metro.Config) *Node {
	list := learning(store, inv)
	return update(store, list, gradients(loss, list), rates, c)
}

// learned is a weight that learns, and its variable.
type learned struct {
	metro.Weight
	variable *model.Variable
}

// learning lists the weights of inv that learn with their variables in store, sorted by path.
func learning(store *model.Store, inv metro.Inventory) []learned {
	var list []learned
	for _, w := range inv.Learning() {
		v := store.GetVariable(w.Path())
		if v == nil {
			exceptions.Panicf("training: there is no variable %s", w.Path())
		}
		list = append(list, learned{w, v})
	}
	slices.SortFunc(list, func(a, b learned) int { return strings.Compare(a.variable.Path(), b.variable.Path()) })
	return list
}

func gradients(loss *Node, list []learned) []*Node {
	values := make([]*Node, len(list))
	for i, w := range list {
		values[i] = w.variable.NodeValue(loss.Graph())
	}
	return Gradient(loss, values...)
}

func update(store *model.Store, list []learned, gradients []*Node, rates *Node, c metro.Config) *Node {
	o, g := c.Optimizer, rates.Graph()
	norm := globalNorm(gradients)
	scale := OnesLike(norm)
	if o.ClipNorm > 0 {
		scale = MinScalar(Div(Scalar(g, norm.DType(), o.ClipNorm), AddScalar(norm, 1e-6)), 1)
	}
	optimizer, _ := metro.OptimizerNamed(cmp.Or(o.Name, metro.OptimizerAdamW))
	for i, w := range list {
		value, r := w.variable.NodeValue(g), ratesOf(w.Weight, rates)
		u := &metro.Update{
			Weight: w.Weight, Value: value, Gradient: Mul(gradients[i], scale), Correction1: r.correction1, Correction2: r.correction2,
			Config: o, Option: c.OptionsOf("optimizer.options"), State: map[string]*Node{}, Next: map[string]*Node{},
		}
		names := optimizer.StateOf(w.Weight)
		for k, v := range states(store, w, c) {
			u.State[names[k]] = v.NodeValue(g)
		}
		direction := optimizer.Update(u)
		for k, v := range states(store, w, c) {
			if next := u.Next[names[k]]; next != nil {
				v.SetNodeValue(next)
			}
		}
		factor, decay := c.Moves(w.Weight)
		if decay > 0 {
			direction = Add(direction, MulScalar(value, decay))
		}
		if factor != 1 {
			direction = MulScalar(direction, factor)
		}
		w.variable.SetNodeValue(Sub(value, Mul(direction, r.learningRate)))
	}
	return norm
}

// ratesOf picks the rates of the generator's own weights or of all others; see [Rates].
func ratesOf(w metro.Weight, rates *Node) stepRates {
	first := 3
	if w.Owner == metro.OwnerGenerator {
		first = 0
	}
	at := func(i int) *Node { return Squeeze(Slice(rates, AxisElem(i))) }
	return stepRates{at(first), at(first + 1), at(first + 2)}
}

func globalNorm(gradients []*Node) *Node {
	var sum *Node
	for _, x := range gradients {
		square := ReduceAllSum(Square(x))
		if sum == nil {
			sum = square
		} else {
			sum = Add(sum, square)
		}
	}
	return Sqrt(sum)
}

// states returns the variables of what c's optimizer remembers of w, in the order of its entry, made of zeros on first use.
func states(store *model.Store, w learned, c metro.Config) (list []*model.Variable) {
	optimizer, _ := metro.OptimizerNamed(cmp.Or(c.Optimizer.Name, metro.OptimizerAdamW))
	for _, name := range optimizer.StateOf(w.Weight) {
		list = append(list, zeros(store, w.variable, stateScope(c.Optimizer, name)))
	}
	return list
}

// zeros returns the variable at prefix + v's path, of v's shape, made of zeros on first use.
func zeros(store *model.Store, v *model.Variable, prefix string) *model.Variable {
	path := prefix + v.Path()
	if m := store.GetVariable(path); m != nil {
		return m
	}
	m, err := store.CreateVariable(path, tensors.FromShape(v.Shape()))
	if err != nil {
		panic(err)
	}
	return m.SetTrainable(false)
}
