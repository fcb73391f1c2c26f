/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Work on a directory of the host, through the device and with plain system calls: one large file
 * that is read from end to end, and many small ones. Both are in the page cache.
 *
 * A failure ends the process with a message. Threads: one.
 */
#ifndef PERF_FS_JOB_H
#define PERF_FS_JOB_H

#include <stdbool.h>
#include <stdint.h>

#define PERF_FS_PAIRS     15u
#define PERF_FS_IN_FLIGHT 16u /* the most files; divides 10 000 */

/* Nanoseconds of the processor for each run; a pair is one of both, and the other goes first each time. */
struct perf_fs_pairs {
	double device[PERF_FS_PAIRS], plain[PERF_FS_PAIRS];
};

/* 100 MB in requests of 1 MiB; and with pread into the same memory. */
void perf_fs_large(struct perf_fs_pairs *pairs);

/*
 * 10 000 files of 1 KiB: LOOKUP, OPEN, READ, RELEASE; and fstatat, openat, pread, close.
 * in_flight: so many files at a time, 1 or PERF_FS_IN_FLIGHT, each request of all of them together.
 * exclusive: on a directory whose names nobody else changes (FS_DIR_EXCLUSIVE).
 */
void perf_fs_small(struct perf_fs_pairs *pairs, unsigned in_flight, bool exclusive);

#endif
