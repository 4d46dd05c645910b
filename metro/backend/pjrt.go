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

// one_device is PJRT_Client_Create for one device, which is what a step runs on. By itself the plugin makes four of a processor,
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

// hooking returns a copy of an interface that makes clients and compiles by the two functions above.
static PJRT *hooking(const PJRT *api) {
	PJRT *copy = copy_of(api);
	copy->client_compile = (void *)metrolabCompile;
	copy->client_create = (void *)metrolabCreate;
	return copy;
}

static void *load(const PJRT *api, Load *args) { args->size = sizeof *args; return call(api->deserialize_and_load, args); }

// serialize fills in the bytes of a loaded executable, which live until released.
static void *serialize(const PJRT *api, void *loaded, Serialize *args) {
	GetExecutable get = {sizeof get, NULL, loaded};
	void *error = call(api->loaded_get_executable, &get);
	if (error) return error;
	args->size = sizeof *args;
	args->executable = get.executable;
	return call(api->executable_serialize, args);
}

static void release(const PJRT *api, Serialize *args) {
	if (args->free) args->free(args->owner);
	DestroyExecutable d = {sizeof d, NULL, args->executable};
	if (args->executable) call(api->executable_destroy, &d);
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
)

// hooked is the plugin whose compilations go through the cache: the first for the processor that the process has opened.
var hooked struct {
	sync.Mutex
	path string
	api  *C.PJRT
}

// hook registers the plugin at path under its path, with a Compile that looks into the cache. A plugin of another version of the
// interface, or a second one, is left to go-xla, which loads it as it is.
func hook(path string) error {
	hooked.Lock()
	defer hooked.Unlock()
	if hooked.path != "" {
		return nil
	}
	api := pjrtOf(path)
	if api == nil {
		return nil
	}
	hooked.path, hooked.api = path, api
	return pjrt.RegisterPreloadedPlugin(path, uintptr(unsafe.Pointer(C.hooking(api))))
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

// clients has the threads of each client that was made, by its address.
var clients sync.Map

// metrolabCreate takes the place of PJRT_Client_Create: its clients have one device, and their threads are known.
//
//export metrolabCreate
func metrolabCreate(args *C.Create) unsafe.Pointer {
	failed := C.one_device(hooked.api, args)
	if failed == nil {
		clients.Store(args.client, os.Getenv(threadsVar))
	}
	return failed
}

// metrolabCompile takes the place of PJRT_Client_Compile: it loads what the cache has, and keeps what it has compiled.
//
//export metrolabCompile
func metrolabCompile(args *C.Compile) unsafe.Pointer {
	cache, key := cached.Load(), ""
	if cache != nil {
		p := args.program
		threads, _ := clients.Load(args.client)
		key = keyOf(hooked.path, []byte(fmt.Sprint(threads)), bytesAt(p.format, p.format_size), bytesAt(p.code, p.code_size), bytesAt(args.options, args.options_size))
		if program := cache.load(key); program != nil {
			loaded, err := loadExecutable(args.client, program)
			if err == nil {
				loads.Add(1)
				args.loaded = loaded
				return nil
			}
			cache.damaged(key, err)
		}
	}
	compilations.Add(1)
	if failed := C.call(hooked.api.client_compile, unsafe.Pointer(args)); failed != nil {
		return failed
	}
	if cache != nil {
		if program, err := serialized(args.loaded); err != nil {
			cache.fail(err)
		} else {
			cache.keep(key, program)
		}
	}
	return nil
}

// bytesAt are n bytes of C's memory, good as long as C keeps them.
func bytesAt(p *C.char, n C.size_t) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(p)), n) }

// loadExecutable makes an executable of what [serialized] returned.
func loadExecutable(client unsafe.Pointer, program []byte) (unsafe.Pointer, error) {
	args := (*C.Load)(C.calloc(1, C.sizeof_Load))
	defer C.free(unsafe.Pointer(args))
	args.client, args.bytes, args.bytes_size = client, (*C.char)(C.CBytes(program)), C.size_t(len(program))
	defer C.free(unsafe.Pointer(args.bytes))
	err := errorOf(hooked.api, C.load(hooked.api, args))
	return args.loaded, err
}

// serialized returns a loaded executable as bytes.
func serialized(loaded unsafe.Pointer) ([]byte, error) {
	args := (*C.Serialize)(C.calloc(1, C.sizeof_Serialize))
	defer C.free(unsafe.Pointer(args))
	defer C.release(hooked.api, args)
	if err := errorOf(hooked.api, C.serialize(hooked.api, loaded, args)); err != nil {
		return nil, err
	}
	return append([]byte(nil), bytesAt(args.bytes, args.bytes_size)...), nil
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
