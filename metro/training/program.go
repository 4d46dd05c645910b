// SPDX-License-Identifier: Apache-2.0

package training

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"metrolab/internal/randstream"
	"metrolab/layers"
	"metrolab/metro"
	"metrolab/metro/data"
)

// Program is the compiled computation of one graph (see [metro.Config.GraphKey]) together with the variables that it
// works on. It runs one config at a time; [Program.Start] makes it ready for the next one without compiling again.
type Program struct {
	backend compute.Backend
	model   metro.Model
	store   *model.Store

	// Of the metrics, in the order of the tally; known once the graph is built. Training and validation need not build
	// the same parts.
	stepNames, validateNames []string

	step, validate, detect *model.Exec
	accumulate, apply      *model.Exec // in the place of step, if a step's rows are computed in parts
}

// NewProgram prepares the computation of m on backend. Compilation happens at the first call of each kind.
func NewProgram(backend compute.Backend, m metro.Model) (*Program, error) {
	p := &Program{backend: backend, model: m, store: model.NewStore()}
	var err error
	if p.step, err = model.NewExec(backend, p.store, p.stepGraph); err != nil {
		return nil, fmt.Errorf("prepare the training step: %w", err)
	}
	if p.accumulate, err = model.NewExec(backend, p.store, p.accumulateGraph); err != nil {
		return nil, fmt.Errorf("prepare the gradients: %w", err)
	}
	if p.apply, err = model.NewExec(backend, p.store, p.applyGraph); err != nil {
		return nil, fmt.Errorf("prepare the update: %w", err)
	}
	if p.validate, err = model.NewExec(backend, p.store, p.validateGraph); err != nil {
		return nil, fmt.Errorf("prepare the validation: %w", err)
	}
	if p.detect, err = model.NewExec(backend, p.store, p.detectGraph); err != nil {
		return nil, fmt.Errorf("prepare the detector: %w", err)
	}
	return p, nil
}

// Start puts the first values of config into the variables: weights drawn from its seed, moments 0. The config must
// have the graph key that the program was made for.
func (p *Program) Start(config metro.Config) error {
	if config.GraphKey() != p.model.Config.GraphKey() {
		return fmt.Errorf("start: config %s does not belong to program %s", config.GraphKey(), p.model.Config.GraphKey())
	}
	p.model.Config = config
	fresh, err := InitialVariables(p.backend, p.model)
	if err != nil {
		return err
	}
	for v := range p.store.IterVariables() {
		if strings.HasPrefix(v.Path(), momentScope) || strings.HasPrefix(v.Path(), accumulatorScope) {
			if err := v.SetValue(tensors.FromShape(v.Shape())); err != nil {
				return fmt.Errorf("reset %s: %w", v.Path(), err)
			}
		}
	}
	for v := range fresh.IterVariables() {
		value, err := v.Value()
		if err != nil {
			return err
		}
		old := p.store.GetVariable(v.Path())
		if old == nil {
			_, err = p.store.CreateVariable(v.Path(), value)
		} else {
			err = old.SetValue(value)
		}
		if err != nil {
			return fmt.Errorf("set %s: %w", v.Path(), err)
		}
	}
	for _, v := range weights(fresh, p.model) {
		for _, which := range []string{"m", "v"} {
			moment(p.store, v, which)
		}
	}
	return nil
}

// Variables lists what a checkpoint holds, moments included, sorted by path.
func (p *Program) Variables() []*model.Variable {
	return sorted(p.store, func(v *model.Variable) bool { return !strings.HasPrefix(v.Path(), accumulatorScope) })
}

// InitialVariables returns a store with the variables of m, first values drawn from its seed. Nothing is compiled.
func InitialVariables(backend compute.Backend, m metro.Model) (*model.Store, error) {
	store := model.NewStore()
	store.SetParam(layers.ParamSeed, m.Config.Seed)
	err := exceptions.TryCatch[error](func() {
		g := NewGraph(backend, "variables")
		defer g.Finalize()
		model.SetStore(g, store)
		b, s, p := graphRows(m.Config), m.Config.Data.SeqLen, m.Config.MaskedPositions()
		ids := func(name string, dims ...int) *Node { return Parameter(g, name, shapes.Make(dtypes.Int32, dims...)) }
		number := func(name string, dims ...int) *Node {
			return Parameter(g, name, shapes.Make(dtypes.Float32, dims...))
		}
		m.Forward(store.RootScope(), metro.Batch{
			Tokens: ids("tokens", b, s), Masked: ids("masked", b, s), Positions: ids("positions", b, p),
			Weights: number("weights", b, p), Uniforms: number("uniforms", b, p), Rows: number("rows", b),
		}, scalarInputs{number("scalars", scalarsSize)}.model())
	})
	if err != nil {
		return nil, fmt.Errorf("build the model: %w", err)
	}
	return store, nil
}

// graphRows is the number of rows that one graph works on: a step's, or a part of them.
func graphRows(c metro.Config) int { return c.Training.BatchSize / c.Training.Accumulate }

// stepGraph: inputs batch…, scalars, dropout key → gradient norm, tally, RTD logits, labels, padding mask.
func (p *Program) stepGraph(scope *model.Scope, in []*Node) []*Node {
	pass, scalars := p.forward(scope, in)
	norm := Optimize(scope.Store(), pass.Loss, scalars.rates(), p.model)
	return append([]*Node{norm}, results(pass, &p.stepNames)...)
}

// accumulatorScope holds the sums of gradients of the parts of a step.
const accumulatorScope = "/accumulated"

// accumulateGraph adds the gradients of one part of a step to the accumulators, of which input keep, 0 or 1, is kept.
func (p *Program) accumulateGraph(scope *model.Scope, in []*Node) []*Node {
	keep, in := in[0], in[1:]
	pass, _ := p.forward(scope, in)
	variables := weights(scope.Store(), p.model)
	share := 1 / float64(p.model.Config.Training.Accumulate)
	for i, grad := range gradients(pass.Loss, variables) {
		sum := zeros(scope.Store(), variables[i], accumulatorScope)
		sum.SetNodeValue(Add(Mul(sum.NodeValue(keep.Graph()), keep), MulScalar(grad, share)))
	}
	return results(pass, &p.stepNames)
}

// applyGraph makes the optimizer's step with the accumulated gradients → gradient norm.
func (p *Program) applyGraph(scope *model.Scope, scalars *Node) *Node {
	variables := weights(scope.Store(), p.model)
	sums := make([]*Node, len(variables))
	for i, v := range variables {
		sums[i] = zeros(scope.Store(), v, accumulatorScope).NodeValue(scalars.Graph())
	}
	return adamW(scope.Store(), variables, sums, scalarInputs{scalars}.rates(), p.model.Config)
}

func (p *Program) validateGraph(scope *model.Scope, in []*Node) []*Node {
	pass, _ := p.forward(scope, in)
	return results(pass, &p.validateNames)
}

func (p *Program) detectGraph(scope *model.Scope, corrupted, biasScale *Node) *Node {
	return p.model.Detect(scope, corrupted, biasScale)
}

// forward reads the inputs: batch…, scalars and, when training, the dropout key.
func (p *Program) forward(scope *model.Scope, in []*Node) (*metro.Pass, scalarInputs) {
	batch := metro.Batch{Tokens: in[0], Masked: in[1], Positions: in[2], Weights: in[3], Uniforms: in[4], Rows: in[5]}
	scalars := scalarInputs{in[6]}
	if len(in) > 7 {
		batch.Key = in[7]
	}
	return p.model.Forward(scope, batch, scalars.model()), scalars
}

// results are the outputs of a pass: the tally, of which names is told the metrics, and, if there is RTD, its logits,
// labels and the padding mask.
func results(pass *metro.Pass, names *[]string) []*Node {
	var tally *Node
	tally, *names = pass.Tally()
	if pass.Built("RTDLogits") == nil {
		return []*Node{tally}
	}
	return []*Node{tally, pass.RTDLogits(), pass.Replaced(), pass.NonPad}
}

// weights lists the variables of store that learn, sorted by path.
func weights(store *model.Store, m metro.Model) []*model.Variable {
	return sorted(store, func(v *model.Variable) bool {
		return !strings.HasPrefix(v.Path(), momentScope) && !strings.HasPrefix(v.Path(), accumulatorScope) && m.Trainable(v.Path())
	})
}

func sorted(store *model.Store, keep func(*model.Variable) bool) []*model.Variable {
	var list []*model.Variable
	for v := range store.IterVariables() {
		if keep(v) {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, func(a, b *model.Variable) int { return strings.Compare(a.Path(), b.Path()) })
	return list
}

// scalarInputs is the vector of everything that changes from step to step or from arm to arm.
type scalarInputs struct{ v *Node }

// scalarsSize is the length of [Program.scalars].
const scalarsSize = 6 + RatesSize

func (s scalarInputs) at(i int) *Node { return Squeeze(Slice(s.v, AxisElem(i))) }

func (s scalarInputs) model() metro.Scalars {
	return metro.Scalars{
		GeneratorWeight: s.at(0), RTDWeight: s.at(1), CLMWeight: s.at(2), SCLWeight: s.at(3), BiasScale: s.at(4), Temperature: s.at(5),
	}
}

func (s scalarInputs) rates() *Node { return Slice(s.v, AxisRange(6, scalarsSize)) }

// scalars is the vector that [scalarInputs] reads, for a step and the stage of training that the losses are weighted for.
func (p *Program) scalars(step int, losses []float32) *tensors.Tensor {
	c := p.model.Config
	values := append(losses, float32(c.Positions.Scale), float32(Temperature(c, step)))
	return tensors.FromFlatDataAndDimensions(append(values, Rates(c, step)...), scalarsSize)
}

// inputs are those of part number part of a batch.
func (p *Program) inputs(b data.Batch, part int, scalars *tensors.Tensor) []any {
	c := p.model.Config
	rows, s, slots := graphRows(c), c.Data.SeqLen, c.MaskedPositions()
	return []any{
		slab(b.Tokens, part, rows, s), slab(b.Masked, part, rows, s), slab(b.Positions, part, rows, slots),
		slab(b.Weights, part, rows, slots), slab(b.Uniforms, part, rows, slots), slab(b.Rows, part, rows), scalars,
	}
}

// slab is the part-th tensor of the given dimensions in values.
func slab[T int32 | float32](values []T, part int, dims ...int) *tensors.Tensor {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return tensors.FromFlatDataAndDimensions(values[part*n:(part+1)*n], dims...)
}

// Step runs training step number step (1, 2, …) on batch.
func (p *Program) Step(batch data.Batch, step int) (StepOutput, error) {
	if p.model.Config.Training.Accumulate > 1 {
		return p.stepInParts(batch, step)
	}
	scalars := p.scalars(step, lossWeights(p.model.Config, step))
	out, err := p.step.Call(append(p.inputs(batch, 0, scalars), p.dropoutKey(step))...)
	if err != nil {
		return StepOutput{}, fmt.Errorf("training step %d: %w", step, err)
	}
	return StepOutput{norm: out[0], parts: [][]*tensors.Tensor{out[1:]}, names: p.stepNames}, nil
}

func (p *Program) stepInParts(batch data.Batch, step int) (StepOutput, error) {
	var o StepOutput
	scalars := p.scalars(step, lossWeights(p.model.Config, step))
	for part := range p.model.Config.Training.Accumulate {
		in := append([]any{float32(min(part, 1))}, p.inputs(batch, part, scalars)...)
		out, err := p.accumulate.Call(append(in, p.dropoutKey(step, part))...)
		if err != nil {
			return o, fmt.Errorf("training step %d, part %d: %w", step, part, err)
		}
		o.parts = append(o.parts, out)
	}
	var err error
	if o.norm, err = p.apply.Call1(scalars); err != nil {
		return o, fmt.Errorf("training step %d: %w", step, err)
	}
	o.names = p.stepNames
	return o, nil
}

func (p *Program) dropoutKey(parts ...int) *tensors.Tensor {
	a, b := randstream.Key(p.model.Config.Seed, "dropout", parts...)
	return tensors.FromFlatDataAndDimensions([]uint64{a, b, 0}, 3)
}

// Validate runs batch without learning, at the temperature of the last step.
func (p *Program) Validate(batch data.Batch) (StepOutput, error) {
	var o StepOutput
	c := p.model.Config
	scalars := p.scalars(c.Training.Steps, c.Objective.Weights())
	for part := range c.Training.Accumulate {
		out, err := p.validate.Call(p.inputs(batch, part, scalars)...)
		if err != nil {
			return o, fmt.Errorf("validate: %w", err)
		}
		o.parts = append(o.parts, out)
	}
	o.names = p.validateNames
	return o, nil
}

// Detect scores the tokens of one batch of corrupted rows, [B, S] row-major; see [metro.Model.Detect].
func (p *Program) Detect(rows []int32) ([]float32, error) {
	c := p.model.Config
	var scores []float32
	for part := range c.Training.Accumulate {
		out, err := p.detect.Call1(slab(rows, part, graphRows(c), c.Data.SeqLen), tensors.FromScalar(float32(c.Positions.Scale)))
		if err != nil {
			return nil, fmt.Errorf("detect: %w", err)
		}
		values, err := tensors.CopyFlatData[float32](out)
		out.MustFinalizeAll()
		if err != nil {
			return nil, fmt.Errorf("detect: %w", err)
		}
		scores = append(scores, values...)
	}
	return scores, nil
}

// copyGenerator starts the main model from the generator's weights: its tables, embedding and layers.
func (p *Program) copyGenerator() error {
	for v := range p.store.IterVariables() {
		rest, ok := strings.CutPrefix(v.Path(), "/generator/")
		if !ok || strings.HasPrefix(rest, "head/") {
			continue
		}
		path := "/main/" + rest
		if strings.HasSuffix(rest, "_embedding") {
			path = "/shared/" + rest
		}
		value, err := v.Value()
		if err != nil {
			return err
		}
		copied, err := value.LocalClone()
		if err != nil {
			return fmt.Errorf("copy %s: %w", v.Path(), err)
		}
		if err := p.store.GetVariable(path).SetValue(copied); err != nil {
			return fmt.Errorf("copy %s to %s: %w", v.Path(), path, err)
		}
	}
	return nil
}
