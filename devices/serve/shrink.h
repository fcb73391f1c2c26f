/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of a peer that shrinks under us. Whoever shares a file can cut it afterwards; a load or
 * store behind its new end is a SIGBUS, which would end this process. Here such an access goes on:
 * it finds zeroes, and whoever registered the range learns that its memory is lost.
 *
 * Only what this process touches itself comes here: the kernel answers a system call on such
 * memory with EFAULT. A SIGBUS at any other address is dealt with as if this were not there:
 * by the handler that was there before, or by the end of the process.
 *
 * The process's SIGBUS handler is ours while there are ranges. One who installs another meanwhile
 * takes the protection away until the next shrink_guard_add.
 *
 * Threads: any; no call may be made from a signal handler.
 */
#ifndef DEVICES_SERVE_SHRINK_H
#define DEVICES_SERVE_SHRINK_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SHRINK_API_MAJOR 0
#define SHRINK_API_MINOR 1

/* Ranges in the whole process. */
#define SHRINK_RANGES_MAX 4096u

/*
 * Watch [base, base + size), a mapping of its own: whole pages, mapped by the caller, who removes
 * the range before he unmaps it. At the first access that the file has no byte for, the whole range
 * becomes private zeroes for reading and writing, and *lost true. Several ranges may share one
 * flag, which outlives them; read it with __atomic_load_n.
 * Returns 0; -EINVAL: no address, no bytes, or no whole pages; -ENOSPC: SHRINK_RANGES_MAX.
 */
int shrink_guard_add(void *base, size_t size, bool *lost);

/* Nobody touches the range any more. One that was never added, or could not be, is ignored. */
void shrink_guard_remove(const void *base);

#ifdef __cplusplus
}
#endif

#endif
