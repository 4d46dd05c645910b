// SPDX-License-Identifier: Apache-2.0

// Package plan says what it takes to train a config on any number of devices of any kind: weights, the memory of a device by
// part, floating-point operations, and days. Nothing is compiled or run: the state is counted from the inventory of weights, and
// what a step needs besides is estimated by a model that was fitted to what XLA's compiler says of smaller shapes (see
// [Temporaries]).
package plan

import "metrolab/metro"

// Device is a kind of device.
type Device struct {
	Name     string   `json:"name"`
	Memory   float64  `json:"memory"` // bytes; 0 if not known
	Peak     float64  `json:"peak"`   // operations a second that a utilization is a part of
	Compiler Compiler `json:"compiler"`
}

// CPU is the processor that docs/performance.md measures, two cores of an AMD EPYC with AVX2. Its peak is about what a product of
// two matrices of 1024×1024 reaches there; metro bench measures that of another machine.
func CPU() Device { return Device{Name: "cpu", Peak: 60e9, Compiler: XLACPU} }

// Request is what to plan.
type Request struct {
	Config  metro.Config // valid; its vocabulary is Data.VocabSize
	Device  Device
	Devices int     // that share the rows of a step
	MFU     float64 // model FLOPs utilization: the part of the peak that the matrix products of a step reach, above 0, at most 1
	Sharded Sharding
}

// Sharding is what of the state is divided among the devices and not kept by each, as in ZeRO (Rajbhandari et al., 2020). It is for
// planning alone: metrolab trains with a full replica on each device.
type Sharding int

// Values of Sharding, each with what those before it divide.
const (
	Replicated       Sharding = iota // nothing
	ShardedOptimizer                 // ZeRO-1: what the optimizer remembers, and averages
	ShardedGradients                 // ZeRO-2: gradients and their sums
	ShardedWeights                   // ZeRO-3: weights
)

// Shardings are the names of the values of Sharding.
func Shardings() []string { return []string{"none", "optimizer", "gradients", "weights"} }

// Plan is what training takes.
type Plan struct {
	Parameters Parameters  `json:"parameters"`
	Rows       int         `json:"rows"` // that a device computes at a time
	Memory     Memory      `json:"memory"`
	FLOPs      metro.FLOPs `json:"flops"`        // of a step of the whole model, on all devices; what checkpointing computes again is not the model's own
	Run        float64     `json:"run_flops"`    // of all steps, those of training.prefix_steps with the prefixes that the seed draws
	Tokens     float64     `json:"tokens"`       // that all steps read
	Seconds    float64     `json:"step_seconds"` // of a step of the whole model, at the utilization that was asked for
	Days       float64     `json:"days"`         // of all steps
}

// Parameters are numbers of weights.
type Parameters struct {
	Encoder   int `json:"encoder"`   // the main model without heads, its tables included: what is kept
	Heads     int `json:"heads"`     // of the main model, as far as the objective has them
	Generator int `json:"generator"` // what the generator has for itself
	Learning  int `json:"learning"`  // of all of these, those that are trained
	Active    int `json:"active"`    // of all of these, those that one token meets: fewer only where it chooses among experts
}

// Total is the number of all weights.
func (p Parameters) Total() int { return p.Encoder + p.Heads + p.Generator }

// Make plans r. What it cannot know, or makes no sense, is the user's error.
func Make(r Request) (p Plan, err error) {
	if err := r.check(); err != nil {
		return p, err
	}
	c := r.Config
	inv, err := inventoryOf(c)
	if err != nil {
		return p, err
	}
	own := c
	own.Training.ActivationCheckpointing = false
	if p.FLOPs, err = own.FLOPs(c.Data.VocabSize); err != nil {
		return p, err
	}
	p.Parameters = parametersOf(c, inv)
	steps, rows := float64(c.Training.Steps), c.Training.BatchSize
	if p.Run, err = own.RunFLOPs(c.Data.VocabSize, c.Training.Steps); err != nil {
		return p, err
	}
	p.Tokens = steps * float64(rows) * float64(c.Data.SeqLen)
	perSecond := float64(r.Devices) * r.Device.Peak * r.MFU
	p.Seconds, p.Days = p.FLOPs.Total()/perSecond, p.Run/perSecond/(24*60*60)
	c.Training.BatchSize /= r.Devices
	p.Rows = c.Training.BatchSize / max(1, c.Training.Accumulate)
	p.Memory = memoryOf(c, inv, r)
	return p, nil
}

// parametersOf counts the weights of inv.
func parametersOf(c metro.Config, inv metro.Inventory) Parameters {
	ofHead := func(w metro.Weight) bool { return w.Head != "" && w.ByMain }
	return Parameters{
		Encoder:   inv.Of(metro.OwnerMain).Encoder().Count(),
		Heads:     inv.Where(ofHead).Count(),
		Generator: inv.Where(func(w metro.Weight) bool { return !w.ByMain }).Count(),
		Learning:  inv.Learning().Count(),
		Active:    c.Active(inv),
	}
}
