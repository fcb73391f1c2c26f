/* SPDX-License-Identifier: BSD-3-Clause */
#include "allocations.h"

#include <errno.h>
#include <stdlib.h>

/* The names under which glibc keeps its own functions when a program replaces them. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

static uint64_t calls;

static void count_call(void)
{
	__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
}

uint64_t perf_allocations(void)
{
	return __atomic_load_n(&calls, __ATOMIC_RELAXED);
}

void *malloc(size_t size)
{
	count_call();
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	count_call();
	return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	count_call();
	return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	count_call();
	return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
	count_call();
	*memory = __libc_memalign(alignment, size);
	return *memory ? 0 : ENOMEM;
}

void free(void *memory)
{
	count_call();
	__libc_free(memory);
}
