// SPDX-License-Identifier: Apache-2.0

// Package outputs runs a model of any weights on rows of tokens, so that what was done with the weights can be told by what it did
// to the model: [Of] one source, then of another, and [Compare]. [Loads] counts whom its experts serve.
package outputs

import (
	"cmp"
	"fmt"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/weights"
)

// Outputs is what a model says of rows, and how that depends on its weights.
type Outputs struct {
	Names     []string             // of the outputs that it has heads for: States, RTD, …
	Values    map[string][]float32 // row by row; 0 at padding, where what a model says is nobody's concern
	Gradients map[string][]float32 // by tensor, of the mean of the squares of all logits
}

// The names of outputs.
const (
	States    = "states" // of the main model's last layer, [B, S, H]
	RTD       = "RTD logits"
	CLM       = "CLM logits"
	LM        = "LM logits"
	Generator = "generator's logits"
)

// Of runs the parts that src has weights for on rows of equally many ids, no longer than the model's, in float32.
func Of(be compute.Backend, src weights.Source, rows [][]int32) (o Outputs, err error) {
	m := src.Model()
	held := weights.All(src)
	out, err := run(be, src, held, rows, func(scope *model.Scope, ids *Node) []*Node {
		var out []*Node
		o.Names, out = build(m, held, scope, ids)
		loss := ScalarZero(ids.Graph(), dtypes.Float32)
		for i, x := range out {
			if o.Names[i] != States {
				loss = Add(loss, ReduceAllMean(Square(x)))
			}
		}
		var variables []*Node
		for _, w := range held {
			variables = append(variables, scope.Store().GetVariable(w.Path()).NodeValue(ids.Graph()))
		}
		return append(out, Gradient(loss, variables...)...)
	})
	if err != nil {
		return o, err
	}
	o.Values, o.Gradients = map[string][]float32{}, map[string][]float32{}
	for i, values := range out {
		if i < len(o.Names) {
			o.Values[o.Names[i]] = values
		} else {
			o.Gradients[held[i-len(o.Names)].Tensor()] = values
		}
	}
	return o, nil
}

// Loads returns how the real tokens of rows, of equally many ids, spread over the experts of src's main model: for each layer the
// experts' shares of all choices. A model without experts is the user's error.
func Loads(be compute.Backend, src weights.Source, rows [][]int32) (loads [][]float32, err error) {
	m := src.Model()
	if _, ok := m.Config.Experts(metro.OwnerMain); !ok {
		return nil, usererr.New("%s has no experts: main.feed_forward is %s", src, cmp.Or(m.Config.Main.FeedForward, metro.FeedForwardDense))
	}
	return run(be, src, weights.All(src), rows, func(scope *model.Scope, ids *Node) []*Node {
		g := ids.Graph()
		return m.MainLoads(scope, ids, NotEqual(ids, Scalar(g, dtypes.Int32, m.PadID)), Scalar(g, dtypes.Float32, m.Config.Positions.Scale))
	})
}

// run runs a graph once, with the weights that src holds, on rows of ids.
func run(
	be compute.Backend, src weights.Source, held metro.Inventory, rows [][]int32, graph func(scope *model.Scope, ids *Node) []*Node,
) (out [][]float32, err error) {
	store := model.NewStore()
	held.Fill(store)
	if err := weights.Restore(store, src, src.Model().Config, held); err != nil {
		return nil, err
	}
	err = exceptions.TryCatch[error](func() {
		exec := model.MustNewExec(be, store, func(scope *model.Scope, ids *Node) []*Node {
			nodes := graph(scope, ids)
			return append(nodes, Neg(nodes[0])) // pure Go fails where some variable's node is newer than all outputs
		})
		defer exec.Finalize()
		all := exec.MustCall(rows)
		for _, x := range all[:len(all)-1] {
			out = append(out, tensors.MustCopyFlatData[float32](x))
		}
	})
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", src, err)
	}
	return out, nil
}

// build adds what the held weights of m can say of ids, [B, S].
func build(m metro.Model, held metro.Inventory, scope *model.Scope, ids *Node) (names []string, out []*Node) {
	g := ids.Graph()
	scale := Scalar(g, dtypes.Float32, m.Config.Positions.Scale)
	nonPad := NotEqual(ids, Scalar(g, dtypes.Int32, m.PadID))
	has := func(owner metro.Owner, head string) bool { return len(held.HeadOf(owner, head)) > 0 }
	add := func(name string, x *Node) {
		real := nonPad
		for real.Rank() < x.Rank() {
			real = ExpandAxes(real, -1)
		}
		names, out = append(names, name), append(out, Where(BroadcastToDims(real, x.Shape().Dimensions...), x, ZerosLike(x)))
	}
	if len(held.Of(metro.OwnerMain).Where(func(w metro.Weight) bool { return w.Layer >= 0 })) > 0 {
		states := m.MainStates(scope, ids, nonPad, scale, nil)
		add(States, states)
		if has(metro.OwnerMain, metro.HeadRTD) {
			add(RTD, m.RTDHead(scope, states))
		}
		if has(metro.OwnerMain, metro.HeadCLM) {
			add(CLM, m.CLMHead(scope, states))
		}
		if has(metro.OwnerMain, metro.HeadLM) {
			add(LM, m.LMHead(scope, states))
		}
	}
	if has(metro.OwnerGenerator, metro.HeadGenerator) {
		states := m.GeneratorLayers(scope, ids, nonPad, scale, nil)
		add(Generator, m.GeneratorHead(scope, states[len(states)-1]))
	}
	return names, out
}

// Difference compares an answer of two models.
type Difference struct {
	Name    string
	Largest float64 // difference
	Scale   float64 // the largest magnitude of the first
}

// Compare finds the largest difference of two outputs of equal lengths.
func Compare(name string, before, after []float32) Difference {
	d := Difference{Name: name}
	for i, x := range before {
		d.Largest = max(d.Largest, math.Abs(float64(x)-float64(after[i])))
		d.Scale = max(d.Scale, math.Abs(float64(x)))
	}
	return d
}
