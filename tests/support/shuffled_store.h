/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A store around another one that completes at once: operations wait, and each poll does some of
 * them, in any order. Which, a seed tells; the wait is over as soon as there is one.
 *
 * Threads: as any store.
 */
#ifndef TESTS_SUPPORT_SHUFFLED_STORE_H
#define TESTS_SUPPORT_SHUFFLED_STORE_H

#include "devices/blk/store.h"

/* Takes inner over. Returns NULL without memory. */
struct blk_store *shuffled_store_create(struct blk_store *inner, uint64_t seed);

#endif
