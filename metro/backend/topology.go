// SPDX-License-Identifier: Apache-2.0

//go:build linux && amd64 && cgo && !noxla

package backend

/*
#include <fcntl.h>
#include <unistd.h>
#include "pjrt.h"

typedef struct {
	size_t size; void *extensions; const char *name; size_t name_size; const NamedValue *options; size_t num_options; void *topology;
} CreateTopology;
typedef struct {
	size_t size; void *extensions, *topology; const Program *program; const char *options; size_t options_size;
	void *client, *executable;
} CompileFor;
typedef struct { size_t size; void *extensions, *executable; Program *program; } OptimizedProgram;

extern void *metrolabCreateAhead(Create *args);
extern void *metrolabCompileAhead(Compile *args);

// ahead_of returns a copy of the processor's interface whose clients compile by metrolabCompileAhead.
static PJRT *ahead_of(const PJRT *cpu) {
	PJRT *copy = copy_of(cpu);
	copy->client_create = (void *)metrolabCreateAhead;
	copy->client_compile = (void *)metrolabCompileAhead;
	return copy;
}

static void *create_on_processor(const PJRT *cpu, Create *args) {
	Create asked = {sizeof asked}; // those of CUDA mean nothing to the processor
	void *error = call(cpu->client_create, &asked);
	args->client = asked.client;
	return error;
}

// silence keeps the standard error from what a plugin says of a driver that is not there; speak gives it back.
static int silence(void) {
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC), saved = dup(STDERR_FILENO);
	if (nowhere >= 0 && saved >= 0) dup2(nowhere, STDERR_FILENO);
	close(nowhere);
	return saved;
}

static void speak(int saved) {
	dup2(saved, STDERR_FILENO);
	close(saved);
}

// create_topology describes one GPU by the text of a GpuTargetConfigProto.
static void *create_topology(const PJRT *api, const char *description, void **topology) {
	Initialize initialize = {sizeof initialize};
	void *error = call(api->plugin_initialize, &initialize);
	if (error) return error;
	const NamedValue options[] = {
		{sizeof *options, NULL, "target_config", strlen("target_config"), STRING, {description}, strlen(description)},
		{sizeof *options, NULL, "topology", strlen("topology"), STRING, {"1x1x1"}, strlen("1x1x1")},
	};
	CreateTopology args = {sizeof args, NULL, "gpu", strlen("gpu"), options, 2};
	error = call(api->topology_create, &args);
	*topology = args.topology;
	return error;
}

static void *compile_for(const PJRT *api, void *topology, const Program *program, const char *options, size_t size, void **executable) {
	CompileFor args = {sizeof args, NULL, topology, program, options, size};
	void *error = call(api->compile, &args);
	*executable = args.executable;
	return error;
}

// optimized_of fills in the program after all passes; its code is to be freed.
static void *optimized_of(const PJRT *api, void *executable, Program *program) {
	program->size = sizeof *program;
	OptimizedProgram args = {sizeof args, NULL, executable, program};
	void *error = call(api->optimized_program, &args); // says how long the code is
	if (error) return error;
	program->code = malloc(program->code_size);
	return call(api->optimized_program, &args);
}
*/
import "C"

import (
	"fmt"
	"sync"
	"time"
	"unsafe"

	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
	"google.golang.org/protobuf/encoding/protowire"

	"metrolab/internal/usererr"
)

// topology is a GPU that need not be there, to the compiler of the CUDA plugin.
type topology struct {
	api *C.PJRT
	gpu unsafe.Pointer
}

func newTopology(plugin string, gpu GPU) (*topology, error) {
	defer C.speak(C.silence())
	t := &topology{api: pjrtOf(plugin)}
	if t.api == nil {
		return nil, usererr.New("plugin %s cannot be loaded or is of another version of PJRT; remove it and run ./scripts/setup --cuda", plugin)
	}
	description := C.CString(gpu.description())
	defer C.free(unsafe.Pointer(description))
	if err := errorOf(t.api, C.create_topology(t.api, description, &t.gpu)); err != nil {
		return nil, fmt.Errorf("describing %s: %w", gpu.Name, err)
	}
	return t, nil
}

// compile compiles a program, which with its options is as PJRT_Client_Compile takes it.
func (t *topology) compile(program *C.Program, options []byte) (c Compiled, err error) {
	started := time.Now()
	bytes := C.CBytes(options)
	defer C.free(bytes)
	var executable unsafe.Pointer
	if err := errorOf(t.api, C.compile_for(t.api, t.gpu, program, (*C.char)(bytes), C.size_t(len(options)), &executable)); err != nil {
		return c, err
	}
	defer C.destroy_executable(t.api, executable)
	c.Time = time.Since(started)
	if c.Memory, err = memoryOf(t.api, executable); err != nil {
		return c, err
	}
	c.Program, err = t.optimized(executable)
	return c, err
}

func (t *topology) optimized(executable unsafe.Pointer) ([]byte, error) {
	p := (*C.Program)(C.calloc(1, C.sizeof_Program))
	defer C.free(unsafe.Pointer(p))
	err := errorOf(t.api, C.optimized_of(t.api, executable, p))
	defer C.free(unsafe.Pointer(p.code))
	if err != nil {
		return nil, err
	}
	if format := string(bytesAt(p.format, p.format_size)); format != "hlo_with_config" {
		return nil, fmt.Errorf("the optimized program comes as %q, and not as hlo_with_config", format)
	}
	return append([]byte(nil), bytesAt(p.code, p.code_size)...), nil
}

// aheads are the backends of this process that compile ahead, by their clients on the processor.
var aheads struct {
	sync.Mutex
	cpu     *C.PJRT // the processor's interface
	opening ahead
	clients map[unsafe.Pointer]ahead
}

// ahead is what a client compiles ahead for.
type ahead struct {
	*Ahead
	topology *topology
}

// open gives a its topology and its backend: go-xla over the plugin of the processor, which a name with cuda in it makes build
// the graphs that it builds for a GPU.
func (a *Ahead) open(cuda, cpu string, tf32 bool) error {
	aheads.Lock()
	defer aheads.Unlock()
	topology, err := newTopology(cuda, a.GPU)
	if err != nil {
		return err
	}
	const name = "/compiling/ahead/for/cuda"
	if aheads.cpu == nil {
		api := pjrtOf(cpu)
		if api == nil {
			return usererr.New("plugin %s cannot be loaded or is of another version of PJRT; remove it and run ./scripts/setup", cpu)
		}
		if err := pjrt.RegisterPreloadedPlugin(name, uintptr(unsafe.Pointer(C.ahead_of(api)))); err != nil {
			return err
		}
		aheads.cpu, aheads.clients = api, map[unsafe.Pointer]ahead{}
	}
	aheads.opening = ahead{a, topology}
	a.Backend, err = xla.New(fmt.Sprintf("%s,tf32=%t", name, tf32))
	return err
}

// metrolabCreateAhead takes the place of PJRT_Client_Create: it remembers whose client that is. Its caller holds the lock.
//
//export metrolabCreateAhead
func metrolabCreateAhead(args *C.Create) unsafe.Pointer {
	failed := C.create_on_processor(aheads.cpu, args)
	if failed == nil {
		aheads.clients[args.client] = aheads.opening
	}
	return failed
}

// metrolabCompileAhead takes the place of PJRT_Client_Compile: it compiles for the client's GPU, and for the processor what stands
// in the graph's place.
//
//export metrolabCompileAhead
func metrolabCompileAhead(args *C.Compile) unsafe.Pointer {
	aheads.Lock()
	a := aheads.clients[args.client]
	aheads.Unlock()
	with(args, donating(codeOf(args)), withFlags(optionsOf(args), a.flags), func() unsafe.Pointer {
		a.add(a.topology.compile(args.program, optionsOf(args)))
		return nil
	})
	if a.runs {
		return C.call(aheads.cpu.client_compile, unsafe.Pointer(args))
	}
	return compileNothing(args)
}

// add keeps the outcome of a compilation.
func (a *Ahead) add(c Compiled, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.compiled = append(a.compiled, c)
	} else if a.failed == nil {
		a.failed = fmt.Errorf("compiling for %s: %w", a.GPU.Name, err)
	}
}

// nothing is a program that does nothing.
const nothing = "module { func.func public @main() -> tensor<i32> { %0 = stablehlo.constant dense<0> : tensor<i32> return %0 : tensor<i32> } }"

// compileNothing is PJRT_Client_Compile of nothing.
func compileNothing(args *C.Compile) unsafe.Pointer {
	return with(args, []byte(nothing), optionsOf(args), func() unsafe.Pointer {
		return C.call(aheads.cpu.client_compile, unsafe.Pointer(args))
	})
}

// withFlags adds XLA's flags to a serialized CompileOptionsProto (xla/pjrt/proto/compile_options.proto): entries of its map
// env_option_overrides, from names to values that are an OptionOverrideProto each.
func withFlags(options []byte, flags []xlaFlag) []byte {
	const overrides, key, value, text, truth = 7, 1, 2, 1, 2
	options = append([]byte(nil), options...)
	for _, f := range flags {
		var v []byte
		switch x := f.value.(type) {
		case string:
			v = protowire.AppendString(protowire.AppendTag(nil, text, protowire.BytesType), x)
		case bool:
			v = protowire.AppendVarint(protowire.AppendTag(nil, truth, protowire.VarintType), protowire.EncodeBool(x))
		}
		entry := protowire.AppendString(protowire.AppendTag(nil, key, protowire.BytesType), f.name)
		entry = protowire.AppendBytes(protowire.AppendTag(entry, value, protowire.BytesType), v)
		options = protowire.AppendBytes(protowire.AppendTag(options, overrides, protowire.BytesType), entry)
	}
	return options
}
