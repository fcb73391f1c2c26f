/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How often this process has called the allocator. The program that is linked
 * with allocations.c has malloc and its kin replaced by functions that count and
 * forward to those of the C library, in this code and in every library.
 *
 * Threads: any.
 */
#ifndef PERF_ALLOCATIONS_H
#define PERF_ALLOCATIONS_H

#include <stdint.h>

/* Calls that allocate or free, since the process started. */
uint64_t perf_allocations(void);

#endif
