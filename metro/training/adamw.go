// SPDX-License-Identifier: Apache-2.0

package training

import (
	"math"
	"slices"
	"strconv"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/metro"
)

// momentScope holds AdamW's two moments of each variable, at momentScope + "m" or "v" + the variable's path.
const momentScope = "/adamw/"

// adamWRates are the inputs of an AdamW step: the learning rate and the bias corrections 1/(1−β₁ᵗ), 1/(1−β₂ᵗ).
type adamWRates struct{ learningRate, correction1, correction2 *Node }

// Optimize adds one step of AdamW (Loshchilov & Hutter, 2019) to the graph of loss, on every variable of store that
// learns, and returns the global norm of the gradients before clipping. rates, [RatesSize], is what [Rates] gives for
// the step: an input of the graph, so that one compiled step serves them all.
//
//	g = ∇loss · min(1, clip/(‖∇loss‖+1e-6));  m = β₁m+(1−β₁)g;  v = β₂v+(1−β₂)g²
//	w = w − lr·( m·c₁/(√(v·c₂)+ε) + decay·w )
//
// Decay spares biases, gains and offsets. A variable's lr is the schedule's times [metro.Group]'s and the layer decay's.
// All arithmetic is in the variables' own dtype.
func Optimize(store *model.Store, loss, rates *Node, m metro.Model) *Node {
	variables := weights(store, m)
	return adamW(store, variables, gradients(loss, variables), rates, m.Config)
}

func gradients(loss *Node, variables []*model.Variable) []*Node {
	values := make([]*Node, len(variables))
	for i, v := range variables {
		values[i] = v.NodeValue(loss.Graph())
	}
	return Gradient(loss, values...)
}

func adamW(store *model.Store, variables []*model.Variable, gradients []*Node, rates *Node, c metro.Config) *Node {
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
	for i, v := range variables {
		value, r := v.NodeValue(g), ratesOf(v.Path(), rates)
		m, s := moment(store, v, "m"), moment(store, v, "v")
		grad := Mul(gradients[i], scale)
		first := Add(MulScalar(m.NodeValue(g), o.Beta1), MulScalar(grad, 1-o.Beta1))
		second := Add(MulScalar(s.NodeValue(g), o.Beta2), MulScalar(Square(grad), 1-o.Beta2))
		m.SetNodeValue(first)
		s.SetNodeValue(second)
		update := Div(Mul(first, r.correction1), AddScalar(Sqrt(Mul(second, r.correction2)), o.Epsilon))
		factor, decay := settings(v, c, groups)
		if decay > 0 {
			update = Add(update, MulScalar(value, decay))
		}
		if factor != 1 {
			update = MulScalar(update, factor)
		}
		v.SetNodeValue(Sub(value, Mul(update, r.learningRate)))
	}
	return norm
}

// ratesOf picks the rates of the generator's variables or of all others; see [Rates].
func ratesOf(path string, rates *Node) adamWRates {
	first := 3
	if strings.HasPrefix(path, "/generator/") {
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

// settings returns the factor of v's learning rate and its weight decay.
func settings(v *model.Variable, c metro.Config, groups []metro.Group) (factor, decay float64) {
	factor, decay = layerDecay(v.Path(), c), c.Optimizer.WeightDecay
	for _, g := range slices.Backward(groups) {
		if g.Has(v.Path()) {
			factor *= g.LearningRate
			if g.WeightDecay >= 0 {
				decay = g.WeightDecay
			}
			break // the last one counts
		}
	}
	if !decays(v) {
		decay = 0
	}
	return factor, decay
}

// layerDecay returns decay^(n+1−d) for what lies at depth d below the heads of an encoder of n layers: embeddings at
// d = 0, layer i at i+1; heads have 1. ELECTRA's code has one power more: its top layer has decay².
func layerDecay(path string, c metro.Config) float64 {
	room, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	n := c.Main.Layers
	if room == "generator" {
		n = c.Generator.Layers
	}
	depth := 0
	part, _, _ := strings.Cut(rest, "/")
	index, isLayer := strings.CutPrefix(part, "layer_")
	switch {
	case isLayer:
		i, err := strconv.Atoi(index)
		if err != nil {
			panic(err)
		}
		depth = i + 1
	case part == "final_norm":
		depth = n
	case room == "shared", strings.HasPrefix(part, "embedding_"), part == "relative_position_table", strings.HasSuffix(part, "_embedding"), strings.HasSuffix(part, "_difference"):
	default:
		return 1
	}
	power := n + 1 - depth
	if c.Optimizer.LayerDecayRule == metro.LayerDecayElectra {
		power++
	}
	return math.Pow(c.Optimizer.LayerDecay, float64(power))
}

// decays reports whether weight decay applies to v: to weights and tables, not to biases, gains and offsets.
func decays(v *model.Variable) bool {
	switch name := v.Name(); {
	case name == "bias" || name == "gain" || name == "offset":
		return false
	default:
		return !strings.HasSuffix(name, "_bias")
	}
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
