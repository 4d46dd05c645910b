// SPDX-License-Identifier: Apache-2.0

package training

import (
	"fmt"
	"math"
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

	step, validate, detect *model.Exec
}

// NewProgram prepares the computation of m on backend. Compilation happens at the first call of each kind.
func NewProgram(backend compute.Backend, m metro.Model) (*Program, error) {
	p := &Program{backend: backend, model: m, store: model.NewStore()}
	var err error
	if p.step, err = model.NewExec(backend, p.store, p.stepGraph); err != nil {
		return nil, fmt.Errorf("prepare the training step: %w", err)
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
		if strings.HasPrefix(v.Path(), momentScope) {
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
	for v := range fresh.IterVariables() {
		for _, which := range []string{"m", "v"} {
			moment(p.store, v, which)
		}
	}
	return nil
}

// Variables lists the variables, moments included, sorted by path.
func (p *Program) Variables() []*model.Variable {
	return sorted(p.store, func(*model.Variable) bool { return true })
}

// InitialVariables returns a store with the variables of m, first values drawn from its seed. Nothing is compiled.
func InitialVariables(backend compute.Backend, m metro.Model) (*model.Store, error) {
	store := model.NewStore()
	store.SetParam(layers.ParamSeed, m.Config.Seed)
	err := exceptions.TryCatch[error](func() {
		g := NewGraph(backend, "variables")
		defer g.Finalize()
		model.SetStore(g, store)
		b, s, p := m.Config.Training.BatchSize, m.Config.Data.SeqLen, m.Config.MaskedPositions()
		ids := func(name string, dims ...int) *Node { return Parameter(g, name, shapes.Make(dtypes.Int32, dims...)) }
		number := func(name string, dims ...int) *Node {
			return Parameter(g, name, shapes.Make(dtypes.Float32, dims...))
		}
		batch := metro.Batch{
			Tokens: ids("tokens", b, s), Masked: ids("masked", b, s), Positions: ids("positions", b, p),
			Weights: number("weights", b, p), Uniforms: number("uniforms", b, p),
		}
		one := ScalarOne(g, dtypes.Float32)
		m.Forward(store.RootScope(), batch, metro.Scalars{RTDWeight: one, CLMWeight: one, BiasScale: one})
	})
	if err != nil {
		return nil, fmt.Errorf("build the model: %w", err)
	}
	return store, nil
}

// stepGraph: inputs batch…, scalars [6], dropout key → tally ⊕ gradient norm [15], RTD logits, labels.
func (p *Program) stepGraph(scope *model.Scope, in []*Node) []*Node {
	batch, scalars := readInputs(in)
	batch.Key = in[6]
	out := p.model.Forward(scope, batch, scalars.model())
	norm := adamW(scope.Store(), out.Loss, weights(scope.Store()), p.model.Config.Optimizer, scalars.optimizer())
	tally := Concatenate([]*Node{out.Tally(batch), Reshape(norm, 1)}, 0)
	return []*Node{tally, out.RTDLogits, out.Replaced, out.NonPad}
}

func (p *Program) validateGraph(scope *model.Scope, in []*Node) []*Node {
	batch, scalars := readInputs(in)
	out := p.model.Forward(scope, batch, scalars.model())
	return []*Node{out.Tally(batch), out.RTDLogits, out.Replaced, out.NonPad}
}

func (p *Program) detectGraph(scope *model.Scope, corrupted, biasScale *Node) *Node {
	return p.model.Detect(scope, corrupted, biasScale)
}

// weights lists the variables of store without the optimizer's moments, sorted by path.
func weights(store *model.Store) []*model.Variable {
	return sorted(store, func(v *model.Variable) bool { return !strings.HasPrefix(v.Path(), momentScope) })
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

func (s scalarInputs) at(i int) *Node { return Squeeze(Slice(s.v, AxisElem(i))) }

func (s scalarInputs) model() metro.Scalars {
	return metro.Scalars{RTDWeight: s.at(0), CLMWeight: s.at(1), BiasScale: s.at(2)}
}

func (s scalarInputs) optimizer() adamWRates { return adamWRates{s.at(3), s.at(4), s.at(5)} }

func readInputs(in []*Node) (metro.Batch, scalarInputs) {
	return metro.Batch{Tokens: in[0], Masked: in[1], Positions: in[2], Weights: in[3], Uniforms: in[4]}, scalarInputs{in[5]}
}

func (p *Program) inputs(b data.Batch, step int) []any {
	c := p.model.Config
	rows, s, slots := c.Training.BatchSize, c.Data.SeqLen, c.MaskedPositions()
	scalars := append([]float32{
		float32(c.Objective.RTDWeight), float32(c.Objective.CLMWeight), float32(c.Positions.Scale),
	}, Rates(c, step)...)
	return []any{
		tensors.FromFlatDataAndDimensions(b.Tokens, rows, s), tensors.FromFlatDataAndDimensions(b.Masked, rows, s),
		tensors.FromFlatDataAndDimensions(b.Positions, rows, slots), tensors.FromFlatDataAndDimensions(b.Weights, rows, slots),
		tensors.FromFlatDataAndDimensions(b.Uniforms, rows, slots), tensors.FromFlatDataAndDimensions(scalars, len(scalars)),
	}
}

// Step runs training step number step (1, 2, …) on batch.
func (p *Program) Step(batch data.Batch, step int) (StepOutput, error) {
	a, b := randstream.Key(p.model.Config.Seed, "dropout", step)
	key := tensors.FromFlatDataAndDimensions([]uint64{a, b, 0}, 3)
	out, err := p.step.Call(append(p.inputs(batch, step), key)...)
	if err != nil {
		return StepOutput{}, fmt.Errorf("training step %d: %w", step, err)
	}
	return StepOutput{out}, nil
}

// Validate runs batch without learning.
func (p *Program) Validate(batch data.Batch) (StepOutput, error) {
	out, err := p.validate.Call(p.inputs(batch, 1)...)
	if err != nil {
		return StepOutput{}, fmt.Errorf("validate: %w", err)
	}
	return StepOutput{out}, nil
}

// Detect returns the RTD logits of one batch of corrupted rows, [B, S] row-major.
func (p *Program) Detect(rows []int32) ([]float32, error) {
	c := p.model.Config
	out, err := p.detect.Call1(
		tensors.FromFlatDataAndDimensions(rows, c.Training.BatchSize, c.Data.SeqLen),
		tensors.FromScalar(float32(c.Positions.Scale)))
	if err != nil {
		return nil, fmt.Errorf("detect: %w", err)
	}
	defer out.MustFinalizeAll()
	return tensors.CopyFlatData[float32](out)
}

// StepOutput is what a step left on the device; nothing is copied to the host before it is asked for.
type StepOutput struct{ tensors []*tensors.Tensor }

// Tally reads the counts, and the norm of the gradients before clipping if it was a training step.
func (o StepOutput) Tally() (t metro.Tally, gradientNorm float64, err error) {
	v, err := tensors.CopyFlatData[float32](o.tensors[0])
	if err != nil {
		return t, 0, fmt.Errorf("read the step's counts: %w", err)
	}
	if n := len(v) - 1; n == metro.TallySize {
		gradientNorm = float64(v[n])
	}
	return metro.ReadTally(v), gradientNorm, nil
}

// Detections reads logits and labels of all real tokens, in row-major order.
func (o StepOutput) Detections() (logits []float32, replaced []bool, err error) {
	all, err := tensors.CopyFlatData[float32](o.tensors[1])
	if err != nil {
		return nil, nil, fmt.Errorf("read the RTD logits: %w", err)
	}
	labels, err := tensors.CopyFlatData[bool](o.tensors[2])
	if err != nil {
		return nil, nil, fmt.Errorf("read the RTD labels: %w", err)
	}
	real, err := tensors.CopyFlatData[bool](o.tensors[3])
	if err != nil {
		return nil, nil, fmt.Errorf("read the padding mask: %w", err)
	}
	for i := range all {
		if real[i] {
			logits, replaced = append(logits, all[i]), append(replaced, labels[i])
		}
	}
	return logits, replaced, nil
}

// Release frees the device memory.
func (o StepOutput) Release() {
	for _, t := range o.tensors {
		t.MustFinalizeAll()
	}
}

func biasCorrection(beta float64, step int) float32 {
	return float32(1 / (1 - math.Pow(beta, float64(step))))
}
