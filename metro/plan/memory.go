// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"metrolab/layers"
	"metrolab/metro"
)

// Memory is that of one device while it trains, in bytes.
type Memory struct {
	State
	Gradients   float64 `json:"gradients"`   // of the weights that learn
	Activations float64 `json:"activations"` // what a step needs at its peak besides: with the gradients, the estimate of [Temporaries]
	Gathered    float64 `json:"gathered"`    // with sharded weights, the largest table or layer, which a device has whole while it computes with it
}

// Total is the sum of the parts.
func (m Memory) Total() float64 {
	return m.State.Total() + m.Gradients + m.Activations + m.Gathered
}

// Part is one of the parts of [Memory].
type Part struct {
	Name  string
	Bytes float64
}

// Parts lists the parts.
func (m Memory) Parts() []Part {
	return []Part{
		{"weights", m.Weights}, {"gradients", m.Gradients}, {"optimizer", m.Optimizer}, {"sums of gradients", m.Accumulated},
		{"averages", m.Averages}, {"batch", m.Batch},
		{"gathered weights", m.Gathered}, {"activations", m.Activations},
	}
}

// memoryOf is the memory of one of r's devices, whose rows c has.
func memoryOf(c metro.Config, inv metro.Inventory, r Request) Memory {
	share := func(from Sharding) float64 {
		if r.Sharded >= from {
			return 1 / float64(r.Devices)
		}
		return 1
	}
	m := Memory{State: stateOf(c, inv)}
	learning := float64(inv.Learning().Bytes())
	m.Optimizer *= share(ShardedOptimizer)
	m.Averages *= share(ShardedOptimizer)
	m.Accumulated *= share(ShardedGradients)
	m.Weights *= share(ShardedWeights)
	if r.Sharded >= ShardedWeights {
		m.Gathered = largest(inv)
	}
	held := share(ShardedGradients)
	all := temporaries(c, inv, r.Device.Compiler, held)
	m.Gradients = min(all, learning*held)
	m.Activations = all - m.Gradients
	return m
}

// largest is the size of the largest table or layer, in bytes.
func largest(inv metro.Inventory) (most float64) {
	sizes := map[string]float64{}
	for _, w := range inv {
		key := w.Path()
		if w.Layer >= 0 {
			key = string(w.Owner) + layers.LayerName(w.Layer)
		}
		sizes[key] += float64(4 * w.Size())
		most = max(most, sizes[key])
	}
	return most
}
