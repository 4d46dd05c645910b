// SPDX-License-Identifier: Apache-2.0

// The part of PJRT's C interface (xla/pjrt/c/pjrt_c_api.h of github.com/openxla/xla) that go-xla does not bind: executables as
// bytes, what they take of memory, and compilation without a device. A call takes one structure and returns an error or NULL. In
// a major version, of which there is one, 0, calls keep their places and structures grow at their ends alone.

#pragma once

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
	size_t size;
	void *extensions;
	struct { size_t size; void *extensions; int major, minor; } version;
	void *error_destroy, *error_message, *others0, *plugin_initialize, *others1[6], *client_create, *others2[9], *client_compile;
	void *others3[19], *executable_destroy, *others4[7], *optimized_program, *executable_serialize;
	void *loaded_destroy, *loaded_get_executable, *others5[4], *deserialize_and_load;
	void *others6[25], *topology_create, *topology_destroy, *others7[5], *compile, *others8[6], *memory_statistics;
} PJRT;

typedef struct { size_t size; void *extensions, *error; } ErrorDestroy;
typedef struct { size_t size; void *extensions, *error; const char *message; size_t message_size; } ErrorMessage;
typedef struct { size_t size; void *extensions; } Initialize;
typedef struct {
	size_t size; void *extensions; const char *name; size_t name_size; enum { STRING, INT64 } type;
	union { const char *string; long long integer; } value; size_t value_size;
} NamedValue;
typedef struct {
	size_t size; void *extensions; const NamedValue *options; size_t num_options; void *callbacks[4], *client, *others[4];
} Create;
typedef struct { size_t size; void *extensions; const char *code; size_t code_size; const char *format; size_t format_size; } Program;
typedef struct {
	size_t size; void *extensions, *client; const Program *program; const char *options; size_t options_size; void *loaded;
} Compile;
typedef struct { size_t size; void *extensions, *executable; } DestroyExecutable;
typedef struct {
	size_t size; void *extensions, *executable; long long code, arguments, outputs, aliases, temporary, host[5], peak;
	long long others[20]; // a plugin takes a structure that is larger than its own, and none that is smaller
} MemoryStatistics;

static inline void *call(void *f, void *args) { return ((void *(*)(void *))f)(args); }

// pjrt_of returns the interface of the plugin at path, or NULL.
static inline PJRT *pjrt_of(const char *path) {
	void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	PJRT *(*get)(void) = library ? (PJRT *(*)(void))dlsym(library, "GetPjrtApi") : NULL;
	return get ? get() : NULL;
}

// copy_of is an interface whose calls may be replaced.
static inline PJRT *copy_of(const PJRT *api) { return memcpy(malloc(api->size), api, api->size); }

// message_of copies an error's message and frees the error.
static inline char *message_of(const PJRT *api, void *error) {
	ErrorMessage m = {sizeof m, NULL, error};
	call(api->error_message, &m);
	char *message = strndup(m.message, m.message_size);
	ErrorDestroy d = {sizeof d, NULL, error};
	call(api->error_destroy, &d);
	return message;
}

static inline void destroy_executable(const PJRT *api, void *executable) {
	DestroyExecutable d = {sizeof d, NULL, executable};
	call(api->executable_destroy, &d);
}

static inline void *memory_of(const PJRT *api, void *executable, MemoryStatistics *m) {
	m->size = sizeof *m;
	m->executable = executable;
	return call(api->memory_statistics, m);
}
