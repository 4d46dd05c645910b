// SPDX-License-Identifier: Apache-2.0

package training

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/metro"
)

// Optimize adds one step of AdamW (Loshchilov & Hutter, 2019) to the graph of loss, on every variable of store, all of
// which loss must depend on, and returns the global norm of the gradients before clipping. rates, [3], is what [Rates]
// gives for the step: an input of the graph, so that one compiled step serves them all.
//
// It is the step that pretraining makes, for graphs other than pretraining's.
func Optimize(store *model.Store, loss, rates *Node, o metro.Optimizer) *Node {
	in := scalarInputs{rates}
	return adamW(store, loss, weights(store), o, adamWRates{in.at(0), in.at(1), in.at(2)})
}

// Rates returns what changes from step to step, 1 … c.Training.Steps, in AdamW: [LearningRate] and the two bias
// corrections 1/(1−βᵗ).
func Rates(c metro.Config, step int) []float32 {
	return []float32{
		float32(LearningRate(c, step)), biasCorrection(c.Optimizer.Beta1, step), biasCorrection(c.Optimizer.Beta2, step),
	}
}
