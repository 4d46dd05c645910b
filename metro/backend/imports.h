// SPDX-License-Identifier: Apache-2.0

// The functions that a shared library imports, and how it is made to call others in their place.

#pragma once

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// Imports are the tables of what a library imports: of functions that it calls, and of addresses.
typedef struct {
	Elf64_Addr base;
	const Elf64_Sym *symbols;
	const char *names;
	struct { const Elf64_Rela *first; size_t bytes; } calls, addresses;
} Imports;

static int imports_of(const char *path, Imports *in) {
#ifdef __GLIBC__ // other C libraries leave the tables' addresses without the library's own
	void *handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	struct link_map *library;
	if (!handle || dlinfo(handle, RTLD_DI_LINKMAP, &library)) return 0;
	*in = (Imports){library->l_addr};
	for (const Elf64_Dyn *d = library->l_ld; d->d_tag != DT_NULL; d++) {
		void *at = (void *)d->d_un.d_ptr;
		switch (d->d_tag) {
		case DT_SYMTAB: in->symbols = at; break;
		case DT_STRTAB: in->names = at; break;
		case DT_JMPREL: in->calls.first = at; break;
		case DT_PLTRELSZ: in->calls.bytes = d->d_un.d_val; break;
		case DT_RELA: in->addresses.first = at; break;
		case DT_RELASZ: in->addresses.bytes = d->d_un.d_val; break;
		}
	}
	return in->symbols && in->names && in->calls.first && in->addresses.first;
#else
	return 0;
#endif
}

// redirect_entry writes an address over that of an imported function, if the entry is for one of that name.
static int redirect_entry(const Imports *in, const Elf64_Rela *r, const char *name, void *to) {
	unsigned symbol = ELF64_R_SYM(r->r_info), type = ELF64_R_TYPE(r->r_info);
	if (!symbol || (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT) || strcmp(in->names + in->symbols[symbol].st_name, name)) return 0;
	void **slot = (void **)(in->base + r->r_offset);
	size_t page = sysconf(_SC_PAGESIZE);
	if (mprotect((void *)((uintptr_t)slot / page * page), page, PROT_READ | PROT_WRITE)) return 0;
	__atomic_store_n(slot, to, __ATOMIC_RELEASE);
	return 1;
}

// redirect has the library call another function in the place of that of a name, and returns in how many entries.
static int redirect(const Imports *in, const char *name, void *to) {
	int n = 0;
	for (size_t i = 0; i < in->calls.bytes / sizeof(Elf64_Rela); i++) n += redirect_entry(in, in->calls.first + i, name, to);
	for (size_t i = 0; i < in->addresses.bytes / sizeof(Elf64_Rela); i++) n += redirect_entry(in, in->addresses.first + i, name, to);
	return n;
}
