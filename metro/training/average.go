// SPDX-License-Identifier: Apache-2.0

package training

import (
	"errors"
	"maps"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/metro/runs"
	"metrolab/metro/weights"
)

// averageScope holds the running averages of the weights that learn, at its name and the variable's path.
const averageScope = "/" + weights.Averages

// The graphs of the averages. Training's own are not touched by them.
const (
	averageGraph  = "average"
	exchangeGraph = "exchange"
)

// averages are the variables of the running averages, in the order of list; none where the config asks for none.
func (p *Program) averages(list []learned) (variables []*model.Variable) {
	if p.model.Config.Training.EMA == 0 {
		return nil
	}
	for _, w := range list {
		variables = append(variables, zeros(p.store, w.variable, averageScope))
	}
	return variables
}

// emaDecay is the part of the average that stays at a step, 1, 2, …: decay, and less in the first steps, in which the first
// weights would weigh most,
//
//	min(decay, (1+step)/(10+step))
//
// and 0 at step 0, so that the average begins as the weights that training begins with.
func emaDecay(decay float64, step int) float64 {
	if step == 0 {
		return 0
	}
	return min(decay, float64(1+step)/float64(10+step))
}

// Average takes the weights after a step, 0 for those before the first, into their running averages:
// ema = d·ema + (1−d)·w. It does nothing where the config's training.ema is 0.
func (p *Program) Average(step int) error {
	decay := p.model.Config.Training.EMA
	if decay == 0 {
		return nil
	}
	d := emaDecay(decay, step)
	return p.overAverages(averageGraph, p.average, tensors.FromFlatDataAndDimensions([]float32{float32(d), float32(1 - d)}, 2))
}

// average: the parts of the old average and of the weight → a number that stands for nothing.
func (p *Program) average(scope *model.Scope, in []*Node) ([]*Node, []string) {
	return p.changeAverages(scope, in, func(w, ema *model.Variable) {
		g := in[0].Graph()
		keep, take := Squeeze(Slice(in[0], AxisElem(0))), Squeeze(Slice(in[0], AxisElem(1)))
		ema.SetNodeValue(Add(Mul(ema.NodeValue(g), keep), Mul(w.NodeValue(g), take)))
	})
}

// exchange puts the averages in the place of the weights, and these in the place of the averages.
func (p *Program) exchange() error {
	return p.overAverages(exchangeGraph, func(scope *model.Scope, in []*Node) ([]*Node, []string) {
		return p.changeAverages(scope, in, func(w, ema *model.Variable) {
			own, averaged := w.NodeValue(in[0].Graph()), ema.NodeValue(in[0].Graph())
			w.SetNodeValue(averaged)
			ema.SetNodeValue(own)
		})
	}, tensors.FromScalar(float32(0)))
}

// changeAverages builds a graph that changes each weight that learns, and its average.
func (p *Program) changeAverages(scope *model.Scope, in []*Node, change func(w, ema *model.Variable)) ([]*Node, []string) {
	list := learning(scope.Store(), p.weights)
	for i, ema := range p.averages(list) {
		change(list[i].variable, ema)
	}
	return []*Node{ReduceAllSum(in[0])}, nil // a graph has a result
}

// overAverages runs a graph of [Program.changeAverages].
func (p *Program) overAverages(name string, build builder, input *tensors.Tensor) error {
	_, out, err := p.call(name, build, input)
	if err != nil {
		return err
	}
	return out[0].FinalizeAll()
}

// evaluateAverages adds what the averaged weights reach, by names that begin with [Averaged].
func evaluateAverages(w Workload, p *Program, measured runs.Values) (err error) {
	if p.model.Config.Training.EMA == 0 {
		return nil
	}
	if err := p.exchange(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.exchange()) }()
	averaged, err := w.Evaluate(p)
	for name, v := range maps.All(averaged) {
		measured[Averaged+name] = v
	}
	return err
}
