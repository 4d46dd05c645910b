// SPDX-License-Identifier: Apache-2.0

package training

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/layers"
)

// CompileStep builds and compiles the graphs of a training step of w, one after the other, and calls done after each with its
// name and how often a step runs it. Nothing is run and no first value is drawn: it is for backends that compile for a device that
// need not be there. The step of a config that computes its rows in parts has several graphs, and one that averages its weights
// has one more. Steps of a first stage, on prefixes of the model, are not compiled: the largest of them is no larger.
func CompileStep(backend compute.Backend, w Workload, done func(name string, times int) error) error {
	store, weights, err := initializeBy(backend, w, layers.InitZeros)
	if err != nil {
		return err
	}
	p := NewProgram(backend, w)
	defer p.Close()
	p.store, p.weights = store, weights
	if err := p.model.Config.CheckGroups(p.weights); err != nil {
		return err
	}
	return p.compileStep(done)
}

// StepInputs are what a step of w reads beside its variables: the key of dropout, the tensors of one part of a batch, and the
// vector of scalars and rates.
func StepInputs(w Workload) (key shapes.Shape, parts []shapes.Shape, vector shapes.Shape) {
	parts, n := w.Inputs()
	return shapes.Make(dtypes.Uint64, dropoutWords), parts, shapes.Make(dtypes.Float32, n+RatesSize)
}

// compileStep compiles the graphs that [Program.Step], on the whole model, and [Program.Average] run.
func (p *Program) compileStep(done func(name string, times int) error) (err error) {
	key, parts, vector := StepInputs(p.workload)
	s, c := stepCompiler{trained{p, 0}, done}, p.model.Config
	if c.Training.Accumulate > 1 {
		err = s.compileParts(key, parts, vector)
	} else {
		err = s.compileOnce(stepGraph, s.step, append(append([]shapes.Shape{key}, parts...), vector)...)
	}
	if err == nil && c.Training.EMA > 0 {
		err = s.compileOnce(averageGraph, p.average, shapes.Make(dtypes.Float32, 2))
	}
	return err
}

// stepCompiler compiles the graphs of a program.
type stepCompiler struct {
	trained
	done func(name string, times int) error
}

func (s stepCompiler) compile(name string, build func(*model.Scope, []*Node) ([]*Node, []string), inputs ...shapes.Shape) error {
	g, err := s.graph(name, build)
	if err != nil {
		return err
	}
	if _, err := g.exec.Compile(inputs...); err != nil {
		return fmt.Errorf("compile the graph %q: %w", name, err)
	}
	return nil
}

// compileOnce compiles a graph that a step runs once.
func (s stepCompiler) compileOnce(name string, build func(*model.Scope, []*Node) ([]*Node, []string), inputs ...shapes.Shape) error {
	if err := s.compile(name, build, inputs...); err != nil {
		return err
	}
	return s.done(name, 1)
}

// compileParts compiles the graphs of a step that is computed in parts, as [Program.stepInParts] calls them.
func (s stepCompiler) compileParts(key shapes.Shape, parts []shapes.Shape, vector shapes.Shape) error {
	n := s.model.Config.Training.Accumulate
	var gathered []shapes.Shape // what all parts are asked for
	gather := func(scope *model.Scope, in []*Node) ([]*Node, []string) {
		out, names := s.gather(scope, in)
		for _, asked := range out[:len(out)-1] {
			gathered = append(gathered, shapes.Make(asked.DType(), append([]int{n}, asked.Shape().Dimensions...)...))
		}
		return out, names
	}
	batch := append(slices.Clone(parts), vector)
	if err := s.compile(gatherGraph, gather, append([]shapes.Shape{key}, batch...)...); err != nil {
		return err
	}
	times := n
	if len(gathered) == 0 { // the first part finds that out
		times = 1
	}
	if err := s.done(gatherGraph, times); err != nil {
		return err
	}
	inputs := append(append([]shapes.Shape{key, shapes.Make(dtypes.Int32)}, batch...), gathered...)
	if err := s.compile(accumulateGraph, s.accumulate, inputs...); err != nil {
		return err
	}
	if err := s.done(accumulateGraph, n); err != nil {
		return err
	}
	return s.compileOnce(applyGraph, s.apply, vector)
}
