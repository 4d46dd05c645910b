// SPDX-License-Identifier: Apache-2.0

package training

import (
	"math"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"metrolab/metro"
)

// momentScope holds AdamW's two moments of each variable, at momentScope + "m" or "v" + the variable's path.
const momentScope = "/adamw/"

// adamWRates are the inputs of an AdamW step: the learning rate and the bias corrections 1/(1−β₁ᵗ), 1/(1−β₂ᵗ).
type adamWRates struct{ learningRate, correction1, correction2 *Node }

// Optimize adds one step of AdamW (Loshchilov & Hutter, 2019) to the graph of loss, on the variables in store of every weight
// of inv that learns, and returns the global norm of the gradients before clipping. rates, [RatesSize], is what [Rates] gives
// for the step: an input of the graph, so that one compiled step serves them all.
//
//	g = ∇loss · min(1, clip/(‖∇loss‖+1e-6));  m = β₁m+(1−β₁)g;  v = β₂v+(1−β₂)g²
//	w = w − lr·( m·c₁/(√(v·c₂)+ε) + decay·w )
//
// Decay spares biases, gains and offsets. A weight's lr is the schedule's times [metro.Group]'s and the layer decay's.
// All arithmetic is in the variables' own dtype. It panics if store lacks a weight.
func Optimize(store *model.Store, loss, rates *Node, inv metro.Inventory, c metro.Config) *Node {
	list := learning(store, inv)
	return adamW(store, list, gradients(loss, list), rates, c)
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

func adamW(store *model.Store, list []learned, gradients []*Node, rates *Node, c metro.Config) *Node {
	o, g := c.Optimizer, rates.Graph()
	norm := globalNorm(gradients)
	scale := OnesLike(norm)
	if o.ClipNorm > 0 {
		scale = MinScalar(Div(Scalar(g, norm.DType(), o.ClipNorm), AddScalar(norm, 1e-6)), 1)
	}
	groups, err := metro.ParseGroups(o.Groups)
	if err != nil {
		panic(err)
	}
	for i, w := range list {
		value, r := w.variable.NodeValue(g), ratesOf(w.Weight, rates)
		m, s := moment(store, w.variable, "m"), moment(store, w.variable, "v")
		grad := Mul(gradients[i], scale)
		first := Add(MulScalar(m.NodeValue(g), o.Beta1), MulScalar(grad, 1-o.Beta1))
		second := Add(MulScalar(s.NodeValue(g), o.Beta2), MulScalar(Square(grad), 1-o.Beta2))
		m.SetNodeValue(first)
		s.SetNodeValue(second)
		update := Div(Mul(first, r.correction1), AddScalar(Sqrt(Mul(second, r.correction2)), o.Epsilon))
		factor, decay := settings(w.Weight, c, groups)
		if decay > 0 {
			update = Add(update, MulScalar(value, decay))
		}
		if factor != 1 {
			update = MulScalar(update, factor)
		}
		w.variable.SetNodeValue(Sub(value, Mul(update, r.learningRate)))
	}
	return norm
}

// ratesOf picks the rates of the generator's own weights or of all others; see [Rates].
func ratesOf(w metro.Weight, rates *Node) adamWRates {
	first := 3
	if w.Owner == metro.OwnerGenerator {
		first = 0
	}
	at := func(i int) *Node { return Squeeze(Slice(rates, AxisElem(i))) }
	return adamWRates{at(first), at(first + 1), at(first + 2)}
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

// settings returns the factor of w's learning rate and its weight decay.
func settings(w metro.Weight, c metro.Config, groups []metro.Group) (factor, decay float64) {
	factor, decay = layerDecay(w, c), c.Optimizer.WeightDecay
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
func layerDecay(w metro.Weight, c metro.Config) float64 {
	n := c.Main.Layers
	if w.Owner == metro.OwnerGenerator {
		n = c.Generator.Layers
	}
	power := n + 1 - w.Depth
	if power <= 0 {
		return 1
	}
	if c.Optimizer.LayerDecayRule == metro.LayerDecayElectra {
		power++
	}
	return math.Pow(c.Optimizer.LayerDecay, float64(power))
}

// moment returns the variable that holds one of v's moments, made of zeros on first use.
func moment(store *model.Store, v *model.Variable, which string) *model.Variable {
	return zeros(store, v, momentScope+which)
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
