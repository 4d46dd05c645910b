// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"sync/atomic"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"

	"metrolab/internal/machine"
)

// stopwatch is a backend that adds up how long it compiles and executes. Engines wait for the end of an execution, so that what
// a step takes beyond it is the host's. Buffers belong to the backend that tensors know, so that it wraps those as well.
type stopwatch struct {
	compute.Backend
	compiling, executing duration
	compiler             duration // time of all cores while it compiled
}

// duration is added to by several goroutines.
type duration struct{ nanoseconds atomic.Int64 }

func (d *duration) add(more time.Duration) { d.nanoseconds.Add(int64(more)) }
func (d *duration) load() time.Duration    { return time.Duration(d.nanoseconds.Load()) }

// Builder implements [compute.Backend].
func (s *stopwatch) Builder(name string) compute.Builder {
	return timedBuilder{s.Backend.Builder(name), s}
}

// BufferFromFlatData implements [compute.DataInterface].
func (s *stopwatch) BufferFromFlatData(device compute.DeviceNum, flat any, shape shapes.Shape) (compute.Buffer, error) {
	return s.wrap(s.Backend.BufferFromFlatData(device, flat, shape))
}

// NewSharedBuffer implements [compute.DataInterface].
func (s *stopwatch) NewSharedBuffer(device compute.DeviceNum, shape shapes.Shape) (compute.Buffer, any, error) {
	buffer, flat, err := s.Backend.NewSharedBuffer(device, shape)
	buffer, err = s.wrap(buffer, err)
	return buffer, flat, err
}

func (s *stopwatch) wrap(buffer compute.Buffer, err error) (compute.Buffer, error) {
	if err != nil {
		return nil, err
	}
	return timedBuffer{buffer, s}, nil
}

type timedBuffer struct {
	compute.Buffer
	watch *stopwatch
}

// Backend implements [compute.Buffer].
func (b timedBuffer) Backend() compute.Backend { return b.watch }

// CopyToDevice implements [compute.Buffer].
func (b timedBuffer) CopyToDevice(device compute.DeviceNum) (compute.Buffer, error) {
	return b.watch.wrap(b.Buffer.CopyToDevice(device))
}

type timedBuilder struct {
	compute.Builder
	watch *stopwatch
}

// Compile implements [compute.Builder].
func (b timedBuilder) Compile() (compute.Executable, error) {
	started, processor := time.Now(), machine.ProcessorTime()
	program, err := b.Builder.Compile()
	b.watch.compiling.add(time.Since(started))
	b.watch.compiler.add(machine.ProcessorTime() - processor)
	if err != nil {
		return nil, err
	}
	return timedExecutable{program, b.watch}, nil
}

type timedExecutable struct {
	compute.Executable
	watch *stopwatch
}

// Execute implements [compute.Executable].
func (e timedExecutable) Execute(inputs []compute.Buffer, donate []bool, device compute.DeviceNum) ([]compute.Buffer, error) {
	plain := make([]compute.Buffer, len(inputs))
	for i, buffer := range inputs {
		plain[i] = buffer.(timedBuffer).Buffer
	}
	started := time.Now()
	outputs, err := e.Executable.Execute(plain, donate, device)
	e.watch.executing.add(time.Since(started))
	for i, buffer := range outputs {
		outputs[i] = timedBuffer{buffer, e.watch}
	}
	return outputs, err
}
