// SPDX-License-Identifier: Apache-2.0

package training

import (
	"encoding/json"
	"fmt"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/metro"
	"metrolab/metro/corruptions"
	"metrolab/metro/data"
	"metrolab/metro/runs"
	"metrolab/metro/tokens"
)

// Pretraining is the workload of the METRO recipe: a generator and a main model on rows of text.
type Pretraining struct {
	model   metro.Model
	loader  data.Loader
	heldOut *HeldOut
	origins origins
	dataset *data.Dataset       // nil where the caller makes the batches
	stored  *corruptions.Reader // what was drawn before; nil where samples are drawn in the step
	options []string            // the config's InputOptions, which every step asks for
}

// NewPretraining pretrains m on batches that the caller makes, with weights that are drawn: for programs that run steps of
// their own. [Runner] trains whole runs.
func NewPretraining(m metro.Model) *Pretraining {
	return &Pretraining{model: m, options: m.Config.InputOptions()}
}

// NewPretrainingOn is [NewPretraining] on the training split of d, whose validation and test splits may be missing: it makes
// batches and has a tokenizer, and is not measured on held-out text.
func NewPretrainingOn(m metro.Model, d *data.Dataset) *Pretraining {
	return &Pretraining{model: m, dataset: d, loader: loader(m.Config, d, d.Train), options: m.Config.InputOptions()}
}

// Model implements [Workload].
func (w *Pretraining) Model() metro.Model { return w.model }

// Tokenizer implements [Workload]. It is nil where the caller makes the batches.
func (w *Pretraining) Tokenizer() tokens.Tokenizer {
	if w.dataset == nil {
		return nil
	}
	return w.dataset.Tokenizer
}

// GraphKey implements [Workload]: the config's key, and what of the tokenizer is built into the graph.
func (w *Pretraining) GraphKey() string {
	m := w.model
	key := fmt.Sprintf("pretraining/%s/%d/%d/%d/%s", m.Config.GraphKey(), m.Vocab, m.PadID, m.SepID, m.SpellingKey())
	switch m.Config.Replacements.Source {
	case metro.SourceJoint, metro.SourceFrozen, metro.SourceStored:
		return key
	}
	return fmt.Sprint(key, m.LogUnigram, m.LogUniform)
}

// Stream implements [Workload].
func (w *Pretraining) Stream() string { return "" }

// Inputs implements [Workload].
func (w *Pretraining) Inputs() ([]shapes.Shape, int) {
	return batchShapes(w.model.Config), lossScalars + len(w.options)
}

// lossScalars is the number of scalars that every pretraining step has: four loss weights, bias scale, temperature.
const lossScalars = 6

// Scalars implements [Workload]: in the order in which scalarNodes reads them.
func (w *Pretraining) Scalars(step int) []float32 {
	return w.scalars(step, lossWeights(w.model.Config, step), func(path string) bool { return rests(w.model.Config, path, step) })
}

// scalars are 0 for the options that are weights of what rests.
func (w *Pretraining) scalars(step int, losses []float32, rests func(path string) bool) []float32 {
	c := w.model.Config
	values := append(losses, float32(c.Positions.Scale), float32(c.TemperatureAt(step)))
	for _, path := range w.options {
		value := float32(c.Option(path).(float64))
		if rests(path) {
			value = 0
		}
		values = append(values, value)
	}
	return values
}

// scalarNodes gives the numbers of a vector of [Pretraining.Scalars] their names.
func (w *Pretraining) scalarNodes(v *Node) metro.Scalars {
	at := func(i int) *Node { return Squeeze(Slice(v, AxisElem(i))) }
	s := metro.Scalars{
		GeneratorWeight: at(0), RTDWeight: at(1), CLMWeight: at(2), SCLWeight: at(3), BiasScale: at(4), Temperature: at(5),
		Options: map[string]*Node{},
	}
	for i, path := range w.options {
		s.Options[path] = at(lossScalars + i)
	}
	return s
}

// Forward implements [Workload]. More is, if there is RTD, its logits, its labels and the original tokens.
func (w *Pretraining) Forward(scope *model.Scope, in []*Node, scalars, key *Node, micro *metro.MicroBatch) Output {
	batch := batchNodes(w.model.Config, in)
	batch.Key, batch.Micro = key, micro
	pass := w.model.Forward(scope, batch, w.scalarNodes(scalars))
	out := Output{Loss: pass.Loss}
	out.Tally, out.Names = pass.Tally()
	if pass.Built("RTDLogits") != nil {
		out.More = []*Node{pass.RTDLogits(), pass.Replaced(), batch.Tokens}
	}
	return out
}

// Batch implements [Workload].
func (w *Pretraining) Batch(step int) (Batch, error) {
	l := w.loader
	l.Masking.Rate = w.model.Config.MaskRate(step + 1)
	b, err := l.Batch(step)
	if err == nil && w.stored != nil {
		b.Samples, err = w.stored.Step(step, b.Positions, b.Weights)
	}
	return w.Host(b), err
}

// Host is a batch that the caller has made, for [Program.Step].
func (w *Pretraining) Host(b data.Batch) Batch { return hostBatch{b, w.model.Config} }

// Begin implements [Workload]: with the weights of the models that the config begins with.
func (w *Pretraining) Begin(p *Program) error { return w.origins.apply(p) }

// Before implements [Workload]: the second stage of two may begin with the generator's weights.
func (w *Pretraining) Before(p *Program, step int) error {
	if t := w.model.Config.Training; t.CopyGenerator && step == t.GeneratorSteps+1 {
		return p.copyGenerator()
	}
	return nil
}

// Measure implements [Workload]: the AUC of RTD on the last batch.
func (w *Pretraining) Measure(out StepOutput, values runs.Values) error {
	logits, replaced, err := out.Detections(w.ordinary)
	if logits != nil {
		values["rtd_auc"] = AUC(logits, replaced)
	}
	return err
}

// ordinary reports whether a token is none of the special ones. Where the caller makes the batches, all but padding are.
func (w *Pretraining) ordinary(id int32) bool {
	if w.dataset == nil {
		return id != w.model.PadID
	}
	return w.dataset.Maskable(id)
}

// Evaluate implements [Workload]; see [HeldOut.Evaluate].
func (w *Pretraining) Evaluate(p *Program) (runs.Values, error) { return w.heldOut.Evaluate(p) }

// Details implements [Workload]: [PretrainingDetails].
func (w *Pretraining) Details(Trained) any { return PretrainingDetails{w.heldOut.Sets()} }

// PretrainingDetails are what the result of a pretraining run holds beside its metrics.
type PretrainingDetails struct {
	HeldOut map[string]HeldOutSet `json:"held_out"` // see [HeldOut.Sets]
}

// HeldOut returns what a pretraining run was measured on; nothing for other runs and for those from before this was written down.
func (r Result) HeldOut() map[string]HeldOutSet {
	var details PretrainingDetails
	if json.Unmarshal(r.Details, &details) != nil {
		return nil
	}
	return details.HeldOut
}

// Validate runs batch, of any number of rows, through p without learning, at the temperature of the last step and with the
// config's own loss weights.
func (w *Pretraining) Validate(p *Program, batch data.Batch) (StepOutput, error) {
	c := w.model.Config
	whole := c
	whole.Training.BatchSize, whole.Training.Accumulate = len(batch.Rows), 1
	return p.Validate(hostBatch{batch, whole}, w.scalars(c.Training.Steps, c.Objective.Weights(), func(string) bool { return false }))
}
