// SPDX-License-Identifier: Apache-2.0

package training

import (
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/tokens"
)

// Workload is what a run trains: pretraining ([Pretraining]), or a task on a pretrained model (package tasks). It gives the
// trainer a loss, batches, and what is measured; the trainer gives it the compiled step, accumulation, the loop, exact
// resume, metrics, the diagnosis of a divergence, and leases. Everything random in it must be a function of (seed, step).
type Workload interface {
	// Model is what is trained. The optimizer, the seed and the training of its config are the run's.
	Model() metro.Model
	// Tokenizer is what the model reads text with; a run keeps it beside the weights.
	Tokenizer() tokens.Tokenizer
	// GraphKey names the graphs that the workload builds: workloads with equal keys can take turns with one [Program].
	GraphKey() string
	// Stream begins the names of its random streams, so that no two workloads draw the same dropout.
	Stream() string

	// Inputs are the shapes of what Forward reads of one part of a batch (see [metro.Training.Accumulate]), in order, and
	// how many scalars.
	Inputs() (parts []shapes.Shape, scalars int)
	// Forward builds the loss on one part of a batch. Scalars is [Workload.Scalars]; key drives dropout and is nil when
	// nothing is trained; micro says which part it is, nil that there is but one. The loss of a step is the mean of the parts'.
	Forward(scope *model.Scope, in []*Node, scalars, key *Node, micro *metro.MicroBatch) Output

	// Batch returns the batch of a step, 0, 1, …. It may be called ahead, from another goroutine.
	Batch(step int) (Batch, error)
	// Scalars are the inputs of a step, 1, 2, …, that are neither batch nor [Rates].
	Scalars(step int) []float32

	// Begin puts the first weights over those that were drawn.
	Begin(p *Program) error
	// Before is called before each step, 1, 2, ….
	Before(p *Program, step int) error
	// Measure adds to a record what the last step of it can say beside its tally.
	Measure(out StepOutput, values runs.Values) error
	// Evaluate measures the model as it stands.
	Evaluate(p *Program) (runs.Values, error)
	// Details are what a finished run's result holds beside its metrics, after the last evaluation; nil for nothing.
	Details(t Trained) any
}

// Trained is how a run went.
type Trained struct {
	Steps    int
	Seconds  float64 // wall time of all attempts
	LastLoss float64 // mean over the last tenth of the steps
}

// Batch is the host side of one step.
type Batch interface {
	// Part returns the tensors of part number part of a batch that is worked on in parts, as [Workload.Inputs] orders them.
	Part(part int) []*tensors.Tensor
}

// Output is what a forward pass leaves.
type Output struct {
	Loss  *Node    // scalar
	Tally *Node    // vector, see [metro.ReadTally]
	Names []string // of its metrics
	More  []*Node  // for [Workload.Measure] and [Workload.Evaluate]
}
