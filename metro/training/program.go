// SPDX-License-Identifier: Apache-2.0

package training

import (
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/donation"
	"metrolab/internal/randstream"
	"metrolab/metro"
)

// Program is the compiled computation of one workload's graphs (see [Workload.GraphKey]) together with the variables that
// they work on. It runs one workload at a time; [Program.Start] makes it ready for the next one without compiling again.
type Program struct {
	backend  compute.Backend
	key      string // the [Workload.GraphKey] that it is for
	workload Workload
	model    metro.Model
	store    *model.Store
	weights  metro.Inventory // that the graphs read; known once started
	graphs   map[string]*compiled
	devices  *devices // that share the rows of a batch; nil for one
	closes   func()   // gives the backend back; nil if it is not the program's own

	placed      bool // the variables are on the device
	asksNothing bool // no part of a step must know anything of the others; known after the first
}

// compiled is a graph that is compiled at its first call. The names of its metrics are known once it is built; graphs of one
// program need not count the same things.
type compiled struct {
	exec  *model.Exec
	names []string
}

// builder builds a graph: inputs → outputs, and the names of its metrics.
type builder func(scope *model.Scope, in []*Node) ([]*Node, []string)

// NewProgram prepares the computation of w on backend. Compilation happens at the first call of each graph.
func NewProgram(backend compute.Backend, w Workload) *Program {
	return &Program{backend: backend, key: w.GraphKey(), workload: w, model: w.Model(), store: model.NewStore(), graphs: map[string]*compiled{}}
}

// Close gives back the memory of the program's graphs and variables. It must not be used any more.
func (p *Program) Close() {
	for _, g := range p.graphs {
		g.exec.Finalize()
	}
	p.store.Finalize()
	if p.closes != nil {
		p.closes()
	}
}

// Start puts the first values of w into the variables: weights drawn from its seed, moments 0. The workload must have the
// graph key that the program was made for. What it begins with otherwise, [Workload.Begin] puts over them.
func (p *Program) Start(w Workload) error {
	if w.GraphKey() != p.key {
		return fmt.Errorf("start: workload %s does not belong to program %s", w.GraphKey(), p.key)
	}
	p.workload, p.model, p.placed = w, w.Model(), false
	fresh, inv, err := initialize(p.backend, w)
	if err != nil {
		return err
	}
	if err := p.model.Config.CheckGroups(inv); err != nil {
		return err
	}
	p.weights = inv
	for _, w := range inv {
		value, err := fresh.GetVariable(w.Path()).Value()
		if err != nil {
			return err
		}
		old := p.store.GetVariable(w.Path())
		if old == nil {
			_, err = p.store.CreateVariable(w.Path(), value)
		} else {
			err = old.SetValue(value)
		}
		if err != nil {
			return fmt.Errorf("set %s: %w", w.Path(), err)
		}
	}
	for _, w := range learning(p.store, inv) {
		rest := states(p.store, w, p.model.Config)
		if sum := p.store.GetVariable(accumulatorScope + w.Path()); sum != nil {
			rest = append(rest, sum)
		}
		if average := p.store.GetVariable(averageScope + w.Path()); average != nil {
			rest = append(rest, average)
		}
		for _, v := range rest {
			if err := v.SetValue(tensors.FromShape(v.Shape())); err != nil {
				return fmt.Errorf("reset %s: %w", v.Path(), err)
			}
		}
	}
	return nil
}

// place moves the variables onto the device before the first step, and gives the host's copies of them back to the system, so that
// the step does not find both in memory. Where devices share the rows of a batch, the step places them.
func (p *Program) place() error {
	if p.placed || p.devices != nil {
		return nil
	}
	p.placed = true
	for _, v := range p.Variables() {
		value, err := v.Value()
		if err == nil {
			err = value.MaterializeOnDevice(p.backend, false, 0)
		}
		if err != nil {
			return fmt.Errorf("place %s: %w", v.Path(), err)
		}
		value.FinalizeLocal()
	}
	debug.FreeOSMemory()
	return nil
}

// Variables lists what a checkpoint holds, sorted by path: the weights, and the moments and running averages of those that learn.
func (p *Program) Variables() []*model.Variable {
	list, trained := variablesOf(p.store, p.weights), learning(p.store, p.weights)
	for _, w := range trained {
		list = append(list, states(p.store, w, p.model.Config)...)
	}
	return byPath(append(list, p.averages(trained)...))
}

// Weights lists the weights that the graphs read, and says which of them learn; none before [Program.Start].
func (p *Program) Weights() metro.Inventory { return p.weights }

// Store holds the program's variables, for workloads that read or set them.
func (p *Program) Store() *model.Store { return p.store }

// The graphs of a step.
const (
	stepGraph       = "step"
	gatherGraph     = "gather" // these three in the place of step, if a step's rows are computed in parts
	accumulateGraph = "accumulate"
	applyGraph      = "apply"
	validateGraph   = "validate"
)

// step: dropout key, part…, scalars and rates → gradient norm, tally, more.
func (t trained) step(scope *model.Scope, in []*Node) ([]*Node, []string) {
	out, rates := t.forward(scope, in[1:], in[0], nil)
	norm := Optimize(scope.Store(), out.Loss, rates, t.moves(), t.config())
	return append([]*Node{norm, out.Tally}, out.More...), out.Names
}

// accumulatorScope holds the sums of gradients of the parts of a step.
const accumulatorScope = "/accumulated"

// gather finds out what the parts of a step must know of one another (see [metro.MicroBatch]): dropout key, part…, scalars and
// rates → what one part is asked for, and its loss, so that there is an output.
func (t trained) gather(scope *model.Scope, in []*Node) ([]*Node, []string) {
	micro := &metro.MicroBatch{Count: t.config().Training.Accumulate}
	out, _ := t.forward(scope, in[1:], in[0], micro)
	return append(micro.Asked(), out.Loss), nil
}

// accumulate adds the gradients of one part of a step to the accumulators, which the first part begins anew: dropout key,
// part's number, part…, scalars and rates, what was gathered… → tally, more.
func (t trained) accumulate(scope *model.Scope, in []*Node) ([]*Node, []string) {
	key, part, in := in[0], in[1], in[2:]
	tensors, _ := t.workload.Inputs()
	n := len(tensors) + 1
	micro := &metro.MicroBatch{Count: t.config().Training.Accumulate, Index: part, Others: in[n:]}
	out, _ := t.forward(scope, in[:n], key, micro)
	list := learning(scope.Store(), t.moves())
	share := 1 / float64(micro.Count)
	for i, grad := range gradients(out.Loss, list) {
		sum := zeros(scope.Store(), list[i].variable, accumulatorScope)
		keep := ConvertDType(GreaterThan(part, ZerosLike(part)), grad.DType())
		sum.SetNodeValue(Add(Mul(sum.NodeValue(grad.Graph()), keep), MulScalar(grad, share)))
	}
	return append([]*Node{out.Tally}, out.More...), out.Names
}

// apply makes the optimizer's step with the accumulated gradients: rates → gradient norm.
func (t trained) apply(scope *model.Scope, in []*Node) ([]*Node, []string) {
	list := learning(scope.Store(), t.moves())
	sums := make([]*Node, len(list))
	for i, w := range list {
		sums[i] = zeros(scope.Store(), w.variable, accumulatorScope).NodeValue(in[0].Graph())
	}
	_, rates := t.split(in[0])
	return []*Node{update(scope.Store(), list, sums, rates, t.config())}, nil
}

// validate: part…, scalars and rates → tally, more.
func (p *Program) validate(scope *model.Scope, in []*Node) ([]*Node, []string) {
	out, _ := trained{p, 0}.forward(scope, in, nil, nil)
	return append([]*Node{out.Tally}, out.More...), out.Names
}

// split parts the vector that a step reads beside its batch: the workload's scalars, nil if it has none, and the rates.
func (p *Program) split(vector *Node) (scalars, rates *Node) {
	_, n := p.workload.Inputs()
	if n == 0 {
		return nil, vector
	}
	return Slice(vector, AxisRange(0, n)), Slice(vector, AxisRange(n, n+RatesSize))
}

// graph returns the graph of that name, which build builds when it is compiled.
func (p *Program) graph(name string, build builder) (*compiled, error) {
	if g, ok := p.graphs[name]; ok {
		return g, nil
	}
	g, unique := &compiled{}, donation.Name()
	exec, err := model.NewExec(p.backend, p.store, func(scope *model.Scope, in []*Node) (out []*Node) {
		out, g.names = build(scope, in)
		donation.Set(unique, written(scope.Store(), out[0].Graph()))
		return out
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the graph %q: %w", name, err)
	}
	g.exec = exec.WithName(unique)
	p.graphs[name] = g
	return g, nil
}

// written are the paths of the variables of a store that a graph writes anew, in the order in which GoMLX returns them.
func written(store *model.Store, g *Graph) (paths []string) {
	for v := range store.IterVariables() {
		if v.ChangedInGraph(g) {
			paths = append(paths, v.Path())
		}
	}
	return paths
}

// Call runs a graph of the workload's own, which is built and compiled at the first call of its name; see
// [Workload.Evaluate]. Tensors of rank 2 and more are taken for rows where several devices share these (see [Program.Divide]).
func (p *Program) Call(name string, build func(scope *model.Scope, in []*Node) []*Node, inputs ...any) ([]*tensors.Tensor, error) {
	inputs = slices.Clone(inputs)
	for i, in := range inputs {
		if t, ok := in.(*tensors.Tensor); ok && t.Rank() > 1 {
			inputs[i] = perRow{t}
		}
	}
	_, out, err := p.call(name, func(scope *model.Scope, in []*Node) ([]*Node, []string) { return build(scope, in), nil }, inputs...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

// vector is what a step reads beside its batch: the workload's scalars and the optimizer's rates.
func (p *Program) vector(scalars []float32, step int) *tensors.Tensor {
	values := append(slices.Clone(scalars), Rates(p.model.Config, step)...)
	return tensors.FromFlatDataAndDimensions(values, len(values))
}

// inputs are the tensors of one part of a batch and the vector, behind others.
func inputs(b Batch, part int, vector *tensors.Tensor, first ...any) []any {
	for _, t := range b.Part(part) {
		first = append(first, perRow{t})
	}
	return append(first, vector)
}

// Step runs training step number step (1, 2, …) on batch.
func (p *Program) Step(batch Batch, step int) (StepOutput, error) {
	if err := p.place(); err != nil {
		return StepOutput{}, fmt.Errorf("training step %d: %w", step, err)
	}
	t, vector := p.trainedBy(step), p.vector(p.workload.Scalars(step), step)
	if p.model.Config.Training.Accumulate > 1 {
		return t.stepInParts(batch, vector, step)
	}
	g, out, err := p.call(t.of(stepGraph), t.step, inputs(batch, 0, vector, p.dropoutKey(step, 0))...)
	if err != nil {
		return StepOutput{}, fmt.Errorf("training step %d: %w", step, err)
	}
	return StepOutput{norm: out[0], parts: [][]*tensors.Tensor{out[1:]}, names: g.names}, nil
}

func (t trained) stepInParts(batch Batch, vector *tensors.Tensor, step int) (o StepOutput, err error) {
	gathered, err := t.gathered(func(part int) []any { return inputs(batch, part, vector, t.dropoutKey(step, part)) })
	if err != nil {
		return o, fmt.Errorf("training step %d: %w", step, err)
	}
	for part := range t.config().Training.Accumulate {
		in := append(inputs(batch, part, vector, t.dropoutKey(step, part), int32(part)), gathered...)
		accumulate, out, err := t.call(t.of(accumulateGraph), t.accumulate, in...)
		if err != nil {
			return o, fmt.Errorf("training step %d, part %d: %w", step, part, err)
		}
		o.parts, o.names = append(o.parts, out), accumulate.names
	}
	_, out, err := t.call(t.of(applyGraph), t.apply, vector)
	if err != nil {
		return o, fmt.Errorf("training step %d: %w", step, err)
	}
	o.norm = out[0]
	return o, nil
}

// gathered puts together what all parts of a step are asked for, each [parts, …].
func (t trained) gathered(inputs func(part int) []any) (all []any, err error) {
	if t.asksNothing {
		return nil, nil
	}
	parts := t.config().Training.Accumulate
	var values [][]float32
	var dims [][]int
	for part := range parts {
		_, out, err := t.call(t.of(gatherGraph), t.gather, inputs(part)...)
		if err != nil {
			return nil, fmt.Errorf("what part %d is asked for: %w", part, err)
		}
		asked := out[:len(out)-1]
		if part == 0 {
			values = make([][]float32, len(asked))
		}
		for i, x := range asked {
			flat, err := tensors.CopyFlatData[float32](x)
			if err != nil {
				return nil, fmt.Errorf("read what part %d is asked for: %w", part, err)
			}
			if values[i] = append(values[i], flat...); part == 0 {
				dims = append(dims, append([]int{parts}, x.Shape().Dimensions...))
			}
		}
		for _, x := range out {
			x.MustFinalizeAll()
		}
		if len(asked) == 0 {
			t.asksNothing = true
			return nil, nil
		}
	}
	for i := range values {
		all = append(all, tensors.FromFlatDataAndDimensions(values[i], dims[i]...))
	}
	return all, nil
}

// dropoutKey is the key of a part of a step: two words of noise, the same for all parts, and the first of the part's rows.
func (p *Program) dropoutKey(step, part int) *tensors.Tensor {
	c := p.model.Config
	a, b := randstream.Key(c.Seed, p.workload.Stream()+"dropout", step)
	return tensors.FromFlatDataAndDimensions([]uint64{a, b, uint64(part * partRows(c))}, dropoutWords)
}

// dropoutWords is the length of a dropout key.
const dropoutWords = 3

// Validate runs batch, in one part of any number of rows, without learning, with the given scalars of the workload.
func (p *Program) Validate(batch Batch, scalars []float32) (o StepOutput, err error) {
	g, out, err := p.call(validateGraph, p.validate, inputs(batch, 0, p.vector(scalars, p.model.Config.Training.Steps))...)
	if err != nil {
		return o, fmt.Errorf("validate: %w", err)
	}
	return StepOutput{parts: [][]*tensors.Tensor{out}, names: g.names}, nil
}

// copyGenerator starts the main model from the generator's weights: its tables, embedding and layers.
func (p *Program) copyGenerator() error {
	main := p.weights.Of(metro.OwnerMain).Encoder().ByPlace()
	for _, w := range p.weights.Of(metro.OwnerGenerator).Encoder() {
		to, ok := main[w.Place]
		if !ok {
			return fmt.Errorf("copy %s: the main model has no such weight", w.Path())
		}
		value, err := p.store.GetVariable(w.Path()).Value()
		if err != nil {
			return err
		}
		copied, err := value.LocalClone()
		if err != nil {
			return fmt.Errorf("copy %s: %w", w.Path(), err)
		}
		if err := p.store.GetVariable(to.Path()).SetValue(copied); err != nil {
			return fmt.Errorf("copy %s to %s: %w", w.Path(), to.Path(), err)
		}
	}
	return nil
}
