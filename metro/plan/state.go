// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/training"
)

// State is what stays in a device's memory from step to step, in bytes: exactly that of the variables and inputs of the compiled
// step. Weights and all that is kept of them are float32.
type State struct {
	Weights     float64 `json:"weights"`     // of both models and all heads, a frozen generator's too
	Optimizer   float64 `json:"optimizer"`   // what it remembers of the weights that learn
	Accumulated float64 `json:"accumulated"` // the sums of gradients of a step that is computed in parts
	Averages    float64 `json:"averages"`    // of training.ema
	Batch       float64 `json:"batch"`       // the tensors of one part of a batch, dropout's key, scalars and rates
}

// Total is the sum of the parts.
func (s State) Total() float64 {
	return s.Weights + s.Optimizer + s.Accumulated + s.Averages + s.Batch
}

// stateOf is the state of one device that has all of it.
func stateOf(c metro.Config, inv metro.Inventory) State {
	optimizer, _ := metro.OptimizerNamed(cmp.Or(c.Optimizer.Name, metro.OptimizerAdamW))
	learning := float64(inv.Learning().Bytes())
	s := State{Weights: float64(inv.Bytes()), Batch: batchBytes(c)}
	for _, w := range inv.Learning() {
		s.Optimizer += float64(len(optimizer.StateOf(w))) * float64(metro.Inventory{w}.Bytes())
	}
	if c.Training.Accumulate > 1 {
		s.Accumulated = learning
	}
	if c.Training.EMA > 0 {
		s.Averages = learning
	}
	return s
}

// batchBytes is what a step reads that is no variable.
func batchBytes(c metro.Config) (sum float64) {
	key, parts, vector := training.StepInputs(training.NewPretraining(metro.Model{Config: c, Vocab: c.Data.VocabSize}))
	for _, shape := range append(parts, key, vector) {
		sum += float64(shape.ByteSize())
	}
	return sum
}

// inventoryOf lists the weights of c. It is the user's error to ask for those of a task, or of parts from elsewhere.
func inventoryOf(c metro.Config) (metro.Inventory, error) {
	inv, complete := c.Inventory(c.Data.VocabSize)
	if !complete {
		return nil, usererr.New("the weights of this config cannot be counted: it trains a task, or has parts that metrolab does not ship")
	}
	return inv, nil
}
