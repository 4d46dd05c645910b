// SPDX-License-Identifier: Apache-2.0

//go:build linux && amd64 && cgo && !noxla

package backend

/*
#cgo LDFLAGS: -ldl
#include "pjrt.h"

typedef struct { size_t size; void *extensions, *loaded, *executable; } GetExecutable;
typedef struct {
	size_t size; void *extensions, *executable; const char *bytes; size_t bytes_size; void *owner; void (*free)(void *owner);
} Serialize;
typedef struct {
	size_t size; void *extensions, *client; const char *bytes; size_t bytes_size; void *loaded; const char *options; size_t options_size;
} Load;

extern void *metrolabCompile(Compile *args);
extern void *metrolabCreate(Create *args);

// one_device is PJRT_Client_Create for one device, unless its options ask for more. By itself the plugin makes four of a processor,
// and small steps then take longer (docs/performance.md). A plugin that does not know the option is asked again without it.
static void *one_device(const PJRT *api, Create *args) {
	const NamedValue one = {sizeof one, NULL, "cpu_device_count", sizeof "cpu_device_count" - 1, INT64, {.integer = 1}, 1};
	Create asked = *args;
	asked.options = &one;
	asked.num_options = 1;
	if (args->num_options || call(api->client_create, &asked)) return call(api->client_create, args);
	args->client = asked.client;
	return NULL;
}

// asked_devices is how many devices the options of a client ask for, 0 if they do not say.
static long long asked_devices(const Create *args) {
	const char name[] = "cpu_device_count";
	for (size_t i = 0; i < args->num_options; i++) {
		const NamedValue *v = &args->options[i];
		if (v->name_size == sizeof name - 1 && !memcmp(v->name, name, v->name_size)) return v->value.integer;
	}
	return 0;
}

// hooking returns a copy of an interface that makes clients and compiles by the two functions above.
static PJRT *hooking(const PJRT *api) {
	PJRT *copy = copy_of(api);
	copy->client_compile = (void *)metrolabCompile;
	copy->client_create = (void *)metrolabCreate;
	return copy;
}

static void *load(const PJRT *api, Load *args) { args->size = sizeof *args; return call(api->deserialize_and_load, args); }

// executable_of is to be destroyed.
static void *executable_of(const PJRT *api, void *loaded, void **executable) {
	GetExecutable get = {sizeof get, NULL, loaded};
	void *error = call(api->loaded_get_executable, &get);
	*executable = get.executable;
	return error;
}

// serialize fills in the bytes of a loaded executable, which live until released.
static void *serialize(const PJRT *api, void *loaded, Serialize *args) {
	void *error = executable_of(api, loaded, &args->executable);
	if (error) return error;
	args->size = sizeof *args;
	return call(api->executable_serialize, args);
}

static void release(const PJRT *api, Serialize *args) {
	if (args->free) args->free(args->owner);
	if (args->executable) destroy_executable(api, args->executable);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"github.com/gomlx/go-xla/pjrt"

	"metrolab/internal/usererr"
)

// client is a client of a plugin whose compilations go through [metrolabCompile].
type client struct {
	plugin  string // path
	api     *C.PJRT
	kind    Kind
	threads string    // of the processor's
	devices int       // that were asked for, 0 if none were
	flags   []xlaFlag // of each compilation
}

var (
	interfaces = map[string]*C.PJRT{} // of the plugins by their paths, nil for those that go-xla loads as they are; guarded by opening
	next       client                 // of which the next client will be; guarded by opening
	clients    sync.Map               // that were made, by their addresses
)

// hook registers the plugin at path under its path, with calls of ours in the place of two of its own, and has the next client
// compile with flags. A plugin of another version of the interface is left to go-xla, which loads it as it is. Its caller holds
// opening.
func hook(path string, flags []xlaFlag) error {
	kind, _ := kindOf(path)
	api, known := interfaces[path]
	if !known {
		if api = pjrtOf(path); api != nil {
			if err := pjrt.RegisterPreloadedPlugin(path, uintptr(unsafe.Pointer(C.hooking(api)))); err != nil {
				return err
			}
			if kind == XLACPU {
				keepBlocks(path)
			}
		}
		interfaces[path] = api
	}
	if api == nil && len(flags) > 0 {
		return usererr.New("plugin %s is of another version of PJRT, to whose compilations nothing can be added; remove it and run ./scripts/setup", path)
	}
	next = client{plugin: path, api: api, kind: kind, threads: os.Getenv(threadsVar), flags: flags}
	return nil
}

// pjrtOf returns the interface of the plugin at path, or nil if it cannot be loaded or is of another version.
func pjrtOf(path string) *C.PJRT {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	api := C.pjrt_of(name)
	if api == nil || api.version.major != 0 || api.size < C.sizeof_PJRT {
		return nil
	}
	return api
}

// metrolabCreate takes the place of PJRT_Client_Create: it remembers whose client that is, and one of the processor has one
// device unless its options ask for more. Its caller holds opening.
//
//export metrolabCreate
func metrolabCreate(args *C.Create) unsafe.Pointer {
	var failed unsafe.Pointer
	if next.kind == XLACPU {
		failed = C.one_device(next.api, args)
	} else {
		failed = C.call(next.api.client_create, unsafe.Pointer(args))
	}
	if failed == nil {
		next.devices = int(C.asked_devices(args))
		clients.Store(args.client, next)
	}
	return failed
}

// metrolabCompile takes the place of PJRT_Client_Compile: it compiles what is to be compiled with the client's flags, and so that
// variables are written over their old values; for the processor it loads what the cache has, and keeps what it has compiled.
//
//export metrolabCompile
func metrolabCompile(args *C.Compile) unsafe.Pointer {
	found, _ := clients.Load(args.client)
	c := found.(client)
	code, options := donating(codeOf(args)), withFlags(optionsOf(args), c.flags)
	compile := func() unsafe.Pointer {
		failed := with(args, code, options, func() unsafe.Pointer { return C.call(c.api.client_compile, unsafe.Pointer(args)) })
		if watch := watching.Load(); watch != nil && failed == nil {
			(*watch)(c.memory(args.loaded))
		}
		return failed
	}
	cache := cached.Load()
	if c.kind != XLACPU || cache == nil {
		compilations.Add(1)
		return compile()
	}
	key := keyOf(c.plugin, []byte(c.likeness()), bytesAt(args.program.format, args.program.format_size), code, options)
	if program := cache.load(key); program != nil {
		loaded, err := c.load(args.client, program)
		if err == nil {
			loads.Add(1)
			args.loaded = loaded
			return nil
		}
		cache.damaged(key, err)
	}
	compilations.Add(1)
	if failed := compile(); failed != nil {
		return failed
	}
	if program, err := c.serialized(args.loaded); err != nil {
		cache.fail(err)
	} else {
		cache.keep(key, program)
	}
	return nil
}

// likeness says what programs depend on of a client: its threads and, if they were asked for, its devices.
func (c client) likeness() string {
	if c.devices == 0 {
		return c.threads
	}
	return fmt.Sprintf("%s,devices=%d", c.threads, c.devices)
}

func codeOf(args *C.Compile) []byte { return bytesAt(args.program.code, args.program.code_size) }

func optionsOf(args *C.Compile) []byte { return bytesAt(args.options, args.options_size) }

// with calls f with another code and other options in args.
func with(args *C.Compile, code, options []byte, f func() unsafe.Pointer) unsafe.Pointer {
	program, given := *args.program, *args
	defer func() {
		*args.program, args.options, args.options_size = program, given.options, given.options_size
	}()
	args.program.code, args.program.code_size = (*C.char)(C.CBytes(code)), C.size_t(len(code))
	args.options, args.options_size = (*C.char)(C.CBytes(options)), C.size_t(len(options))
	defer C.free(unsafe.Pointer(args.program.code))
	defer C.free(unsafe.Pointer(args.options))
	return f()
}

// bytesAt are n bytes of C's memory, good as long as C keeps them.
func bytesAt(p *C.char, n C.size_t) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(p)), n) }

// load makes an executable of the client at an address of what serialized returned.
func (c client) load(address unsafe.Pointer, program []byte) (unsafe.Pointer, error) {
	args := (*C.Load)(C.calloc(1, C.sizeof_Load))
	defer C.free(unsafe.Pointer(args))
	args.client, args.bytes, args.bytes_size = address, (*C.char)(C.CBytes(program)), C.size_t(len(program))
	defer C.free(unsafe.Pointer(args.bytes))
	err := errorOf(c.api, C.load(c.api, args))
	return args.loaded, err
}

// serialized returns a loaded executable as bytes.
func (c client) serialized(loaded unsafe.Pointer) ([]byte, error) {
	args := (*C.Serialize)(C.calloc(1, C.sizeof_Serialize))
	defer C.free(unsafe.Pointer(args))
	defer C.release(c.api, args)
	if err := errorOf(c.api, C.serialize(c.api, loaded, args)); err != nil {
		return nil, err
	}
	return append([]byte(nil), bytesAt(args.bytes, args.bytes_size)...), nil
}

// memory is what a loaded executable takes.
func (c client) memory(loaded unsafe.Pointer) (DeviceMemory, error) {
	var executable unsafe.Pointer
	if err := errorOf(c.api, C.executable_of(c.api, loaded, &executable)); err != nil {
		return DeviceMemory{}, err
	}
	defer C.destroy_executable(c.api, executable)
	return memoryOf(c.api, executable)
}

// memoryOf is what an executable takes.
func memoryOf(api *C.PJRT, executable unsafe.Pointer) (DeviceMemory, error) {
	m := (*C.MemoryStatistics)(C.calloc(1, C.sizeof_MemoryStatistics))
	defer C.free(unsafe.Pointer(m))
	err := errorOf(api, C.memory_of(api, executable, m))
	return DeviceMemory{
		Arguments: int64(m.arguments), Outputs: int64(m.outputs), Aliases: int64(m.aliases), Temporary: int64(m.temporary),
		Code: int64(m.code), Peak: int64(m.peak),
	}, err
}

// errorOf makes a Go error of one of the plugin whose interface is api, and frees that.
func errorOf(api *C.PJRT, failed unsafe.Pointer) error {
	if failed == nil {
		return nil
	}
	message := C.message_of(api, failed)
	defer C.free(unsafe.Pointer(message))
	return errors.New(C.GoString(message))
}
