// SPDX-License-Identifier: Apache-2.0

//go:build linux && amd64 && cgo && !noxla

package backend

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

// The part of PJRT's C interface (xla/pjrt/c/pjrt_c_api.h of github.com/openxla/xla) that go-xla does not bind: executables as
// bytes. A call takes one structure and returns an error or NULL. In a major version, of which there is one, 0, calls keep their
// places and structures grow at their ends alone.

typedef struct {
	size_t size;
	void *extensions;
	struct { size_t size; void *extensions; int major, minor; } version;
	void *error_destroy, *error_message, *others0[8], *client_create, *others1[9], *client_compile, *others2[19];
	void *executable_destroy, *others3[8], *executable_serialize;
	void *loaded_destroy, *loaded_get_executable, *others4[4], *deserialize_and_load;
} PJRT;

typedef struct { size_t size; void *extensions, *error; } ErrorDestroy;
typedef struct { size_t size; void *extensions, *error; const char *message; size_t message_size; } ErrorMessage;
typedef struct { size_t size; void *extensions; const char *code; size_t code_size; const char *format; size_t format_size; } Program;
typedef struct {
	size_t size; void *extensions, *client; const Program *program; const char *options; size_t options_size; void *loaded;
} Compile;
typedef struct { size_t size; void *extensions, *loaded, *executable; } GetExecutable;
typedef struct { size_t size; void *extensions, *executable; } DestroyExecutable;
typedef struct {
	size_t size; void *extensions, *executable; const char *bytes; size_t bytes_size; void *owner; void (*free)(void *owner);
} Serialize;
typedef struct {
	size_t size; void *extensions, *client; const char *bytes; size_t bytes_size; void *loaded; const char *options; size_t options_size;
} Load;

typedef struct {
	size_t size; void *extensions; const char *name; size_t name_size; enum { STRING, INT64 } type; long long value; size_t value_size;
} NamedValue;
typedef struct {
	size_t size; void *extensions; const NamedValue *options; size_t num_options; void *callbacks[4], *client, *others[4];
} Create;

extern void *metrolabCompile(Compile *args);

static void *(*create_client)(void *);

// one_device is PJRT_Client_Create for one device, which is what a step runs on. By itself the plugin makes four of a processor,
// and small steps then take longer (docs/performance.md). A plugin that does not know the option is asked again without it.
static void *one_device(Create *args) {
	const NamedValue one = {sizeof one, NULL, "cpu_device_count", sizeof "cpu_device_count" - 1, INT64, 1, 1};
	Create asked = *args;
	asked.options = &one;
	asked.num_options = 1;
	if (args->num_options || create_client(&asked)) return create_client(args);
	args->client = asked.client;
	return NULL;
}

// pjrt_of returns the interface of the plugin at path, or NULL.
static PJRT *pjrt_of(const char *path) {
	void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	PJRT *(*get)(void) = library ? (PJRT *(*)(void))dlsym(library, "GetPjrtApi") : NULL;
	return get ? get() : NULL;
}

// hooking returns a copy of an interface whose client has one device, and whose Compile is metrolabCompile.
static PJRT *hooking(const PJRT *api) {
	PJRT *copy = malloc(api->size);
	memcpy(copy, api, api->size);
	copy->client_compile = (void *)metrolabCompile;
	create_client = (void *(*)(void *))api->client_create;
	copy->client_create = (void *)one_device;
	return copy;
}

static void *call(void *f, void *args) { return ((void *(*)(void *))f)(args); }

// message_of copies an error's message and frees the error.
static char *message_of(const PJRT *api, void *error) {
	ErrorMessage m = {sizeof m, NULL, error};
	call(api->error_message, &m);
	char *message = strndup(m.message, m.message_size);
	ErrorDestroy d = {sizeof d, NULL, error};
	call(api->error_destroy, &d);
	return message;
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
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	api := C.pjrt_of(name)
	if api == nil || api.version.major != 0 || api.size < C.sizeof_PJRT {
		return nil
	}
	hooked.path, hooked.api = path, api
	return pjrt.RegisterPreloadedPlugin(path, uintptr(unsafe.Pointer(C.hooking(api))))
}

// metrolabCompile takes the place of PJRT_Client_Compile: it loads what the cache has, and keeps what it has compiled.
//
//export metrolabCompile
func metrolabCompile(args *C.Compile) unsafe.Pointer {
	cache, key := cached.Load(), ""
	if cache != nil {
		p := args.program
		key = keyOf(hooked.path, bytesAt(p.format, p.format_size), bytesAt(p.code, p.code_size), bytesAt(args.options, args.options_size))
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
	err := errorOf(C.load(hooked.api, args))
	return args.loaded, err
}

// serialized returns a loaded executable as bytes.
func serialized(loaded unsafe.Pointer) ([]byte, error) {
	args := (*C.Serialize)(C.calloc(1, C.sizeof_Serialize))
	defer C.free(unsafe.Pointer(args))
	defer C.release(hooked.api, args)
	if err := errorOf(C.serialize(hooked.api, loaded, args)); err != nil {
		return nil, err
	}
	return append([]byte(nil), bytesAt(args.bytes, args.bytes_size)...), nil
}

// errorOf makes a Go error of the plugin's, which it frees.
func errorOf(failed unsafe.Pointer) error {
	if failed == nil {
		return nil
	}
	message := C.message_of(hooked.api, failed)
	defer C.free(unsafe.Pointer(message))
	return errors.New(C.GoString(message))
}
