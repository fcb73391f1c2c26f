/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What another process would find in shared memory if this one died: the test hears of each
 * instruction that has changed a byte of some pages. A process that dies leaves all stores before
 * some instruction and none behind it, so these are all the states that it can leave.
 *
 * The pages are write-protected; a store faults, is let through, and the processor stops behind
 * it. On x86-64 only, and not under valgrind, which has no trap flag.
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_EACH_STORE_H
#define TESTS_SUPPORT_EACH_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EACH_STORE_PAGES 2u
#define EACH_STORE_PAGE  4096u

struct each_store {
	void *pages[EACH_STORE_PAGES]; /* of EACH_STORE_PAGE bytes, readable and writable */

	/* Called behind a store, within a signal handler that nothing else can interrupt. */
	void (*changed)(void *opaque);
	void *opaque;
};

/* Whether this processor can do it. */
bool each_store_possible(void);

/* No system call may write to the pages from begin to end. Not nested. */
void each_store_begin(const struct each_store *each);
void each_store_end(void);

#endif
