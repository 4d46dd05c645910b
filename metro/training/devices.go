// SPDX-License-Identifier: Apache-2.0

package training

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/gomlx/compute/distributed"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/core/tensors/dtensor"

	"metrolab/internal/usererr"
	"metrolab/metro"
)

// devices are those that share the rows of each batch. All have all weights, what the optimizer remembers of them, and what a graph
// results in; a tensor of rows lies on them in equal parts, in the order of the rows. A graph is the same for any number of them:
// XLA's partitioner (Shardy) cuts it, and adds what every device's rows contribute to a sum. So a loss is the mean over the tokens
// of the whole batch, a gradient is clipped by the norm of the whole, and dropout follows from a row's place in the batch.
type devices struct {
	mesh        *distributed.DeviceMesh
	whole, rows *distributed.ShardingSpec

	// turn is held while a graph is handed to the devices: of two at a time, one device might begin with the one and another
	// with the other, and each would wait for the rest.
	turn *sync.Mutex
}

// rowsAxis is the mesh's only axis.
const rowsAxis = "rows"

// Divide makes the program compute each graph on n devices of its backend. It must be called before anything is computed, and n
// must divide the rows of each part of a step; of a batch that it does not divide, in [Program.Validate], every device computes all.
func (p *Program) Divide(n int) error { return p.divide(n, new(sync.Mutex)) }

func (p *Program) divide(n int, turn *sync.Mutex) (err error) {
	if n > p.backend.NumDevices() {
		return usererr.New("%d devices were asked for, and the backend has %d", n, p.backend.NumDevices())
	}
	if n <= 1 {
		return nil
	}
	if err := dividesRows(p.model.Config, n); err != nil {
		return err
	}
	d := &devices{turn: turn}
	if d.mesh, err = distributed.NewDeviceMesh([]int{n}, []string{rowsAxis}); err != nil {
		return err
	}
	d.whole = distributed.NewReplicatedShardingSpec(d.mesh)
	if d.rows, err = distributed.BuildSpec(d.mesh).S(rowsAxis).Done(); err != nil {
		return err
	}
	p.devices = d
	return nil
}

// dividesRows is the user's error where n devices cannot have as many rows each.
func dividesRows(c metro.Config, n int) error {
	if rows := partRows(c); n > 1 && rows%n != 0 {
		return usererr.New("%d devices cannot share %d rows, training.batch_size=%d in training.accumulate=%d parts, equally; make the rows of a part a multiple of %d, or ask for another number of devices",
			n, rows, c.Training.BatchSize, c.Training.Accumulate, n)
	}
	return nil
}

// devicesOf is the number of devices in [RunIdentity.Backend].
func devicesOf(backend string) int {
	_, text, _ := strings.Cut(backend, devicesOption)
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return 1
}

// onOneDevice is [RunIdentity.Backend] without the number of devices.
func onOneDevice(backend string) string {
	rest, _, _ := strings.Cut(backend, devicesOption)
	return rest
}

// devicesOption ends the name of a backend of several devices.
const devicesOption = ",devices="

// perRow is an input of a graph whose first axis is a batch's rows.
type perRow struct{ *tensors.Tensor }

// call runs the graph of that name, which build builds when it is compiled.
func (p *Program) call(name string, build builder, inputs ...any) (*compiled, []*tensors.Tensor, error) {
	if p.devices != nil {
		return p.callDivided(name, build, inputs)
	}
	g, err := p.graph(name, build)
	if err != nil {
		return nil, nil, err
	}
	for i, in := range inputs {
		if rows, ok := in.(perRow); ok {
			inputs[i] = rows.Tensor
		}
	}
	out, err := g.exec.Call(inputs...)
	return g, out, err
}

// callDivided is call on several devices. Which of the inputs are cut is built into a graph, so each such choice has its own.
func (p *Program) callDivided(name string, build builder, inputs []any) (*compiled, []*tensors.Tensor, error) {
	d := p.devices
	placed, specs := make([]any, len(inputs)), make([]*distributed.ShardingSpec, len(inputs))
	for i, in := range inputs {
		t, cut, err := d.place(in)
		if err != nil {
			return nil, nil, err
		}
		defer func() { _ = t.Finalize() }()
		placed[i], specs[i] = t, t.ShardingSpec()
		name += map[bool]string{false: ",whole", true: ",rows"}[cut]
	}
	_, known := p.graphs[name]
	g, err := p.graph(name, build)
	if err != nil {
		return nil, nil, err
	}
	if !known {
		g.exec.AutoSharding(d.mesh).WithInputShardingSpecs(specs...).WithOutputShardingSpecs(d.whole)
	}
	d.turn.Lock()
	all, err := g.exec.Call(placed...)
	d.turn.Unlock()
	if err != nil {
		return nil, nil, err
	}
	n := len(all) / d.mesh.NumDevices()
	for _, other := range all[n:] {
		if err := other.FinalizeAll(); err != nil {
			return nil, nil, fmt.Errorf("give back what the other devices have: %w", err)
		}
	}
	return g, all[:n], nil
}

// place puts an input on the devices: in parts if it is a tensor of rows that they divide, else the whole of it on each.
func (d *devices) place(in any) (placed *dtensor.Tensor, cut bool, err error) {
	var t *tensors.Tensor
	switch in := in.(type) {
	case perRow:
		t = in.Tensor
		cut = t.Rank() > 0 && t.Shape().Dimensions[0]%d.mesh.NumDevices() == 0
	default:
		if t, err = tensors.FromAnyValue(in); err != nil {
			return nil, false, err
		}
	}
	spec := d.whole
	if cut {
		spec = d.rows
	}
	placed, err = dtensor.ShardTensor(spec, t)
	return placed, cut, err
}
