// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gomlx/compute"

	"metrolab/internal/usererr"
)

// Ahead is a backend that compiles its graphs for a GPU that need not be there: XLA's compiler wants no driver and no device. What
// it makes of them is kept and never run. In the place of each graph stands a program for the processor that does nothing, or,
// where [OpenAhead] was asked to run, the graph itself, so that what is true of its values can be tested along with it.
type Ahead struct {
	compute.Backend
	GPU GPU

	plugin string // path
	flags  []xlaFlag
	runs   bool

	mu       sync.Mutex
	compiled []Compiled
	failed   error
}

// Compiled is what XLA made of a graph for another device.
type Compiled struct {
	Time    time.Duration // that it took
	Memory  DeviceMemory
	Program []byte // after all passes, a HloModuleProtoWithConfig of xla/service/hlo.proto
}

// DeviceMemory is what a program takes of a device's memory, in bytes.
type DeviceMemory struct {
	Arguments int64 `json:"arguments"` // weights, what the optimizer remembers, the batch
	Outputs   int64 `json:"outputs"`   // what takes their place
	Aliases   int64 `json:"aliases"`   // of the outputs, what is written over arguments
	Temporary int64 `json:"temporary"` // activations, gradients, and what kernels need for themselves
	Code      int64 `json:"code"`
	Peak      int64 `json:"peak"` // the most at one time, of all of these
}

// xlaFlag is one of XLA's flags for one compilation.
type xlaFlag struct {
	name  string
	value any // string or bool
}

// OpenAhead opens a backend that compiles for the one of the [GPUs] that has the name, as [Fit] would open one there. With run,
// graphs run on the processor as well. A GPU that is not known, a program built without XLA, and a plugin or a part of CUDA that is
// not there are the user's errors.
func OpenAhead(name string, needs Needs, run bool) (*Ahead, error) {
	gpu, err := FindGPU(name)
	if err != nil {
		return nil, err
	}
	if !xlaBuilt {
		return nil, usererr.New("this program is built without XLA and cannot compile for a GPU; build it on Linux amd64 with cgo and without the tag noxla")
	}
	m := Probe()
	cuda, err := m.compiler(XLACUDA, "./scripts/setup --cuda")
	if err != nil {
		return nil, err
	}
	cpu, err := m.compiler(XLACPU, "./scripts/setup")
	if err != nil {
		return nil, err
	}
	dir, err := findToolkit(cuda)
	if err != nil {
		return nil, err
	}
	a := &Ahead{GPU: gpu, plugin: cuda, runs: run, flags: append(needs.gpuFlags(), xlaFlag{"xla_gpu_cuda_data_dir", dir})}
	if needs.Deterministic {
		// Triton's products are deterministic for tiles that are timed on the device, and without one XLA finds none: cuBLAS multiplies.
		a.flags = append(a.flags, xlaFlag{"xla_gpu_enable_triton_gemm", false})
	}
	if err := a.open(cuda, cpu, needs.TF32); err != nil {
		return nil, fmt.Errorf("opening the compiler for %s: %w", name, err)
	}
	return a, nil
}

// compiler is the path of the first sound plugin of a kind; without one the error says what to run.
func (m Machine) compiler(kind Kind, run string) (string, error) {
	sound := m.sound(kind)
	if len(sound) == 0 {
		return "", usererr.New("no usable %s plugin in %s; run %s", kind.label(), strings.Join(m.SearchPath, ", "), run)
	}
	return realPath(sound[0].Path, kind), nil
}

// Compiled returns what the graphs since the last call were compiled to, in order, and the first error of a compilation.
func (a *Ahead) Compiled() ([]Compiled, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	list, err := a.compiled, a.failed
	a.compiled, a.failed = nil, nil
	return list, err
}

// Plugin names the compiler: the path of its plugin and the first 12 digits of the file's SHA-256.
func (a *Ahead) Plugin() string { return a.plugin + ", sha256 " + shortSum(a.plugin) }
