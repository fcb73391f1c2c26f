/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk in memory whose operations are over only some polls later, as those of any store that is
 * not memory. Its descriptor is readable while there is something to poll for.
 *
 * Threads: as blk_store_ops.
 */
#ifndef TESTS_SUPPORT_LATE_STORE_H
#define TESTS_SUPPORT_LATE_STORE_H

#include "devices/blk/store.h"

/* polls: from the first that finds an operation to the one that ends it. Returns 0 or -errno. */
int late_store_create(struct blk_store **store, uint64_t size, unsigned polls);

#endif
