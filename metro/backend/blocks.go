// SPDX-License-Identifier: Apache-2.0

//go:build linux && amd64 && cgo && !noxla

package backend

/*
#cgo LDFLAGS: -ldl
#define _GNU_SOURCE
#include <pthread.h>
#include "imports.h"

enum { PAGE = 2 << 20, LEAST = 4 << 20, BLOCKS = 4096 };

typedef struct { void *at; size_t size; int used; } Block;

static Block blocks[BLOCKS];
static int count;
static size_t used, kept, most; // bytes in use, free, and the most that were ever in use at once
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

// superfluous is the smallest block that nobody uses and that has the size, or else the largest, or NULL.
static Block *superfluous(size_t size) {
	Block *best = NULL;
	for (Block *b = blocks; b < blocks + count; b++) {
		if (b->used) continue;
		if (!best || (best->size < size ? b->size > best->size : b->size >= size && b->size < best->size)) best = b;
	}
	return best;
}

// give_back frees blocks that nobody uses until size more bytes come to at most an eighth more than were, or then are, in use at
// once. Less room would have a few small blocks drive out the large one of every step.
static void give_back(size_t size) {
	size_t limit = used + size > most ? used + size : most;
	limit += limit / 8;
	for (Block *b; used + kept + size > limit && (b = superfluous(used + kept + size - limit));) {
		kept -= b->size;
		free(b->at);
		*b = blocks[--count];
	}
}

// use marks a block as in use.
static void *use(Block *b) {
	b->used = 1;
	used += b->size;
	if (used > most) most = used;
	return b->at;
}

// fitting is the smallest block that nobody uses and that has the size, and an eighth more at most, or NULL.
static Block *fitting(size_t size) {
	Block *best = NULL;
	for (Block *b = blocks; b < blocks + count; b++)
		if (!b->used && b->size >= size && b->size <= size + size / 8 && (!best || b->size < best->size)) best = b;
	return best;
}

// allocate takes the place of posix_memalign.
static int allocate(void **at, size_t alignment, size_t size) {
	if (size < LEAST || size > SIZE_MAX / 2 || alignment > PAGE) return posix_memalign(at, alignment, size);
	int failed = 0;
	size = (size + PAGE - 1) / PAGE * PAGE;
	pthread_mutex_lock(&mutex);
	Block *b = fitting(size);
	if (b) {
		kept -= b->size;
		*at = use(b);
	} else {
		give_back(size);
		failed = posix_memalign(at, PAGE, size);
		if (!failed) madvise(*at, size, MADV_HUGEPAGE); // where the kernel has none, pages stay small
		if (!failed && count < BLOCKS) {
			blocks[count] = (Block){*at, size};
			use(&blocks[count++]);
		}
	}
	pthread_mutex_unlock(&mutex);
	return failed;
}

// release takes the place of free.
static void release(void *at) {
	if (at && (uintptr_t)at % PAGE == 0) {
		pthread_mutex_lock(&mutex);
		for (Block *b = blocks; b < blocks + count; b++) {
			if (b->at != at) continue;
			b->used = 0;
			used -= b->size;
			kept += b->size;
			pthread_mutex_unlock(&mutex);
			return;
		}
		pthread_mutex_unlock(&mutex);
	}
	free(at);
}

// keep_blocks has the library at path allocate and free by the functions above, and says whether it does. What frees comes first:
// it takes what either kind of call has allocated.
static int keep_blocks(const char *path) {
	Imports in;
	return imports_of(path, &in) && redirect(&in, "free", release) && redirect(&in, "posix_memalign", allocate);
}

static void block_bytes(size_t *in_use, size_t *free, size_t *at_most) {
	pthread_mutex_lock(&mutex);
	*in_use = used, *free = kept, *at_most = most;
	pthread_mutex_unlock(&mutex);
}
*/
import "C"

import "unsafe"

// A step of a model asks its plugin for a block of some 100 MB to several GB for what it holds in between, and gives it back at its
// end. The C library takes so large a block from the kernel and returns it, so that each step meets each of its pages, of 4 kB, for
// the first time: 120,000 faults a second at ELECTRA-small, where a seventh of all processor time was the kernel's. So the plugin's
// blocks of 4 MB and more lie on pages of 2 MB, and stay for the next step, as long as used and unused together are at most an eighth
// more than was once in use: the most that a process takes hardly changes. No number does. docs/performance.md has what it is worth.
//
// XLA has no hook for it that can be reached by PJRT's interface, so this reaches for the plugin's table of imported functions,
// and leaves alone a plugin in which it does not find them.

// keepBlocks has the plugin at path, which is for the processor, keep its large blocks.
func keepBlocks(path string) bool {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	return C.keep_blocks(name) != 0
}

// blockBytes are the bytes of large blocks in use, of those that are kept for later, and the most that were in use at once.
func blockBytes() (used, kept, most int) {
	var u, k, m C.size_t
	C.block_bytes(&u, &k, &m)
	return int(u), int(k), int(m)
}
