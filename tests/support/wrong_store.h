/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A store around another one, which bends what is submitted: a good store made wrong in
 * one place.
 *
 *     {.test = "...", .wrap_store = wrong_store_create,
 *      .how = &(const struct wrong_store_bend){drop_writes}, ...},
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_WRONG_STORE_H
#define TESTS_SUPPORT_WRONG_STORE_H

#include "devices/blk/store.h"

#ifdef __cplusplus
extern "C" {
#endif

struct wrong_store_bend {
	/* May change *io. Returns whether the store inside gets it; otherwise it has succeeded. */
	bool (*submit)(struct blk_io *io);
};

/* bend: a struct wrong_store_bend. Takes inner over. Returns NULL without memory. */
struct blk_store *wrong_store_create(struct blk_store *inner, const void *bend);

#ifdef __cplusplus
}
#endif

#endif
